"""One rounding rule, exact tax, German writing."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiohub_shared.money import CURRENCY, format_eur, round_half_up, tax_in_gross

cents = st.integers(-(10**12), 10**12)
rates = st.decimals(0, 100, places=2)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("0.5", 1), ("1.5", 2), ("2.5", 3), ("-0.5", -1), ("-2.5", -3), ("0.49", 0), ("2.4999999", 2), ("-0.4", 0)],
)
def test_halves_go_away_from_zero(value: str, wanted: int) -> None:
    assert round_half_up(Decimal(value)) == wanted


@given(st.decimals(-(10**12), 10**12, places=6))
def test_rounding_is_near_and_symmetric(value: Decimal) -> None:
    rounded = round_half_up(value)
    assert abs(Fraction(value) - rounded) <= Fraction(1, 2)
    assert round_half_up(-value) == -rounded
    assert isinstance(rounded, int)


@given(cents)
def test_whole_cents_stay(value: int) -> None:
    assert round_half_up(Decimal(value)) == value


@pytest.mark.parametrize(
    ("gross", "rate", "tax"),
    [
        (11900, "19", 1900),
        (1200, "19", 192),
        (10700, "7", 700),
        (100, "7", 7),
        (1, "19", 0),
        (0, "19", 0),
        (999, "0", 0),
    ],
)
def test_known_taxes(gross: int, rate: str, tax: int) -> None:
    assert tax_in_gross(gross, Decimal(rate)) == tax


@given(cents, rates)
def test_tax_and_net_make_the_gross(gross: int, rate: Decimal) -> None:
    tax = tax_in_gross(gross, rate)
    exact = Fraction(gross) * Fraction(rate) / (100 + Fraction(rate))
    assert abs(exact - tax) <= Fraction(1, 2)
    assert tax_in_gross(-gross, rate) == -tax, "a credit mirrors its invoice"
    assert abs(tax) <= abs(gross)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0,00 €"),
        (1200, "12,00 €"),
        (5, "0,05 €"),
        (-5, "-0,05 €"),
        (123456789, "1.234.567,89 €"),
        (-100000, "-1.000,00 €"),
    ],
)
def test_written_in_german(value: int, text: str) -> None:
    assert format_eur(value) == text.replace(" ", "\u00a0")


@given(cents)
def test_writing_loses_nothing(value: int) -> None:
    text = format_eur(value)
    assert int(text.removesuffix("\u00a0€").replace(".", "").replace(",", "")) == value


def test_currency() -> None:
    assert CURRENCY == "EUR"
