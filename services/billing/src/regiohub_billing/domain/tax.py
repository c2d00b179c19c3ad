"""Tax by date of supply, and the split of gross prices into net and tax that loses no cent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from regiohub_shared.money import tax_in_gross
from regiohub_shared.problem import Conflict


class NoTaxRule(Conflict):
    """The seller has no rule for this tax code on the day of supply."""

    type = "no-tax-rule"
    title = "The seller has no tax rule for this service"


@dataclass(frozen=True, slots=True)
class TaxRule:
    """How one tax code is taxed from a day on.

    ``category`` follows EN 16931: S (taxed), E (exempt), O (outside the scope). ``note`` is printed where no tax is
    due. ``revenue_account`` is the Sachkonto that takes the net amount.
    """

    tax_code: str
    valid_from: date
    rate_percent: Decimal
    category: str
    note: str
    revenue_account: str


def rule_for(rules: Iterable[TaxRule], tax_code: str, supply_date: date) -> TaxRule:
    """Return the latest rule that is valid on the day of supply, or raise :class:`NoTaxRule`."""
    valid = [rule for rule in rules if rule.tax_code == tax_code and rule.valid_from <= supply_date]
    if not valid:
        raise NoTaxRule(tax_code=tax_code, supply_date=supply_date.isoformat())
    return max(valid, key=lambda rule: rule.valid_from)


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Spread ``total`` over parts in proportion to non-negative weights; the parts sum to the total exactly.

    The cents that rounding down leaves over go to the largest remainders, ties to the earlier part. Weights that
    are all zero can only take a total of zero (else ``ValueError``).
    """
    whole = sum(weights)
    if whole == 0:
        if total:
            raise ValueError("a total cannot be spread over nothing")
        return [0 for _ in weights]
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts


def split_gross(gross_cents: Sequence[int], rate_percent: Decimal) -> list[tuple[int, int]]:
    """Split the gross lines of one rate into ``(net, tax)``.

    Tax is rounded once for the whole rate; net is spread over the lines by largest remainder, so that what the
    member pays is what the document says (per-line rounding would lose cents: 3 × 9,99 € would print as 29,95 €).
    """
    total = sum(gross_cents)
    nets = largest_remainder(total - tax_in_gross(total, rate_percent), gross_cents)
    return [(net, gross - net) for gross, net in zip(gross_cents, nets, strict=True)]
