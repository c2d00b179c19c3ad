"""Windows: slots with margins, doors per line, pieces of at most a day."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiohub_access.domain.windows import MAX_PASS, Site, Span, Window, desired, pieces, windows

DESK, BOOTH = uuid4(), uuid4()
NINE = datetime(2026, 11, 26, 9, tzinfo=UTC)
MARGIN = timedelta(minutes=10)
SITE = Site(MARGIN, frozenset({1}), {DESK: frozenset({2}), BOOTH: frozenset({3, 4})})


def span(resource, start, end):
    return Span(resource, NINE + timedelta(hours=start), NINE + timedelta(hours=end))


def test_the_margin_is_added_on_both_sides_and_the_outer_door_belongs_to_all():
    assert windows([span(DESK, 0, 1)], SITE) == (Window(NINE - MARGIN, NINE + timedelta(hours=1) + MARGIN, (1, 2)),)


def test_same_times_share_a_window_and_other_times_do_not():
    together = windows([span(DESK, 0, 1), span(BOOTH, 0, 1)], SITE)
    apart = windows([span(DESK, 0, 3), span(BOOTH, 1, 2)], SITE)

    assert [window.doors for window in together] == [(1, 2, 3, 4)]
    assert [window.doors for window in apart] == [(1, 2), (1, 3, 4)]


def test_touching_slots_of_one_resource_are_one_window():
    assert len(windows([span(DESK, 1, 2), span(DESK, 0, 1)], SITE)) == 1
    assert len(windows([span(DESK, 0, 1), span(DESK, 2, 3)], SITE)) == 2


def test_a_resource_without_a_door_opens_the_outer_ones():
    assert windows([span(uuid4(), 0, 1)], SITE)[0].doors == (1,)


@given(st.integers(1, 100 * 60))
def test_pieces_cover_a_window_without_gap_or_overlap(minutes):
    window = Window(NINE, NINE + timedelta(minutes=minutes), (1,))
    cut = list(pieces(window))

    assert cut[0].starts_at == window.starts_at
    assert cut[-1].ends_at == window.ends_at
    assert all(a.ends_at == b.starts_at for a, b in pairwise(cut))
    assert all(timedelta(0) < piece.ends_at - piece.starts_at <= MAX_PASS for piece in cut)


@given(
    st.lists(st.tuples(st.sampled_from([DESK, BOOTH]), st.integers(0, 20), st.integers(1, 5)), min_size=1, max_size=6),
    st.integers(-30, 30 * 60),
)
def test_a_door_is_open_exactly_when_a_line_of_it_is(lines, minute):
    at = NINE + timedelta(minutes=minute)
    spans = [span(resource, start, start + length) for resource, start, length in lines]
    opened = {door for w in windows(spans, SITE) if w.starts_at <= at < w.ends_at for door in w.doors}
    live = [s.resource_id for s in spans if s.start - MARGIN <= at < s.end + MARGIN]

    assert opened == {door for resource in live for door in SITE.inner[resource] | SITE.outer}


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        ("requested", None), ("held", None), ("confirmed", "active"), ("checked_in", "active"),
        ("completed", "active"), ("rejected", "revoked"), ("expired", "revoked"), ("cancelled", "revoked"),
        ("no_show", "revoked"),
    ],
)  # fmt: skip
def test_every_status_has_a_meaning(status, meaning):
    assert desired(status) == meaning
