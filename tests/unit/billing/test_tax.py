"""Tax is chosen by the day of supply and no cent is lost."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiohub_billing.domain.tax import NoTaxRule, TaxRule, largest_remainder, rule_for, split_gross

CENTS = st.integers(0, 10_000_000)
RATES = st.sampled_from([Decimal(0), Decimal("5.5"), Decimal(7), Decimal("10.7"), Decimal(16), Decimal(19)])


def rule(day: str, rate: str, code: str = "S19") -> TaxRule:
    return TaxRule(code, date.fromisoformat(day), Decimal(rate), "S", "", "44110000")


@given(st.lists(CENTS, min_size=1, max_size=30), RATES)
def test_net_and_tax_of_the_lines_add_up_to_the_gross_and_to_the_rate(gross, rate):
    parts = split_gross(gross, rate)

    assert [net + tax for net, tax in parts] == gross
    assert all(net >= 0 and tax >= 0 for net, tax in parts)
    basis, tax = sum(net for net, _ in parts), sum(tax for _, tax in parts)
    assert abs(Decimal(tax) - basis * rate / 100) <= 1


@given(st.lists(CENTS, min_size=1, max_size=30), st.data())
def test_a_spread_total_is_kept_and_no_part_is_more_than_a_cent_off(weights, data):
    total = data.draw(st.integers(0, sum(weights)))
    parts = largest_remainder(total, weights)

    assert sum(parts) == total
    if sum(weights):
        exact = [Decimal(total) * weight / sum(weights) for weight in weights]
        assert all(abs(part - wish) < 1 for part, wish in zip(parts, exact, strict=True))


def test_nothing_can_be_spread_over_nothing():
    assert largest_remainder(0, [0, 0]) == [0, 0]
    with pytest.raises(ValueError, match="over nothing"):
        largest_remainder(1, [0, 0])


def test_three_times_nine_ninety_nine_costs_what_the_customer_expects():
    assert split_gross([999, 999, 999], Decimal(19)) == [(840, 159), (839, 160), (839, 160)]


def test_the_latest_rule_on_the_day_of_supply_counts():
    rules = [
        rule("2027-01-01", "19"),
        rule("2020-07-01", "16"),
        rule("2021-01-01", "18"),
        rule("2020-01-01", "7", "S07"),
    ]

    assert rule_for(rules, "S19", date(2026, 12, 31)).rate_percent == 18
    assert rule_for(rules, "S19", date(2027, 1, 1)).rate_percent == 19
    with pytest.raises(NoTaxRule):
        rule_for(rules, "S19", date(2020, 6, 30))
    with pytest.raises(NoTaxRule):
        rule_for(rules, "E12", date(2027, 1, 1))
