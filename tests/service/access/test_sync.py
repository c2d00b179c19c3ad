"""Readers: events up once and chained; keys, deny-list and PINs down; no reader speaks for another hub."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from regiohub_access.domain.chain import broken_links
from regiohub_access.reader import wire
from regiohub_access.repo import events as event_repo
from regiohub_shared import clock
from tests.service.access.world import HUB, READER, FakeReader, Phone, World, later, line, make_fact
from tests.support.tokens import bearer

OPERATOR = ("hub-operator",)


async def confirmed(world: World, **changes: object) -> tuple[dict, object]:
    await world.set_up()
    fact = make_fact(**changes)
    await world.hears(fact)
    return await world.grant_of(fact), fact


async def opened_facts(world: World) -> list[dict]:
    return [row.data for row in await world.rows("SELECT data FROM outbox ORDER BY sequence")]


async def test_a_new_reader_gets_everything(world: World):
    grant, _fact = await confirmed(world)

    answer = await world.syncs(FakeReader())

    assert answer.hub == HUB
    assert [door.number for door in answer.doors] == [1, 2, 3]
    assert len(answer.keys) == 1
    assert answer.denylist.full
    assert [pin.pin for pin in answer.pins.entries] == [grant["pin"]]
    assert answer.pins.entries[0].doors == (1, 2)
    assert answer.commands == wire.Commands()
    assert answer.epoch == 1


async def test_what_the_reader_has_is_not_sent_again(world: World):
    await confirmed(world)
    reader = FakeReader()
    first = await world.syncs(reader)
    have = wire.Have(first.denylist.seq, wire.keys_etag(first.keys), first.pins.seq, first.epoch)

    second = await world.syncs(reader, have=have)

    assert (second.keys, second.pins, second.denylist.entries, second.denylist.full) == (None, None, (), False)


@pytest.mark.parametrize("azp", ["reader-mayen", "regiohub-gateway"])
async def test_only_the_reader_itself_may_sync(world: World, azp: str):
    await world.set_up()
    await world.syncs(FakeReader(), azp=azp, expect=403)


async def test_an_unregistered_reader_and_other_roles_are_refused(world: World):
    await world.set_up(reader=None)
    await world.syncs(FakeReader(), expect=404)
    body = wire.SyncRequest("0" * 16, (), 0, wire.Have(), (), 0).to_json()
    answer = await world.client.post(f"/v1/readers/{READER}/sync", json=body, headers=bearer("m", "member", azp=READER))
    assert answer.status_code == 403


async def test_a_reader_gets_nothing_of_another_hub_and_cannot_open_its_grants(world: World):
    grant, _fact = await confirmed(world)
    await world.set_up(hub="mayen", reader="reader-mayen")
    mayen = FakeReader("reader-mayen")
    pass_id = (await world.asks_pass(grant["id"], Phone())).json()["id"]

    answer = await world.syncs(mayen, mayen.event(pass_id=pass_id))

    assert answer.hub == "mayen"
    assert answer.pins.entries == ()
    assert await opened_facts(world) == []
    assert (await world.grant_of(_fact))["first_opened_at"] is None


async def test_the_first_opening_is_told_once_and_an_earlier_one_again(world: World):
    grant, fact = await confirmed(world)
    pass_id = (await world.asks_pass(grant["id"], Phone())).json()["id"]
    pin_id = (await world.syncs(FakeReader())).pins.entries[0].pin_id
    reader, now = FakeReader(), clock.now()
    denied = reader.event("denied", pass_id=pass_id)
    first = reader.event(pass_id=pass_id, at=now)
    second = reader.event(pass_id=pass_id, at=now + timedelta(seconds=5))
    earlier = reader.event(kind="pin", pin_id=pin_id, at=now - timedelta(minutes=5))
    future = reader.event(pass_id=pass_id, at=now + timedelta(days=1))

    await world.syncs(reader, denied)
    assert await opened_facts(world) == []
    await world.syncs(reader, first, second)
    await world.syncs(reader, first, second)
    await world.syncs(reader, earlier, future)

    told = await opened_facts(world)
    assert [item["version"] for item in told] == [1, 2]
    assert {item["booking_id"] for item in told} == {str(fact.booking_id)}
    assert told[1]["first_opened_at"] < told[0]["first_opened_at"]


async def test_events_are_stored_once_in_a_chain_that_holds(world: World):
    await confirmed(world)
    reader = FakeReader()
    batch = [reader.event("denied") for _ in range(5)]

    acked = [(await world.syncs(reader, *part)).events_acked for part in (batch[:3], batch[:3], batch[1:], batch)]
    fresh = FakeReader(chain="fedcba9876543210")
    acked.append((await world.syncs(fresh, fresh.event("denied"))).events_acked)

    assert acked == [3, 3, 5, 5, 1]
    rows = await world.rows("SELECT number, reader_sequence, is_chained FROM door_event ORDER BY number")
    assert [tuple(row) for row in rows] == [
        (1, 1, True), (2, 2, True), (3, 3, True), (4, 4, True), (5, 5, True), (6, 1, True),
    ]  # fmt: skip
    assert await broken(world) == []


async def broken(world: World) -> list[int]:
    async with world.db.session() as session:
        rows = await event_repo.list_events(session, HUB, before=None)
        hashes = await event_repo.chain_hashes(session, HUB)
        return broken_links([event_repo.as_event(row) for row in rows], hashes)


async def test_a_gap_or_a_changed_event_is_kept_and_marked(world: World):
    await world.set_up()
    reader = FakeReader()
    first, lost, third = (reader.event("denied") for _ in range(3))
    forged = replace(reader.event("denied"), reason="granted")

    answer = await world.syncs(reader, first, third, forged)

    assert lost.seq == 2
    assert answer.events_acked == 4
    rows = await world.rows("SELECT is_chained FROM door_event ORDER BY number")
    assert [row.is_chained for row in rows] == [True, False, False]


async def test_the_app_role_cannot_change_or_delete_events_and_tampering_shows(world: World):
    await confirmed(world)
    reader = FakeReader()
    await world.syncs(reader, reader.event("denied"), reader.event("denied"))
    app = await asyncpg.connect(world.urls.app)
    try:
        for sql in ("UPDATE door_event SET door = 9", "DELETE FROM door_event", "UPDATE chain_link SET hash = ''",
                    "DELETE FROM chain_link", "TRUNCATE door_event"):  # fmt: skip
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await app.execute(sql)
        assert await app.fetchval("SELECT purge_door_events(now() + interval '9 years', 0, 0)") == 0
    finally:
        await app.close()
    owner = await asyncpg.connect(world.urls.owner)
    await owner.execute("UPDATE door_event SET door = 9 WHERE number = 2")
    await owner.close()

    assert await broken(world) == [2]


async def test_events_go_after_30_and_90_days_and_their_hashes_stay(world: World):
    await world.set_up()
    reader = FakeReader()
    await world.syncs(reader, reader.event(), reader.event("denied"), reader.event(), reader.event("denied"))
    owner = await asyncpg.connect(world.urls.owner)
    await owner.execute("UPDATE door_event SET received_at = received_at - interval '31 days' WHERE number < 3")
    await owner.execute("UPDATE door_event SET received_at = received_at - interval '91 days' WHERE number = 4")
    await owner.close()

    async with world.db.session() as session:
        gone = await event_repo.purge(session, now=clock.now(), allowed_days=30, denied_days=90)

    assert gone == 2
    assert [row.number for row in await world.rows("SELECT number FROM door_event ORDER BY number")] == [2, 3]
    assert len(await world.rows("SELECT 1 FROM chain_link")) == 4


async def test_a_pin_is_armed_when_the_reader_says_so_and_not_before(world: World):
    grant, fact = await confirmed(world)
    reader = FakeReader()
    stored = tuple(pin.pin_id for pin in (await world.syncs(reader)).pins.entries)
    assert (await world.grant_of(fact))["pin_armed_at"] is None

    await world.syncs(reader, pins_stored=stored)
    armed_at = (await world.grant_of(fact))["pin_armed_at"]
    await world.syncs(reader, pins_stored=stored)

    assert armed_at is not None
    assert (await world.grant_of(fact))["pin_armed_at"] == armed_at
    await world.set_up(margin=30)  # other times: what the reader holds is no longer this PIN
    await world.syncs(reader, pins_stored=stored)
    assert (await world.grant_of(fact))["pin_armed_at"] is None
    assert grant["pin"] == (await world.grant_of(fact))["pin"]


async def test_a_cancelled_booking_takes_its_pin_from_the_table(world: World):
    _grant, fact = await confirmed(world)
    reader = FakeReader()
    before = await world.syncs(reader)

    await world.hears(later(fact, "cancelled", 3))

    after = await world.syncs(reader, have=wire.Have(before.denylist.seq, "", before.pins.seq, before.epoch))
    assert after.pins.seq > before.pins.seq
    assert after.pins.entries == ()


async def test_a_pin_far_ahead_waits(world: World):
    await confirmed(world, lines=(line(start=60 * 24 * 20, end=60 * 24 * 20 + 60),))

    assert (await world.syncs(FakeReader())).pins.entries == ()


async def test_a_waiting_reader_hears_of_a_revocation_at_once(world: World):
    grant, fact = await confirmed(world)
    await world.asks_pass(grant["id"], Phone())
    reader = FakeReader()
    first = await world.syncs(reader)
    have = wire.Have(first.denylist.seq, wire.keys_etag(first.keys), first.pins.seq, first.epoch)
    started = clock.real_now()

    waiting = asyncio.create_task(world.syncs(reader, have=have, wait_s=10))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await world.hears(later(fact, "cancelled", 3))
    answer = await waiting

    assert clock.real_now() - started < timedelta(seconds=5)
    assert len(answer.denylist.entries) == 1
    assert not answer.denylist.full


async def test_without_news_the_wait_ends(world: World):
    await confirmed(world)
    reader = FakeReader()
    first = await world.syncs(reader)
    have = wire.Have(first.denylist.seq, wire.keys_etag(first.keys), first.pins.seq, first.epoch)
    started = clock.real_now()

    await world.syncs(reader, have=have, wait_s=1)

    assert timedelta(seconds=0.9) < clock.real_now() - started < timedelta(seconds=4)


async def test_a_restored_database_raises_the_epoch_and_sends_all(world: World):
    grant, _fact = await confirmed(world)
    for _ in range(4):
        await world.asks_pass(grant["id"], Phone())

    answer = await world.syncs(FakeReader(), have=wire.Have(denylist_seq=900, pins_seq=900, epoch=1))

    assert answer.epoch == 2
    assert answer.denylist.full
    assert len(answer.denylist.entries) == 1
    assert answer.pins is not None
    assert answer.keys is not None


@pytest.mark.parametrize(
    "broken_part",
    [
        {"version": 2},
        {"chain": "x"},
        {"wait_s": -1},
        {"pins_stored": [""]},
        {"have": {"epoch": -1}},
        {"events": [{"seq": 1}]},
    ],
)
async def test_a_malformed_sync_is_refused_and_stores_nothing(world: World, broken_part: dict):
    await world.set_up()
    reader = FakeReader()
    body = wire.SyncRequest(reader.chain, (reader.event(),), 0, wire.Have(), (), 0).to_json() | broken_part

    answer = await world.client.post(
        f"/v1/readers/{READER}/sync", json=body, headers=bearer("d", "lock-device", azp=READER)
    )

    assert answer.status_code == 422, answer.text
    assert await world.rows("SELECT 1 FROM door_event") == []


async def test_operators_see_their_hub_and_no_other(world: World):
    grant, fact = await confirmed(world)
    reader = FakeReader()
    stored = tuple(pin.pin_id for pin in (await world.syncs(reader)).pins.entries)
    await world.syncs(reader, reader.event("denied", reason="replayed"), pins_stored=stored)

    own, foreign = bearer("op", *OPERATOR, hubs=[HUB]), bearer("op", *OPERATOR, hubs=["mayen"])
    readers = (await world.client.get(f"/v1/hubs/{HUB}/readers", headers=own)).json()["items"]
    listed = (await world.client.get(f"/v1/hubs/{HUB}/door-events", headers=own)).json()["items"]

    assert readers[0]["last_sync_at"] is not None
    assert readers[0]["pins"][0]["booking_id"] == str(fact.booking_id)
    assert readers[0]["pins"][0]["armed_at"] is not None
    assert grant["pin"] not in str(readers)
    assert [item["reason"] for item in listed] == ["replayed"]
    for path in ("readers", "door-events"):
        assert (await world.client.get(f"/v1/hubs/{HUB}/{path}", headers=foreign)).status_code == 403
        assert (await world.client.get(f"/v1/hubs/{HUB}/{path}", headers=bearer("m", "member"))).status_code == 403


async def test_only_the_county_sets_up_doors_and_readers(world: World):
    for headers in (bearer("op", *OPERATOR, hubs=[HUB]), bearer("m", "member")):
        doors = await world.client.put(f"/v1/hubs/{HUB}/doors", json={"doors": []}, headers=headers)
        reader = await world.client.put(f"/v1/readers/{READER}", json={"hub": HUB}, headers=headers)
        assert (doors.status_code, reader.status_code) == (403, 403)
    unknown = await world.client.put(
        f"/v1/readers/{READER}", json={"hub": "nowhere"}, headers=bearer("a", "county-admin")
    )
    assert unknown.status_code == 404


async def test_the_same_doors_again_change_nothing_and_an_old_etag_is_refused(world: World):
    await world.set_up()
    await world.set_up()
    admin = bearer("a", "county-admin")

    stored = await world.client.get(f"/v1/hubs/{HUB}/doors", headers=admin)
    assert stored.headers["etag"] == '"1"'
    stale = await world.client.put(f"/v1/hubs/{HUB}/doors", json={"doors": []}, headers=admin | {"If-Match": '"7"'})
    twice = {"doors": [{"number": 1, "name": "a"}, {"number": 1, "name": "b"}]}
    clash = await world.client.put(f"/v1/hubs/{HUB}/doors", json=twice, headers=admin)

    assert (stale.status_code, clash.status_code) == (412, 422)


async def test_a_reader_with_events_cannot_move_to_another_hub(world: World):
    await world.set_up()
    await world.set_up(hub="mayen", reader=None)
    reader = FakeReader()
    await world.syncs(reader, reader.event())

    moved = await world.client.put(f"/v1/readers/{READER}", json={"hub": "mayen"}, headers=bearer("a", "county-admin"))

    assert (moved.status_code, moved.json()["type"]) == (409, "/problems/reader-moved")
