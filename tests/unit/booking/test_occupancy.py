"""Claims and lanes, compared with a slow model of the rule: core meets core and buffer, buffer never meets buffer."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiohub_booking.domain.occupancy import Claim, LinesOverlap, Want, blocked, claims
from regiohub_booking.domain.slot import Slot, union

ZERO = datetime(2026, 11, 25, tzinfo=UTC)
A, B = UUID(int=1), UUID(int=2)


def slot(start: int, end: int) -> Slot:
    return Slot(ZERO + timedelta(minutes=start), ZERO + timedelta(minutes=end))


def want(start: int, end: int, *leaves: UUID, buffer: int = 0) -> Want:
    room = timedelta(minutes=buffer)
    return Want(uuid4(), leaves or (A,), slot(start, end), room, room)


def clash(one: list[Claim], other: list[Claim]) -> bool:
    """What the database's constraint says about rows of two bookings."""
    return any(
        mine.leaf_id == theirs.leaf_id and mine.slot.overlaps(theirs.slot) and (mine.is_core or theirs.is_core)
        for mine in one
        for theirs in other
    )


def shown(rows: list[Claim]) -> list[tuple[int, int, bool]]:
    minute = timedelta(minutes=1)
    return [(int((r.slot.start - ZERO) / minute), int((r.slot.end - ZERO) / minute), r.is_core) for r in rows]


def test_buffers_stand_around_the_core() -> None:
    assert shown(claims([want(60, 120, buffer=30)])) == [(30, 60, False), (60, 120, True), (120, 150, False)]


def test_touching_lines_share_their_buffers() -> None:
    rows = claims([want(60, 120, buffer=30), want(120, 180, buffer=30)])
    assert shown(rows) == [(30, 60, False), (60, 120, True), (120, 180, True), (180, 210, False)]


def test_the_gap_between_own_lines_is_one_buffer_and_never_clashes_with_itself() -> None:
    rows = claims([want(60, 120, buffer=30), want(140, 200, buffer=30)])
    assert shown(rows) == [(30, 60, False), (60, 120, True), (120, 140, False), (140, 200, True), (200, 230, False)]


def test_a_whole_claims_every_leaf_in_order() -> None:
    assert [row.leaf_id for row in claims([want(0, 60, B, A)])] == [A, B]


def test_lines_that_want_the_same_leaf_at_once_are_refused() -> None:
    with pytest.raises(LinesOverlap):
        claims([want(0, 60, A, B), want(30, 90, B)])


def test_two_bookings_may_share_buffer_time_but_not_touch_with_buffers() -> None:
    first = claims([want(0, 60, buffer=30)])
    assert clash(first, claims([want(60, 120, buffer=30)]))
    assert clash(first, claims([want(75, 120, buffer=30)]))
    assert not clash(first, claims([want(90, 120, buffer=30)]))


def test_touching_slots_without_buffers_pass() -> None:
    assert not clash(claims([want(0, 60)]), claims([want(60, 120)]))


pairs = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 8), st.sampled_from([0, 15, 30, 45]), st.sampled_from([(A,), (B,), (A, B)])),
    min_size=1, max_size=6,
)  # fmt: skip


@given(pairs)
def test_rows_of_one_booking_never_overlap_on_a_leaf(some: list[tuple[int, int, int, tuple[UUID, ...]]]) -> None:
    wants = [want(15 * start, 15 * (start + length), *leaves, buffer=buffer) for start, length, buffer, leaves in some]
    try:
        rows = claims(wants)
    except LinesOverlap:
        return
    assert rows == sorted(rows, key=lambda row: (row.leaf_id, row.slot.start))
    for leaf in (A, B):
        mine = sorted(row.slot for row in rows if row.leaf_id == leaf)
        assert all(one.end <= other.start for one, other in pairwise(mine))
        cores = [row.slot for row in rows if row.leaf_id == leaf and row.is_core]
        assert sorted(cores) == sorted(w.slot for w in wants if leaf in w.leaves)
        # Every edge of the union of cores has its buffer (unless the buffer is 0 or another own line is there).
        for core in union(cores):
            last = next(w for w in wants if leaf in w.leaves and w.slot.end == core.end)
            if last.after:
                assert any(row.slot.start == core.end and not row.is_core for row in rows if row.leaf_id == leaf)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6), st.booleans()), max_size=6),
    st.integers(0, 30), st.integers(1, 6), st.sampled_from([0, 15, 30]), st.sampled_from([0, 15, 45]),
)  # fmt: skip
def test_blocked_times_say_the_same_as_the_constraint(
    rows: list[tuple[int, int, bool]], start: int, length: int, before: int, after: int
) -> None:
    busy = [(slot(15 * first, 15 * (first + size)), is_core) for first, size, is_core in rows]
    mine = Want(
        uuid4(), (A,), slot(15 * start, 15 * (start + length)), timedelta(minutes=before), timedelta(minutes=after)
    )
    theirs = [Claim(A, taken, uuid4(), is_core) for taken, is_core in busy]
    says_blocked = any(taken.overlaps(mine.slot) for taken in blocked(busy, mine.before, mine.after))
    assert says_blocked is clash(claims([mine]), theirs)
