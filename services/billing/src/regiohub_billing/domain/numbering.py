"""Which numbers a restored counter must leave out: those that may stand on paper that our books have lost."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from regiohub_billing.domain.document import CANCELLATION, INVOICE, ZONE, series

SPARE_CREDITS = 10
"""Cancellation documents whose refund had not reached the provider yet; more would have waited for minutes."""
SPARE_FILES = 50
"""Files handed to a treasury in the lost window, unless the last one's number is told."""
FILES = "HKR"


class UnreadableNumber(RuntimeError):
    """A number on the command line that is not ``operator:number``."""


@dataclass(frozen=True, slots=True)
class Known:
    """A number that somebody has seen outside."""

    operator: str
    series: str
    number: int


@dataclass(frozen=True, slots=True)
class Lost:
    """At most so many documents of one operator can have been issued after the backup."""

    invoices: int = 0
    """Paid at the provider, and without an invoice here."""
    refunds: int = 0
    """Made at the provider, and not known here."""
    creditable: int = 0
    """Invoices here that could still be cancelled after the backup."""
    has_books: bool = True
    """There is anything that a file for the treasury could hold."""

    @property
    def credits(self) -> int:
        """Each cancels an invoice, and its refund follows at once."""
        return min(self.creditable + self.invoices, self.refunds + SPARE_CREDITS)


def read_known(text: str) -> Known:
    """Read ``stadt-bendorf:R-2026-000012`` or ``stadt-bendorf:HKR-17``; raises :class:`UnreadableNumber`."""
    operator, _, whole = text.partition(":")
    head, _, tail = whole.rpartition("-")
    if not (operator and head and tail.isdecimal()):
        raise UnreadableNumber(f"{text!r} is not OPERATOR:NUMBER, for example stadt-bendorf:R-2026-000012")
    return Known(operator, head if head == FILES else f"{head}-", int(tail))


def skips(lost: Lost, *, since: datetime, until: datetime, test: bool) -> Iterator[tuple[str, int]]:
    """Return each series with how many of its numbers are left out; the lost ones may lie in either year."""
    for year in range(since.astimezone(ZONE).year, until.astimezone(ZONE).year + 1):
        day = until.astimezone(ZONE).date().replace(year=year, month=1, day=1)
        yield series(INVOICE, day, test=test), lost.invoices
        yield series(CANCELLATION, day, test=test), lost.credits
    yield FILES, SPARE_FILES if lost.has_books else 0
