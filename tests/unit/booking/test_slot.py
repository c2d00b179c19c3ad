"""Half-open intervals: overlap, union, difference."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiohub_booking.domain.slot import EndBeforeStart, Slot, ZoneMissing, subtract, union

ZERO = datetime(2026, 11, 25, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return ZERO + timedelta(minutes=minutes)


def slot(start: int, end: int) -> Slot:
    return Slot(at(start), at(end))


slots = st.tuples(st.integers(0, 300), st.integers(1, 90)).map(lambda pair: slot(pair[0], sum(pair)))
many = st.lists(slots, max_size=12)


def minutes_of(some: list[Slot]) -> set[int]:
    return {
        minute
        for one in some
        for minute in range(
            int((one.start - ZERO) / timedelta(minutes=1)), int((one.end - ZERO) / timedelta(minutes=1))
        )
    }


def test_touching_slots_do_not_overlap() -> None:
    assert not slot(0, 60).overlaps(slot(60, 120))
    assert slot(0, 61).overlaps(slot(60, 120))


def test_a_slot_needs_zones_and_order() -> None:
    with pytest.raises(ZoneMissing):
        Slot(datetime(2026, 11, 25), at(60))
    with pytest.raises(EndBeforeStart):
        slot(60, 60)
    with pytest.raises(EndBeforeStart):
        slot(61, 60)


@given(slots, slots)
def test_overlap_is_symmetric_and_means_a_common_minute(one: Slot, other: Slot) -> None:
    assert one.overlaps(other) is other.overlaps(one)
    assert one.overlaps(other) is bool(minutes_of([one]) & minutes_of([other]))


@given(many)
def test_union_keeps_every_minute_and_leaves_gaps_between(some: list[Slot]) -> None:
    merged = union(some)
    assert minutes_of(merged) == minutes_of(some)
    assert all(one.end < other.start for one, other in pairwise(merged))


@given(many, many)
def test_difference_is_exact(whole: list[Slot], taken: list[Slot]) -> None:
    rest = subtract(whole, taken)
    assert minutes_of(rest) == minutes_of(whole) - minutes_of(taken)
    assert all(one.end <= other.start for one, other in pairwise(rest))
