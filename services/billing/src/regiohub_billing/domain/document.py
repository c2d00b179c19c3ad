"""Invoices and their cancellation: lines with the tax of the day of supply, totals, numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from zoneinfo import ZoneInfo

from regiohub_billing.domain.tax import TaxRule, largest_remainder, rule_for, split_gross

ZONE = ZoneInfo("Europe/Berlin")
INVOICE = "invoice"
CANCELLATION = "cancellation"
TEST_PREFIX = "TEST-"
_SERIES = {INVOICE: "R", CANCELLATION: "S"}


@dataclass(frozen=True, slots=True)
class Item:
    """One booked resource and slot ``[start, end)`` with its gross price."""

    text: str
    start: datetime
    end: datetime
    gross_cents: int
    tax_code: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a document; amounts are positive in every kind, ``net + tax = gross``."""

    position: int
    text: str
    supply_from: datetime
    supply_to: datetime
    gross_cents: int
    net_cents: int
    tax_cents: int
    tax_code: str
    rate_percent: Decimal
    category: str
    note: str
    revenue_account: str


@dataclass(frozen=True, slots=True)
class TaxTotal:
    """Sum of a document's lines that share code, rate and account."""

    tax_code: str
    rate_percent: Decimal
    category: str
    note: str
    revenue_account: str
    net_cents: int
    tax_cents: int

    @property
    def gross_cents(self) -> int:
        """Net and tax together."""
        return self.net_cents + self.tax_cents


def supply_date(moment: datetime) -> date:
    """Return the day of supply: the calendar day on which the slot starts in Germany."""
    return moment.astimezone(ZONE).date()


def series(kind: str, issue_date: date, *, test: bool) -> str:
    """Return the series of a document, for example ``R-2026-`` or ``TEST-S-2026-``."""
    return f"{TEST_PREFIX if test else ''}{_SERIES[kind]}-{issue_date.year}-"


def number_text(series_name: str, number: int) -> str:
    """Return the number as printed: ``R-2026-000001``. Only A-Z, 0-9 and hyphen, which every ledger takes."""
    return f"{series_name}{number:06d}"


def invoice_lines(items: Sequence[Item], rules: Sequence[TaxRule]) -> tuple[Line, ...]:
    """Return the lines of an invoice in the order of the items; raises ``NoTaxRule``."""
    lines = []
    for position, item in enumerate(items, 1):
        rule = rule_for(rules, item.tax_code, supply_date(item.start))
        lines.append(
            Line(
                position=position,
                text=item.text,
                supply_from=item.start,
                supply_to=item.end,
                gross_cents=item.gross_cents,
                net_cents=0,
                tax_cents=0,
                tax_code=rule.tax_code,
                rate_percent=rule.rate_percent,
                category=rule.category,
                note=rule.note,
                revenue_account=rule.revenue_account,
            )
        )
    return _taxed(lines)


def cancellation_lines(invoice: Sequence[Line], fee_cents: int) -> tuple[Line, ...]:
    """Return the lines that take an invoice back, all of it but a cancellation fee.

    Rates and accounts are copied from the invoice, whatever the rules say today. The fee stays spread over the
    lines in proportion to their price.
    """
    total = sum(line.gross_cents for line in invoice)
    credit = largest_remainder(max(0, total - fee_cents), [line.gross_cents for line in invoice])
    return _taxed([replace(line, gross_cents=gross) for line, gross in zip(invoice, credit, strict=True)])


def tax_totals(lines: Iterable[Line]) -> tuple[TaxTotal, ...]:
    """Return the sums per tax code, rate and account, in a stable order."""
    ordered = sorted(lines, key=_total_key)
    return tuple(
        TaxTotal(*key, sum(line.net_cents for line in group), sum(line.tax_cents for line in group))
        for key, group in ((key, list(lines_of)) for key, lines_of in groupby(ordered, key=_total_key))
    )


def _total_key(line: Line) -> tuple[str, Decimal, str, str, str]:
    return line.tax_code, line.rate_percent, line.category, line.note, line.revenue_account


def _taxed(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Split each rate's gross once; the rate's tax is rounded over all of its lines together."""
    done: dict[int, Line] = {}
    for rate in sorted({line.rate_percent for line in lines}):
        same = [line for line in lines if line.rate_percent == rate]
        for line, (net, tax) in zip(same, split_gross([x.gross_cents for x in same], rate), strict=True):
            done[line.position] = replace(line, net_cents=net, tax_cents=tax)
    return tuple(done[line.position] for line in lines)
