"""Which numbers a restored counter leaves out."""

from datetime import UTC, datetime

import pytest

from regiohub_billing.domain.numbering import Known, Lost, UnreadableNumber, read_known, skips


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("stadt-bendorf:R-2026-000012", Known("stadt-bendorf", "R-2026-", 12)),
        ("stadt-bendorf:TEST-S-2026-000001", Known("stadt-bendorf", "TEST-S-2026-", 1)),
        ("stadt-mayen:HKR-17", Known("stadt-mayen", "HKR", 17)),
    ],
)
def test_a_number_is_read_as_it_is_printed(text: str, known: Known):
    assert read_known(text) == known


@pytest.mark.parametrize("text", ["", "R-2026-000012", "stadt-bendorf:", "stadt-bendorf:R-2026-", "a:12", "a:R-x"])
def test_what_is_no_number_is_refused(text: str):
    with pytest.raises(UnreadableNumber):
        read_known(text)


@pytest.mark.parametrize(
    ("lost", "credited"),
    [
        (Lost(), 0),
        (Lost(invoices=3), 3),
        (Lost(refunds=2, creditable=50), 12),
        (Lost(refunds=2, creditable=1), 1),
        (Lost(invoices=20, refunds=2), 12),
        (Lost(invoices=1, creditable=3), 4),
    ],
)
def test_no_more_are_cancelled_than_there_are_invoices_and_refunds(lost: Lost, credited: int):
    assert lost.credits == credited


def test_over_new_year_both_years_leap():
    since, until = datetime(2026, 12, 31, 12, tzinfo=UTC), datetime(2027, 1, 1, 12, tzinfo=UTC)
    found = dict(skips(Lost(invoices=4, refunds=1, creditable=2), since=since, until=until, test=False))
    assert found == {"R-2026-": 4, "S-2026-": 6, "R-2027-": 4, "S-2027-": 6, "HKR": 50}


def test_where_nothing_was_ever_booked_no_file_can_be_outside():
    moment = datetime(2026, 11, 30, tzinfo=UTC)
    assert dict(skips(Lost(has_books=False), since=moment, until=moment, test=False))["HKR"] == 0


def test_the_year_is_that_of_germany():
    moment = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    assert dict(skips(Lost(), since=moment, until=moment, test=True)).keys() == {"TEST-R-2027-", "TEST-S-2027-", "HKR"}
