"""Issue documents and post entries. Whoever comes here holds the locks of the charge and its payments."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.chain import chain_hash
from regiohub_billing.domain.document import (
    CANCELLATION,
    INVOICE,
    TEST_PREFIX,
    Item,
    Line,
    cancellation_lines,
    invoice_lines,
    number_text,
    series,
    supply_date,
)
from regiohub_billing.domain.journal import (
    Accounts,
    EntryKind,
    Posting,
    cancellation_postings,
    invoice_postings,
    mirror,
    payment_postings,
    refund_postings,
)
from regiohub_billing.domain.payment import SellerIncomplete
from regiohub_billing.repo import ledger as repo
from regiohub_billing.tables import Charge, Document, DocumentLine, JournalEntry, JournalLine, Payment, Refund, Seller
from regiohub_shared.ids import new_id
from regiohub_shared.money import CURRENCY

_NOBODY = {"name": "", "street": "", "postcode": "", "city": "", "country": "DE"}
"""The buyer on an invoice for a member who was erased before."""


def accounts_of(seller: Seller) -> Accounts:
    """Return the seller's accounts; what is not set keeps its default."""
    return Accounts(**seller.accounts)


async def open_books(session: AsyncSession, operator: str) -> Seller:
    """Be alone in an operator's ledger; raises ``SellerIncomplete``."""
    seller = await repo.lock_seller(session, operator)
    if seller is None:
        raise SellerIncomplete(operator=operator)
    return seller


async def post_payment(session: AsyncSession, payment: Payment, *, now: datetime) -> None:
    """Book money that arrived."""
    seller = await open_books(session, payment.operator)
    postings = payment_postings(payment.paid_cents, accounts_of(seller))
    await _post(
        session, payment, EntryKind.PAYMENT, payment.id, postings=postings, amount=payment.paid_cents,
        reference=payment.provider_payment_id, document_id=None, now=now,
    )  # fmt: skip


async def post_refund(session: AsyncSession, payment: Payment, refund: Refund, *, now: datetime) -> None:
    """Book money that went back."""
    seller = await open_books(session, payment.operator)
    invoiced = refund.document_id is not None
    postings = refund_postings(refund.amount_cents, accounts_of(seller), invoiced=invoiced)
    await _post(
        session, payment, EntryKind.REFUND, refund.id, postings=postings, amount=refund.amount_cents,
        reference=refund.provider_refund_id, document_id=refund.document_id, now=now,
    )  # fmt: skip


async def post_refund_failed(session: AsyncSession, payment: Payment, refund: Refund, *, now: datetime) -> None:
    """Take a booked refund back, by the mirror of its entry."""
    booked = await repo.find_entry(session, EntryKind.REFUND, refund.id)
    if booked is None:
        return
    await open_books(session, payment.operator)
    lines = (await repo.entry_lines(session, [booked.id]))[booked.id]
    postings = mirror([Posting(x.account, x.debit_cents, x.credit_cents, x.tax_code) for x in lines])
    await _post(
        session, payment, EntryKind.REFUND_FAILED, refund.id, postings=postings, amount=refund.amount_cents,
        reference=refund.provider_refund_id, document_id=refund.document_id, now=now,
    )  # fmt: skip


async def issue_invoice(session: AsyncSession, charge: Charge, payment: Payment, *, now: datetime) -> Document:
    """Issue the invoice of a paid and confirmed booking; raises ``SellerIncomplete`` or ``NoTaxRule``."""
    seller = await open_books(session, charge.operator)
    lines = invoice_lines(items_of(charge), await repo.list_rules(session, charge.operator))
    invoice = await _issue(session, seller, charge, payment, kind=INVOICE, lines=lines, refers_to=None, now=now)
    await _post(
        session, payment, EntryKind.INVOICE, invoice.id, postings=invoice_postings(lines, accounts_of(seller)),
        amount=invoice.gross_cents, reference=payment.provider_payment_id, document_id=invoice.id, now=now,
    )  # fmt: skip
    return invoice


async def issue_cancellation(
    session: AsyncSession, charge: Charge, payment: Payment, invoice: Document, *, now: datetime
) -> Document:
    """Issue the Stornorechnung: the invoice's own lines and rates, less the cancellation fee."""
    seller = await open_books(session, charge.operator)
    billed = (await repo.document_lines(session, [invoice.id]))[invoice.id]
    lines = cancellation_lines(billed, charge.fee_cents)
    credit = await _issue(session, seller, charge, payment, kind=CANCELLATION, lines=lines, refers_to=invoice, now=now)
    await _post(
        session, payment, EntryKind.CANCELLATION, credit.id, postings=cancellation_postings(lines, accounts_of(seller)),
        amount=credit.gross_cents, reference=payment.provider_payment_id, document_id=credit.id, now=now,
    )  # fmt: skip
    return credit


def items_of(charge: Charge) -> list[Item]:
    """Return what a booking's fact says was booked."""
    return [
        Item(
            text=", ".join(filter(None, (line["resource_name"], line.get("hub_name")))),
            start=datetime.fromisoformat(line["start"]),
            end=datetime.fromisoformat(line["end"]),
            gross_cents=line["gross_cents"],
            tax_code=line["tax_code"],
        )
        for line in charge.lines
    ]


def document_content(document: Document, lines: Sequence[Line]) -> dict[str, Any]:
    """Return what a document's hash covers: everything but the hashes."""
    return _content(document, [asdict(line) for line in lines])


def entry_content(entry: JournalEntry, lines: Sequence[JournalLine]) -> dict[str, Any]:
    """Return what an entry's hash covers: everything but the hashes."""
    return _content(entry, [line.model_dump() for line in lines])


def _content(row: Document | JournalEntry, lines: list[dict[str, Any]]) -> dict[str, Any]:
    return row.model_dump(exclude={"prev_hash", "hash"}) | {"lines": lines}


def _party(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names}


async def _issue(
    session: AsyncSession,
    seller: Seller,
    charge: Charge,
    payment: Payment,
    *,
    kind: str,
    lines: Sequence[Line],
    refers_to: Document | None,
    now: datetime,
) -> Document:
    issue_date = supply_date(now)
    name = series(kind, issue_date, test=not payment.livemode)
    taken = await repo.take_number(session, charge.operator, name)
    document = Document(
        id=new_id(),
        kind=kind,
        operator=charge.operator,
        series=name,
        serial=taken.number,
        number=number_text(name, taken.number),
        test=not payment.livemode,
        booking_id=charge.booking_id,
        booking_code=charge.code,
        payment_id=payment.id,
        refers_to=refers_to.id if refers_to else None,
        refers_number=refers_to.number if refers_to else "",
        issued_at=now,
        issue_date=issue_date,
        supply_from=min(line.supply_from for line in lines),
        supply_to=max(line.supply_to for line in lines),
        seller=_party(seller.model_dump(), "name", "street", "postcode", "city", "country", "tax_number", "vat_id"),
        buyer=refers_to.buyer if refers_to else payment.buyer or _NOBODY,
        currency=CURRENCY,
        net_cents=sum(line.net_cents for line in lines),
        tax_cents=sum(line.tax_cents for line in lines),
        gross_cents=sum(line.gross_cents for line in lines),
        line_count=len(lines),
        prev_hash=taken.last_hash,
        hash="",
    )
    document.hash = chain_hash(taken.last_hash, document_content(document, lines))
    session.add(document)
    await session.flush()
    session.add_all(DocumentLine(document_id=document.id, **asdict(line)) for line in lines)
    await session.flush()
    await repo.chain(session, charge.operator, name, document.hash)
    return document


async def _post(
    session: AsyncSession,
    payment: Payment,
    kind: EntryKind,
    source_id: UUID,
    *,
    postings: Sequence[Posting],
    amount: int,
    reference: str,
    document_id: UUID | None,
    now: datetime,
) -> None:
    """Write one balanced entry; its serial and chain run through all entries of the operator."""
    name = f"{'' if payment.livemode else TEST_PREFIX}J"
    taken = await repo.take_number(session, payment.operator, name)
    entry = JournalEntry(
        id=new_id(),
        operator=payment.operator,
        series=name,
        serial=taken.number,
        test=not payment.livemode,
        kind=kind,
        source_id=source_id,
        payment_id=payment.id,
        document_id=document_id,
        amount_cents=amount,
        reference=reference,
        posted_on=supply_date(now),
        posted_at=now,
        line_count=len(postings),
        prev_hash=taken.last_hash,
        hash="",
    )
    lines = [JournalLine(entry_id=entry.id, position=n, **asdict(p)) for n, p in enumerate(postings, 1)]
    entry.hash = chain_hash(taken.last_hash, entry_content(entry, lines))
    session.add(entry)
    await session.flush()
    session.add_all(lines)
    await session.flush()
    await repo.chain(session, payment.operator, name, entry.hash)
