"""Grants follow booking facts in any order, each at most once."""

import itertools
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.service.access.world import BOOTH, DESK, MEMBER, OTHER, World, later, line, make_fact, moment
from tests.support.tokens import bearer


async def test_a_confirmed_booking_grants_its_doors_and_the_outer_ones_with_margins(world: World):
    await world.set_up()
    fact = make_fact()

    await world.hears(fact)

    grant = await world.grant_of(fact)
    assert grant["status"] == "active"
    assert [door["number"] for door in grant["doors"]] == [1, 2]
    # From the fact, not from the clock: another second may have begun since.
    assert datetime.fromisoformat(grant["starts_at"]) == fact.lines[0].start - timedelta(minutes=10)
    assert len(grant["pin"]) == 6
    assert grant["pin"].isdigit()
    assert grant["pin_armed_at"] is None
    assert grant["address"] == "Beispielweg 1"


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_any_order_with_repeats_ends_the_same(world: World, order: tuple[int, ...]):
    await world.set_up()
    held = make_fact("held", 1, confirmed_at=None)
    facts = [held, later(held, "confirmed", 2), later(held, "checked_in", 3), later(held, "cancelled", 4)]

    for index in order:
        await world.hears(facts[index])
        await world.hears(facts[index])

    grant = await world.grant_of(held)
    assert grant["status"] == "revoked"
    assert grant["pin"] is None
    assert await world.rows("SELECT 1 FROM pin") == []
    assert [tuple(row) for row in await world.rows('SELECT version, status FROM "grant"')] == [(4, "revoked")]


async def test_a_cancellation_that_overtakes_its_confirmation_leaves_a_tombstone(world: World):
    await world.set_up()
    fact = make_fact()
    await world.hears(later(fact, "cancelled", 3))

    await world.hears(fact)

    assert (await world.grant_of(fact))["status"] == "revoked"


async def test_the_same_event_takes_effect_once(world: World):
    await world.set_up()
    fact, event_id = make_fact(), uuid4()

    first = await world.hears(fact, event_id)
    second = await world.hears(fact, event_id)

    assert (first.json(), second.json()) == ({"applied": True}, {"applied": False})


async def test_a_held_booking_leaves_nothing(world: World):
    await world.set_up()
    await world.hears(make_fact("held", 1, confirmed_at=None))

    assert await world.rows('SELECT 1 FROM "grant"') == []


async def test_an_expired_booking_that_was_paid_late_opens(world: World):
    await world.set_up()
    expired = make_fact("expired", 2, confirmed_at=None)
    await world.hears(expired)

    await world.hears(later(expired, "confirmed", 3))

    grant = await world.grant_of(expired)
    assert grant["status"] == "active"
    assert grant["pin"]


async def test_lines_with_other_times_keep_their_own_windows(world: World):
    await world.set_up()
    fact = make_fact(lines=(line(DESK, 0, 180), line(BOOTH, 60, 120)))

    await world.hears(fact)

    windows = (await world.grant_of(fact))["windows"]
    assert [window["doors"] for window in windows] == [[1, 2], [1, 3]]


async def test_a_fact_before_the_doors_are_known_gets_them_later(world: World):
    fact = make_fact()
    await world.hears(fact)
    assert (await world.grant_of(fact))["doors"] == []

    await world.set_up()

    assert [door["number"] for door in (await world.grant_of(fact))["doors"]] == [1, 2]


async def test_pins_differ_within_a_hub_and_are_not_stored_in_clear(world: World):
    await world.set_up()
    facts = [make_fact() for _ in range(30)]
    for fact in facts:
        await world.hears(fact)

    pins = [(await world.grant_of(fact))["pin"] for fact in facts]

    assert len(set(pins)) == 30
    stored = b"".join(bytes(row.sealed) + bytes(row.digest) for row in await world.rows("SELECT * FROM pin"))
    assert not any(pin.encode() in stored for pin in pins)


async def test_a_grant_is_seen_by_its_member_only(world: World):
    await world.set_up()
    fact = make_fact()
    await world.hears(fact)
    grant = await world.grant_of(fact)

    params = {"booking_id": str(fact.booking_id)}
    listed = await world.client.get("/v1/grants", params=params, headers=bearer(OTHER, "member"))
    read = await world.client.get(f"/v1/grants/{grant['id']}", headers=bearer(OTHER, "member"))
    operator = await world.client.get(
        f"/v1/grants/{grant['id']}", headers=bearer("op", "member", "hub-operator", hubs=["bendorf"])
    )
    own = await world.client.get(f"/v1/grants/{grant['id']}", headers=bearer(MEMBER, "member"))

    assert listed.json() == {"items": [], "next": None}
    assert (read.status_code, operator.status_code, own.status_code) == (404, 404, 200)
    assert read.json()["type"] == "/problems/grant-not-found"
    assert own.headers["cache-control"] == "no-store"


async def test_a_missing_fact_is_read_once_from_booking(world: World):
    await world.set_up()
    fact = make_fact()
    world.booking_knows[str(fact.booking_id)] = fact.model_dump(mode="json")

    grant = await world.grant_of(fact)
    world.booking_knows.clear()

    assert grant["status"] == "active"
    assert (await world.grant_of(fact))["id"] == grant["id"]
    await world.hears(fact)
    assert len(await world.rows('SELECT 1 FROM "grant"')) == 1


async def test_booking_being_away_is_no_error(world: World):
    answer = await world.client.get("/v1/grants", params={"booking_id": str(uuid4())}, headers=bearer(MEMBER, "member"))

    assert answer.json() == {"items": [], "next": None}


async def test_only_booking_may_deliver(world: World):
    fact = make_fact()
    envelope = {
        "id": str(uuid4()), "source": "/x", "type": fact.type, "subject": fact.subject,
        "time": moment().isoformat(), "sequence": 1, "data": fact.model_dump(mode="json"),
    }  # fmt: skip

    for headers in (bearer(MEMBER, "member"), bearer("s", "service", azp="regiohub-billing")):
        answer = await world.client.post("/internal/events", json=envelope, headers=headers)
        assert answer.status_code == 403
    assert await world.rows('SELECT 1 FROM "grant"') == []


async def test_a_moved_booking_moves_its_windows_and_its_first_opening_counts_anew(world: World):
    await world.set_up()
    fact = make_fact()
    await world.hears(fact)
    before = await world.grant_of(fact)
    async with world.db.session() as session:
        await session.execute(text('UPDATE "grant" SET first_opened_at = :at'), {"at": moment(-12)})

    moved = fact.model_copy(update={"version": 3, "lines": (line(BOOTH, 600, 660),), "moved_at": moment(-11)})
    await world.hears(moved)
    await world.hears(fact)

    after = await world.grant_of(fact)
    assert (after["id"], after["pin"], after["status"]) == (before["id"], before["pin"], "active")
    assert [door["number"] for door in after["doors"]] == [1, 3]
    assert datetime.fromisoformat(after["starts_at"]) == moved.lines[0].start - timedelta(minutes=10)
    assert after["first_opened_at"] is None
