"""Double entry: each business event becomes one balanced entry.

::

    payment          clearing    to prepayment
    invoice          debtor      to revenue, tax      and   prepayment to debtor
    cancellation     revenue, tax to debtor
    refund           debtor (after a cancellation) or prepayment (lost slot)   to clearing
    refund failed    the mirror of its refund
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from regiohub_billing.domain.document import Line, tax_totals


class EntryKind(StrEnum):
    """What an entry records; one entry of a kind per source."""

    PAYMENT = "payment"
    """The provider holds money for us."""
    INVOICE = "invoice"
    """A receivable arose and the prepayment settled it."""
    CANCELLATION = "cancellation"
    """The receivable was taken back."""
    REFUND = "refund"
    """The provider gave money back for us."""
    REFUND_FAILED = "refund_failed"
    """A refund that had been booked came back."""


_DEFAULT_TAX = MappingProxyType({"S19": "1776", "S07": "1771"})


@dataclass(frozen=True, slots=True)
class Accounts:
    """The seller's accounts and codes. The defaults are examples which the finance office replaces."""

    mandant: str = "00137"
    debtor: str = "10001"
    clearing: str = "1361"
    prepayment: str = "1593"
    finance: str = "64110000"
    product: str = "57110"
    cost_centre: str = "8010"
    other_tax: str = "1770"
    tax: Mapping[str, str] = field(default_factory=lambda: _DEFAULT_TAX)

    def tax_account(self, tax_code: str) -> str:
        """Return the account that takes this code's tax."""
        return self.tax.get(tax_code, self.other_tax)


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of an entry: either debit or credit is positive, the other is zero (cents)."""

    account: str
    debit_cents: int = 0
    credit_cents: int = 0
    tax_code: str = ""


class Unbalanced(Exception):
    """A bug: an entry whose debit and credit differ. The database refuses it too."""


def balanced(postings: Sequence[Posting]) -> tuple[Posting, ...]:
    """Return the postings without empty ones; raises :class:`Unbalanced`."""
    kept = tuple(p for p in postings if p.debit_cents or p.credit_cents)
    if any(min(p.debit_cents, p.credit_cents) != 0 or max(p.debit_cents, p.credit_cents) < 0 for p in kept):
        raise Unbalanced("a posting is either debit or credit, and positive")
    if sum(p.debit_cents - p.credit_cents for p in kept) != 0:
        raise Unbalanced("debit and credit differ")
    return kept


def payment_postings(amount_cents: int, accounts: Accounts) -> tuple[Posting, ...]:
    """Money arrived: it is a prepayment until the booking is confirmed and the invoice issued."""
    return balanced([Posting(accounts.clearing, amount_cents), Posting(accounts.prepayment, 0, amount_cents)])


def invoice_postings(lines: Sequence[Line], accounts: Accounts) -> tuple[Posting, ...]:
    """A paid invoice: the receivable arises and the prepayment settles it at once."""
    gross = sum(line.gross_cents for line in lines)
    settled = [Posting(accounts.prepayment, gross), Posting(accounts.debtor, 0, gross)]
    return balanced([Posting(accounts.debtor, gross), *_revenue(lines, accounts), *settled])


def cancellation_postings(lines: Sequence[Line], accounts: Accounts) -> tuple[Posting, ...]:
    """The mirror of the revenue that a cancellation document takes back."""
    gross = sum(line.gross_cents for line in lines)
    return balanced([*mirror(_revenue(lines, accounts)), Posting(accounts.debtor, 0, gross)])


def refund_postings(amount_cents: int, accounts: Accounts, *, invoiced: bool) -> tuple[Posting, ...]:
    """Money went back, for a cancelled invoice or as a prepayment that never became one."""
    owed = accounts.debtor if invoiced else accounts.prepayment
    return balanced([Posting(owed, amount_cents), Posting(accounts.clearing, 0, amount_cents)])


def mirror(postings: Sequence[Posting]) -> tuple[Posting, ...]:
    """Swap debit and credit: how an entry is taken back, since none is ever changed."""
    return tuple(Posting(p.account, p.credit_cents, p.debit_cents, p.tax_code) for p in postings)


def _revenue(lines: Sequence[Line], accounts: Accounts) -> list[Posting]:
    postings = []
    for total in tax_totals(lines):
        postings.append(Posting(total.revenue_account, 0, total.net_cents, total.tax_code))
        postings.append(Posting(accounts.tax_account(total.tax_code), 0, total.tax_cents, total.tax_code))
    return postings
