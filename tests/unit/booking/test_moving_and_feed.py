"""A move keeps the booking and its price; a feed's secret is found in its own file name only."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiohub_booking.domain import feed
from regiohub_booking.domain.booking import Ask, Booking, plan
from regiohub_booking.domain.moving import Move, OtherHub, PriceDiffers, plan_move
from regiohub_booking.domain.rules import AlreadyBegun
from regiohub_booking.domain.states import IllegalTransition
from tests.unit.booking.test_rules import NOW, ROOM, place

HOUR = timedelta(hours=1)
OTHER, FAR = UUID(int=2), UUID(int=3)
PLACES = {ROOM: place(), OTHER: place(id=OTHER, leaves=(OTHER,), name="Other"), FAR: place(id=FAR, hub="mayen")}
START = NOW.replace(hour=9, minute=0) + timedelta(days=1)


def confirmed() -> Booking:
    asks, ids = [Ask(ROOM, START, START + 2 * HOUR)], [UUID(int=10), UUID(int=11)]
    draft = plan(asks, PLACES, sub="a", code="ABCD2345", ids=ids, now=NOW)
    return draft.booking.confirm(NOW)


@given(st.sampled_from([ROOM, OTHER]), st.integers(0, 5), st.integers(1, 20))
def test_whatever_moves_the_price_and_the_identity_stay(resource: UUID, hours: int, days: int) -> None:
    before = confirmed()
    start = START + hours * HOUR + timedelta(days=days)

    after = plan_move(
        before, [Move(UUID(int=11), resource, start, start + 2 * HOUR)], PLACES, now=NOW + HOUR, by="member"
    )

    assert (after.id, after.code, after.status, after.gross_cents) == (before.id, before.code, before.status, 800)
    [line] = after.lines
    assert (line.id, line.quote, line.resource_id) == (UUID(int=11), before.lines[0].quote, resource)
    assert (after.starts_at, after.ends_at, after.moved_at) == (start, start + 2 * HOUR, NOW + HOUR)
    assert after.version == before.version + 1


def test_refusals_come_before_anything_else() -> None:
    booking = confirmed()
    there = Move(UUID(int=11), ROOM, START + HOUR, START + 3 * HOUR)
    with pytest.raises(IllegalTransition):
        plan_move(booking.cancel(NOW, "member"), [there], PLACES, now=NOW, by="member")
    with pytest.raises(AlreadyBegun):
        plan_move(booking, [there], PLACES, now=START, by="member")
    with pytest.raises(OtherHub):
        plan_move(booking, [replace(there, resource_id=FAR)], PLACES, now=NOW, by="member")
    with pytest.raises(PriceDiffers) as refusal:
        plan_move(booking, [replace(there, end=START + 2 * HOUR)], PLACES, now=NOW, by="member")
    assert (refusal.value.params["gross_cents"], refusal.value.params["new_gross_cents"]) == (800, 400)
    same = Move(UUID(int=11), ROOM, START, START + 2 * HOUR)
    assert plan_move(booking, [same], PLACES, now=NOW, by="member") is booking


def test_a_secret_is_read_from_its_file_name_and_from_nothing_else() -> None:
    token = feed.draw()
    assert feed.token_of(feed.file_name(token)) == token
    assert len({feed.draw() for _ in range(100)}) == 100
    for name in (
        token,
        f"{token}.ICS",
        f"{token}.ics.ics",
        f"{token[:-1]}.ics",
        f"{token}x.ics",
        ".ics",
        "",
        "ü" * 43 + ".ics",
    ):
        assert feed.token_of(name) is None, name
