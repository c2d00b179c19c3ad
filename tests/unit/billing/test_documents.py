"""Documents and journal: each entry balances, a full cancellation undoes its invoice to the cent."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiohub_billing.domain.document import (
    CANCELLATION,
    INVOICE,
    Item,
    cancellation_lines,
    invoice_lines,
    number_text,
    series,
    supply_date,
    tax_totals,
)
from regiohub_billing.domain.journal import (
    Accounts,
    Posting,
    Unbalanced,
    balanced,
    cancellation_postings,
    invoice_postings,
    mirror,
    payment_postings,
    refund_postings,
)
from regiohub_billing.domain.tax import TaxRule

RULES = [
    TaxRule("S19", date(2020, 1, 1), Decimal(19), "S", "", "44110000"),
    TaxRule("S07", date(2020, 1, 1), Decimal(7), "S", "", "44110000"),
    TaxRule("E12", date(2020, 1, 1), Decimal(0), "E", "Steuerfrei nach § 4 Nr. 12 Buchst. a UStG", "44120000"),
]
START = datetime(2026, 12, 1, 8, tzinfo=UTC)
ITEMS = st.lists(
    st.builds(
        lambda cents, code, day: Item(
            "Tisch", START + timedelta(days=day), START + timedelta(days=day, hours=2), cents, code
        ),
        st.integers(0, 500_000),
        st.sampled_from(["S19", "S07", "E12"]),
        st.integers(0, 40),
    ),
    min_size=1,
    max_size=12,
)
ACCOUNTS = Accounts()


def balance(*entries: tuple[Posting, ...]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for entry in entries:
        for posting in entry:
            sums[posting.account] += posting.debit_cents - posting.credit_cents
    return {account: cents for account, cents in sums.items() if cents}


@given(ITEMS)
def test_an_invoice_says_what_was_paid(items):
    lines = invoice_lines(items, RULES)

    assert [line.gross_cents for line in lines] == [item.gross_cents for item in items]
    assert all(line.net_cents + line.tax_cents == line.gross_cents for line in lines)
    assert sum(total.gross_cents for total in tax_totals(lines)) == sum(item.gross_cents for item in items)
    for total in tax_totals(lines):
        assert abs(total.tax_cents - total.net_cents * total.rate_percent / 100) <= 1


@given(ITEMS)
def test_paid_invoiced_cancelled_and_refunded_leaves_nothing_behind(items):
    lines = invoice_lines(items, RULES)
    gross = sum(line.gross_cents for line in lines)
    credit = cancellation_lines(lines, 0)

    assert credit == lines
    history = [
        payment_postings(gross, ACCOUNTS),
        invoice_postings(lines, ACCOUNTS),
        cancellation_postings(credit, ACCOUNTS),
        refund_postings(gross, ACCOUNTS, invoiced=True),
    ]
    assert all(sum(p.debit_cents - p.credit_cents for p in entry) == 0 for entry in history)
    assert balance(*history) == {}


@given(ITEMS, st.integers(0, 1_000_000))
def test_a_cancellation_fee_stays_as_revenue_with_its_tax(items, fee):
    lines = invoice_lines(items, RULES)
    gross = sum(line.gross_cents for line in lines)
    credit = cancellation_lines(lines, fee)
    back = sum(line.gross_cents for line in credit)

    assert back == max(0, gross - fee)
    assert all(0 <= c.gross_cents <= x.gross_cents for c, x in zip(credit, lines, strict=True))
    assert all(c.net_cents + c.tax_cents == c.gross_cents for c in credit)
    left = balance(
        payment_postings(gross, ACCOUNTS),
        invoice_postings(lines, ACCOUNTS),
        cancellation_postings(credit, ACCOUNTS),
        refund_postings(back, ACCOUNTS, invoiced=True),
    )
    assert left.get(ACCOUNTS.clearing, 0) == gross - back == -sum(v for k, v in left.items() if k != ACCOUNTS.clearing)
    assert ACCOUNTS.debtor not in left
    assert ACCOUNTS.prepayment not in left


@given(st.integers(1, 10_000_000))
def test_money_for_a_lost_slot_goes_back_without_touching_revenue(cents):
    paid = payment_postings(cents, ACCOUNTS)
    refund = refund_postings(cents, ACCOUNTS, invoiced=False)

    assert balance(paid, refund) == {}
    assert {p.account for p in (*paid, *refund)} == {ACCOUNTS.clearing, ACCOUNTS.prepayment}
    assert balance(refund, mirror(refund)) == {}


@pytest.mark.parametrize(
    "postings",
    [
        [Posting("1", 100), Posting("2", 0, 99)],
        [Posting("1", 100, 100)],
        [Posting("1", -5), Posting("2", 0, -5)],
        [Posting("1", 100), Posting("2", 0, 100), Posting("3", 1)],
    ],
)
def test_an_unbalanced_entry_is_refused(postings):
    with pytest.raises(Unbalanced):
        balanced(postings)


def test_the_rate_follows_the_day_in_germany_not_in_utc():
    new_year = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    rules = [*RULES, TaxRule("S19", date(2027, 1, 1), Decimal(20), "S", "", "44110000")]
    item = Item("Tisch", new_year, new_year + timedelta(hours=1), 1200, "S19")

    assert supply_date(new_year) == date(2027, 1, 1)
    assert invoice_lines([item], rules)[0].rate_percent == 20


def test_numbers_name_series_and_year_and_mark_tests():
    day = date(2026, 11, 25)

    assert number_text(series(INVOICE, day, test=False), 1) == "R-2026-000001"
    assert number_text(series(CANCELLATION, day, test=False), 12) == "S-2026-000012"
    assert number_text(series(INVOICE, day, test=True), 1) == "TEST-R-2026-000001"
