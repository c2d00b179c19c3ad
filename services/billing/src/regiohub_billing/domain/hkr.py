"""What the municipal treasury's HKR file says: one record per receivable, reduction, receipt and pay-back.

Values only; how they are written (columns, encoding) is a profile of ``render/hkr.py``. Amounts are positive, the
record type carries the direction.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from regiohub_billing.domain.document import Line, supply_date, tax_totals
from regiohub_billing.domain.journal import Accounts, EntryKind

HEAD, CLAIM, REDUCTION, RECEIPT, PAY_BACK, TRAILER = "V", "S", "A", "I", "R", "N"
PRODUCT_NAME = "RegioHub 1.0"

_RECORD_TYPE = {
    EntryKind.PAYMENT: (RECEIPT, "ZE"),
    EntryKind.INVOICE: (CLAIM, "RE"),
    EntryKind.CANCELLATION: (REDUCTION, "SR"),
    EntryKind.REFUND: (PAY_BACK, "RZ"),
    EntryKind.REFUND_FAILED: (RECEIPT, "ZE"),
}
_RANK = {EntryKind.INVOICE: 0, EntryKind.PAYMENT: 1, EntryKind.CANCELLATION: 2}
"""Within a Kassenzeichen; refunds and those that came back follow in their own order."""
_PURPOSE = {
    EntryKind.PAYMENT: "Zahlung über Zahlungsdienst",
    EntryKind.REFUND: "Erstattung über Zahlungsdienst",
    EntryKind.REFUND_FAILED: "Rückläufer einer Erstattung",
}


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the file. ``None`` and empty text are written as nothing."""

    record_type: str
    position: int
    mandant: str
    fiscal_year: int
    order_id: str = ""
    order_date: date | None = None
    voucher_kind: str = ""
    voucher_number: str = ""
    refers_number: str = ""
    cash_sign: str = ""
    debtor: str = ""
    name1: str = ""
    name2: str = ""
    street: str = ""
    postcode: str = ""
    city: str = ""
    country: str = ""
    gross_cents: int | None = None
    net_cents: int | None = None
    tax_cents: int | None = None
    tax_code: str = ""
    revenue_account: str = ""
    finance_account: str = ""
    product: str = ""
    cost_centre: str = ""
    due_date: date | None = None
    purpose: str = ""
    payment_reference: str = ""


@dataclass(frozen=True, slots=True)
class Party:
    """A name with its address, as it stood on the day of issue."""

    name: str
    street: str
    postcode: str
    city: str
    country: str


@dataclass(frozen=True, slots=True)
class Booked:
    """A journal entry with what the treasury wants to know about it."""

    entry_id: str
    kind: EntryKind
    posted_on: date
    amount_cents: int
    payment_reference: str
    document_number: str = ""
    invoice_number: str = ""
    """The invoice that this is about: itself, the one a cancellation takes back, the one a payment settled."""
    buyer: Party | None = None
    lines: tuple[Line, ...] = ()
    booking_code: str = ""
    """For people who look at the preview; the file has no column for it."""


@dataclass(frozen=True, slots=True)
class Sides:
    """What people of a treasury ask first, in cents: what was claimed (Soll), came in (Ist) and went back."""

    claim: int = 0
    receipt: int = 0
    pay_back: int = 0

    def __add__(self, other: "Sides") -> "Sides":
        """Both together."""
        return Sides(self.claim + other.claim, self.receipt + other.receipt, self.pay_back + other.pay_back)


@dataclass(frozen=True, slots=True)
class Part:
    """A record and the entry (and its n-th part) that it comes from."""

    entry_id: str
    part: int
    record: Record


def cash_sign(invoice_number: str) -> str:
    """Return the Kassenzeichen of an invoice: year, ``RH``, number and a Luhn digit (``26RH000001-3``).

    Test documents get a ``T`` in front, so that no bank line can ever match one. Without an invoice there is none.
    """
    if not invoice_number:
        return ""
    *_, year, number = invoice_number.split("-")
    digits = year[2:] + number
    sign = f"{year[2:]}RH{number}-{_luhn(digits)}"
    return f"T{sign}" if invoice_number.startswith("TEST-") else sign


def claims_first(booked: Sequence[Booked]) -> list[Booked]:
    """Return the entries so that each order stands before the money it is about, per Kassenzeichen.

    Payments are booked before their invoices, but a treasury reads line by line and takes money only on an order. The
    entries of one Kassenzeichen change places among themselves; all else, and what has none, keeps its place.
    """
    of_sign: dict[str, list[int]] = {}
    for place, entry in enumerate(booked):
        if entry.invoice_number:
            of_sign.setdefault(entry.invoice_number, []).append(place)
    found = list(booked)
    for places in of_sign.values():
        entries = sorted((booked[place] for place in places), key=lambda entry: _RANK.get(entry.kind, len(_RANK)))
        for place, entry in zip(places, entries, strict=True):
            found[place] = entry
    return found


def unordered(booked: Sequence[Booked]) -> set[str]:
    """Return the invoices that some of these entries are about, but whose own entry (the order) is not among them."""
    ordered = {entry.invoice_number for entry in booked if entry.kind is EntryKind.INVOICE}
    return {entry.invoice_number for entry in booked if entry.invoice_number} - ordered


def without(booked: Sequence[Booked], later: Collection[str]) -> list[Booked]:
    """Leave out what is about invoices whose order comes in a later file.

    If that is all there is, it stays: a file that never gets made would be worse than money before its order.
    """
    return [entry for entry in booked if entry.invoice_number not in later] or list(booked)


def records(booked: Sequence[Booked], accounts: Accounts, first_position: int = 2) -> list[Part]:
    """Return the records of the entries in their order, numbered from ``first_position``."""
    parts: list[Part] = []
    for entry in booked:
        for n, record in enumerate(_of(entry, accounts, first_position + len(parts)), 1):
            parts.append(Part(entry.entry_id, n, record))
    return parts


def frame(parts: Sequence[Part], accounts: Accounts, seller_name: str, today: date, *, test: bool) -> list[Record]:
    """Put the head before the records and the trailer with count and sum behind them."""
    purpose = f"{PRODUCT_NAME} TEST" if test else PRODUCT_NAME
    head = Record(HEAD, 1, accounts.mandant, today.year, order_date=today, name1=seller_name, purpose=purpose)
    count = len(parts) + 2
    trailer = Record(TRAILER, count, accounts.mandant, today.year, gross_cents=total_cents(parts))
    return [head, *(part.record for part in parts), trailer]


def total_cents(parts: Sequence[Part]) -> int:
    """Return the sum of all gross amounts, in cents, whatever their direction: a check sum."""
    return sum(part.record.gross_cents or 0 for part in parts)


def sides(entry: Booked) -> Sides:
    """Return on which side an entry stands; a cancellation takes from the claim."""
    cents = entry.amount_cents
    match _RECORD_TYPE[entry.kind][0]:
        case "S":
            return Sides(claim=cents)
        case "A":
            return Sides(claim=-cents)
        case "R":
            return Sides(pay_back=cents)
        case _:
            return Sides(receipt=cents)


def total_sides(booked: Sequence[Booked]) -> Sides:
    """Return the sides of all entries together."""
    return sum(map(sides, booked), Sides())


def _of(entry: Booked, accounts: Accounts, position: int) -> list[Record]:
    if entry.kind in (EntryKind.INVOICE, EntryKind.CANCELLATION):
        return _document_records(entry, accounts, position)
    return [_money_record(entry, accounts, position)]


def _document_records(entry: Booked, accounts: Accounts, position: int) -> list[Record]:
    record_type, voucher_kind = _RECORD_TYPE[entry.kind]
    buyer = entry.buyer or Party("", "", "", "", "")
    refers = entry.invoice_number if entry.invoice_number != entry.document_number else ""
    # What costs nothing is no order to a treasury, as it is no posting in the journal; a whole document always costs.
    totals = [total for total in tax_totals(entry.lines) if total.gross_cents]
    return [
        Record(
            record_type,
            position + n,
            accounts.mandant,
            entry.posted_on.year,
            order_id=f"{entry.entry_id}-{n + 1}",
            order_date=entry.posted_on,
            voucher_kind=voucher_kind,
            voucher_number=entry.document_number,
            refers_number=refers,
            cash_sign=cash_sign(entry.invoice_number),
            debtor=accounts.debtor,
            name1=buyer.name,
            street=buyer.street,
            postcode=buyer.postcode,
            city=buyer.city,
            country=buyer.country,
            gross_cents=total.gross_cents,
            net_cents=total.net_cents,
            tax_cents=total.tax_cents,
            tax_code=total.tax_code,
            revenue_account=total.revenue_account,
            finance_account=accounts.finance,
            product=accounts.product,
            cost_centre=accounts.cost_centre,
            due_date=entry.posted_on,
            purpose=_purpose(entry.lines),
            payment_reference=entry.payment_reference,
        )
        for n, total in enumerate(totals)
    ]


def _money_record(entry: Booked, accounts: Accounts, position: int) -> Record:
    record_type, voucher_kind = _RECORD_TYPE[entry.kind]
    return Record(
        record_type,
        position,
        accounts.mandant,
        entry.posted_on.year,
        order_id=entry.entry_id,
        order_date=entry.posted_on,
        voucher_kind=voucher_kind,
        voucher_number=entry.document_number or entry.invoice_number,
        refers_number=entry.invoice_number if entry.document_number else "",
        cash_sign=cash_sign(entry.invoice_number),
        debtor=accounts.debtor,
        gross_cents=entry.amount_cents,
        finance_account=accounts.finance,
        purpose=_PURPOSE[entry.kind] + ("" if entry.invoice_number else " (Vorauszahlung ohne Rechnung)"),
        payment_reference=entry.payment_reference,
    )


def _purpose(lines: Sequence[Line]) -> str:
    texts = (f"{line.text} {supply_date(line.supply_from):%d.%m.%Y}" for line in lines)
    return ", ".join(dict.fromkeys(texts))


def _luhn(digits: str) -> int:
    total = 0
    for n, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if n % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return -total % 10
