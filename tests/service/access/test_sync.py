"""Readers: events up once and chained; keys, deny-list and PINs down; no reader speaks for another hub."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from regiohub_access.reader import wire
from regiohub_access.reader.clock import Moment
from regiohub_access.reader.decide import PinTyped, decide
from regiohub_access.reader.state import State, synced
from regiohub_access.reader.wire import MAX_DRIFT
from regiohub_access.repo import events as event_repo
from regiohub_access.repo import grants
from regiohub_access.usecases import chain
from regiohub_access.usecases.chain import check_chain, check_chains
from regiohub_shared import clock
from regiohub_shared.ids import new_id
from tests.service.access.world import HUB, READER, FakeReader, Phone, World, later, line, make_fact, moment
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


async def test_a_reader_cannot_tell_an_opening_by_another_hubs_pin(world: World):
    """Both hubs have the same doors and margins, so the PIN's id would fit."""
    _grant, fact = await confirmed(world)
    pin_id = (await world.syncs(FakeReader())).pins.entries[0].pin_id
    await world.set_up(hub="mayen", reader="reader-mayen")
    mayen = FakeReader("reader-mayen")

    await world.syncs(mayen, mayen.event(kind="pin", pin_id=pin_id))

    assert await opened_facts(world) == []
    assert (await world.grant_of(fact))["first_opened_at"] is None
    assert await doubts(world) == ["unknown_credential"]


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


async def doubts(world: World) -> list[str | None]:
    return [row.doubt for row in await world.rows("SELECT doubt FROM door_event ORDER BY number")]


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"door": 3}, "outside_window"),  # a door of another room
        ({"door": 99}, "outside_window"),
        ({"minutes": -26}, "outside_window"),
        ({"minutes": 6}, "ahead"),
        ({"minutes": -22 * 60}, "outside_window"),
        ({"pin_id": "{grant}"}, "pin_outdated"),
        ({"pin_id": "{grant}.000000000000"}, "pin_outdated"),
        ({"pin_id": "01890a5d-ac96-774b-bcce-b302099a8057.000000000000"}, "unknown_credential"),
        ({"kind": "pass", "pin_id": None, "pass_id": "ff" * 8}, "unknown_credential"),
        ({"kind": "pass", "pin_id": None, "pass_id": "no pass"}, "unknown_credential"),
        ({"kind": "pass"}, "unknown_credential"),
        ({"hash": "11" * 32}, "not_chained"),
    ],
)
async def test_an_opening_that_cannot_be_true_is_stored_with_its_doubt_and_not_told(
    world: World, changes: dict, doubt: str
):
    changes = dict(changes)
    grant, fact = await confirmed(world)
    pin_id = (await world.syncs(FakeReader())).pins.entries[0].pin_id
    reader = FakeReader()
    values = {"kind": "pin", "pin_id": pin_id, "at": moment(changes.pop("minutes", 0))} | changes
    if values["pin_id"]:
        values["pin_id"] = values["pin_id"].format(grant=grant["id"])
    forged = reader.event(**values)

    await world.syncs(reader, replace(forged, **{key: changes[key] for key in changes.keys() & {"hash"}}))

    assert await opened_facts(world) == []
    assert (await world.grant_of(fact))["first_opened_at"] is None
    assert await doubts(world) == [doubt]
    assert await broken(world) == []
    listed = await world.client.get(f"/v1/hubs/{HUB}/door-events", headers=bearer("op", *OPERATOR, hubs=[HUB]))
    assert listed.json()["items"][0]["doubt"] == doubt


async def test_an_opening_at_the_edge_of_the_window_is_told(world: World):
    """The reader's clock may differ by five minutes."""
    await confirmed(world)
    pin_id = (await world.syncs(FakeReader())).pins.entries[0].pin_id
    reader = FakeReader()

    await world.syncs(reader, reader.event(kind="pin", pin_id=pin_id, at=moment(-24), door=2))

    assert len(await opened_facts(world)) == 1
    assert await doubts(world) == [None]


@pytest.mark.parametrize("fast", [timedelta(minutes=3), MAX_DRIFT])
@pytest.mark.parametrize("ms", [0, 1])
async def test_whom_a_reader_lets_in_by_its_own_clock_is_checked_in(
    world: World, fast: timedelta, ms: int, monkeypatch: pytest.MonkeyPatch
):
    """The reader's own rule, asked at its bound and a millisecond past it, decides what access must believe."""
    await confirmed(world)
    first = await world.syncs(FakeReader())
    server = clock.now()
    monkeypatch.setattr(clock, "now", lambda: server)
    drift = fast + timedelta(milliseconds=ms)
    own = Moment(server + drift, server + drift)
    knows = synced(State(issuer="test-installation", hub=HUB), replace(first, server_time=server), own)
    pin = first.pins.entries[0]
    opened = decide(knows, PinTyped(1, pin.pin), own)

    assert opened.decision == ("allowed" if drift <= MAX_DRIFT else "denied")
    if opened.decision == "allowed":
        reader = FakeReader()
        await world.syncs(reader, reader.event(kind="pin", pin_id=pin.pin_id, at=own.now))
        assert await doubts(world) == [None]
        assert len(await opened_facts(world)) == 1


@pytest.mark.parametrize(("minutes", "told", "doubt"), [(-5, 1, None), (4, 1, None), (9, 0, "grant_not_active")])
async def test_an_opening_counts_if_the_grant_was_active_then(
    world: World, minutes: int, told: int, doubt: str | None, monkeypatch: pytest.MonkeyPatch
):
    """Told late: the booking was cancelled and its PIN is gone by then."""
    _grant, fact = await confirmed(world)
    pin_id = (await world.syncs(FakeReader())).pins.entries[0].pin_id
    await world.hears(later(fact, "cancelled", 3))
    cancelled_at, reader = clock.now(), FakeReader()
    monkeypatch.setattr(clock, "now", lambda: cancelled_at + timedelta(minutes=10))

    await world.syncs(reader, reader.event(kind="pin", pin_id=pin_id, at=cancelled_at + timedelta(minutes=minutes)))

    assert len(await opened_facts(world)) == told
    assert await doubts(world) == [doubt]


async def test_a_grant_that_never_was_active_was_never_opened(world: World):
    """The cancellation overtook the confirmation: nobody ever had a PIN."""
    await world.set_up()
    fact, reader = make_fact(), FakeReader()
    await world.hears(later(fact, "cancelled", 3))
    grant = await world.grant_of(fact)

    await world.syncs(reader, reader.event(kind="pin", pin_id=f"{grant['id']}.000000000000", at=moment(-5)))

    assert await opened_facts(world) == []
    assert await doubts(world) == ["grant_not_active"]


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
        return await check_chain(session, HUB, after=0, kept_days=30, now=clock.now())


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


async def readiness(world: World) -> dict:
    """What readyz says after the worker's rounds over the whole chain, and the next one from its start."""
    for _ in range(3):
        async with world.db.session() as session:
            await check_chains(session, kept_days=30, now=clock.now())
    return (await world.client.get("/readyz")).json()


async def as_owner(world: World, *statements: str) -> None:
    owner = await asyncpg.connect(world.urls.owner)
    for statement in statements:
        await owner.execute(statement)
    await owner.close()


@pytest.mark.parametrize(
    ("harm", "broken_at"),
    [
        (("UPDATE door_event SET door = 9 WHERE number = 4",), 4),
        (("DELETE FROM door_event WHERE number = 4",), 4),
        (("DELETE FROM chain_link WHERE number = 4",), 4),
        (("DELETE FROM door_event WHERE number = 5", "DELETE FROM chain_link WHERE number = 5"), 5),
        (("UPDATE hub SET event_hash = 'x'",), 5),
    ],
)
async def test_a_broken_chain_shows_in_readyz(
    world: World, harm: tuple[str, ...], broken_at: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(chain, "STRETCH", 2)
    await world.set_up()
    reader = FakeReader()
    await world.syncs(reader, *(reader.event("denied") for _ in range(5)))
    assert await readiness(world) == {"status": "ready", "degraded": {}}

    await as_owner(world, *harm)

    told = {"door_events": {"broken": {HUB: broken_at}}}
    assert await readiness(world) == {"status": "degraded", "degraded": told}
    assert await readiness(world) == {"status": "degraded", "degraded": told}


async def test_a_mended_chain_is_well_again(world: World):
    await world.set_up()
    reader = FakeReader()
    await world.syncs(reader, reader.event("denied"), reader.event("denied"))
    await as_owner(world, "UPDATE door_event SET door = 9 WHERE number = 2")
    assert (await readiness(world))["status"] == "degraded"

    await as_owner(world, "UPDATE door_event SET door = 1 WHERE number = 2")

    assert (await readiness(world))["status"] == "ready"


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


async def test_a_pin_that_went_while_the_reader_told_of_it_fails_no_sync(world: World):
    """A cancellation can come between the reading of the table and the writing of who holds what."""
    _grant, fact = await confirmed(world)
    reader = FakeReader()
    stored = tuple(pin.pin_id for pin in (await world.syncs(reader)).pins.entries)
    [pin] = await world.rows("SELECT grant_id FROM pin")
    async with world.db.session() as session:
        await grants.put_armed(session, READER, [pin.grant_id, new_id()], now=clock.now())
    assert await world.rows("SELECT 1 FROM armed_pin") == []

    await world.syncs(reader, pins_stored=stored)
    assert (await world.grant_of(fact))["pin_armed_at"] is not None


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


async def test_nobody_waits_for_a_reader_that_has_hung_up(world: World):
    await confirmed(world)
    reader = FakeReader()
    first = await world.syncs(reader)
    have = wire.Have(first.denylist.seq, wire.keys_etag(first.keys), first.pins.seq, first.epoch)
    has_asked = False

    async def hung_up(scope, receive, send):
        async def asks_and_leaves():
            nonlocal has_asked
            message = {"type": "http.disconnect"} if has_asked else await receive()
            has_asked = not message.get("more_body")
            return message

        await world.app(scope, asks_and_leaves, send)

    started = clock.real_now()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(hung_up), base_url="http://access") as client:
        request = wire.SyncRequest(reader.chain, (), 0, have, (), 10)
        headers = bearer("device", "lock-device", azp=READER)
        await client.post(f"/v1/readers/{READER}/sync", json=request.to_json(), headers=headers)

    assert clock.real_now() - started < timedelta(seconds=5)


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


@pytest.mark.parametrize("epoch", [2**31 - 1, 2**53 - 1, 1000])
async def test_a_reader_cannot_drive_the_epoch_to_its_end(world: World, epoch: int):
    await confirmed(world)

    first = await world.syncs(FakeReader(), have=wire.Have(epoch=epoch))
    second = await world.syncs(FakeReader(), have=wire.Have(denylist_seq=900, pins_seq=900, epoch=first.epoch))

    assert (first.epoch, second.epoch) == (1, 2)


async def test_an_epoch_a_few_restores_ahead_is_led(world: World):
    await confirmed(world)

    assert (await world.syncs(FakeReader(), have=wire.Have(epoch=4))).epoch == 5


async def test_an_epoch_that_a_lost_restore_gave_is_led(world: World):
    """The tool takes its own time as epoch; a second restore, by hand from an older backup, does not know that."""
    await confirmed(world)
    given = int((clock.real_now() - timedelta(days=1)).timestamp())
    to_come = int((clock.real_now() + timedelta(days=1)).timestamp())

    assert (await world.syncs(FakeReader(), have=wire.Have(epoch=to_come))).epoch == 1
    assert (await world.syncs(FakeReader(), have=wire.Have(epoch=given))).epoch == given + 1


async def test_the_epoch_stays_a_number_that_readers_take(world: World):
    await confirmed(world)
    owner = await asyncpg.connect(world.urls.owner)
    await owner.execute("UPDATE hub SET epoch = 2::bigint ^ 53 - 2")
    await owner.close()

    for _ in range(3):
        answer = await world.syncs(FakeReader(), have=wire.Have(900, "", 900, 2**53 - 1))
        assert answer.epoch <= 2**53 - 1


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
    doors = (await world.client.get(f"/v1/hubs/{HUB}/doors", headers=own)).json()["doors"]
    assert listed[0]["door"] in {door["number"] for door in doors}
    for path in ("readers", "door-events", "doors"):
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


async def test_doors_change_only_for_someone_who_saw_them(world: World):
    await world.set_up()
    path, admin = f"/v1/hubs/{HUB}/doors", bearer("a", "county-admin")
    stored = await world.client.get(path, headers=admin)
    same = {key: stored.json()[key] for key in ("doors", "margin_minutes", "address")}
    other = {"doors": [{"number": 1, "name": "Tor", "outer": True}]}

    again = await world.client.put(path, json=same, headers=admin)
    blind = await world.client.put(path, json=other, headers=admin)
    stale = await world.client.put(path, json=other, headers=admin | {"If-Match": '"7"'})
    weak = await world.client.put(path, json=other, headers=admin | {"If-Match": 'W/"1"'})
    seen = await world.client.put(path, json=other, headers=admin | {"If-Match": stored.headers["etag"]})

    assert (weak.status_code, weak.json()["type"]) == (412, "/problems/precondition-failed")
    assert [answer.status_code for answer in (again, blind, stale, seen)] == [200, 428, 412, 200]
    assert [answer.headers.get("etag") for answer in (again, seen)] == ['"1"', '"2"']
    assert blind.json()["version"] == stale.json()["version"] == 1
    assert [door["name"] for door in seen.json()["doors"]] == ["Tor"]


async def test_a_hub_that_only_facts_named_gets_its_first_doors_without_an_etag(world: World):
    await world.hears(make_fact())
    body = {"doors": [{"number": 1, "name": "Tor", "outer": True}]}

    answer = await world.client.put(f"/v1/hubs/{HUB}/doors", json=body, headers=bearer("a", "county-admin"))

    assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')


async def test_door_numbers_differ(world: World):
    twice = {"doors": [{"number": 1, "name": "a"}, {"number": 1, "name": "b"}]}

    clash = await world.client.put(f"/v1/hubs/{HUB}/doors", json=twice, headers=bearer("a", "county-admin"))

    assert clash.status_code == 422


async def test_a_reader_with_events_cannot_move_to_another_hub(world: World):
    await world.set_up()
    await world.set_up(hub="mayen", reader=None)
    reader = FakeReader()
    await world.syncs(reader, reader.event())

    moved = await world.client.put(f"/v1/readers/{READER}", json={"hub": "mayen"}, headers=bearer("a", "county-admin"))

    assert (moved.status_code, moved.json()["type"]) == (409, "/problems/reader-moved")


async def test_a_reader_s_silence_is_measured_from_its_last_sync(world: World):
    await world.set_up()
    await world.syncs(FakeReader())
    async with world.db.session() as session:
        await session.execute(text("UPDATE reader SET last_sync_at = :at"), {"at": clock.now() - timedelta(hours=1)})

    silent = await _silence(world)
    await world.syncs(FakeReader())
    heard = await _silence(world)

    assert silent.keys() == heard.keys() == {(HUB, READER)}
    assert 3600 <= silent[HUB, READER] < 3700
    assert heard[HUB, READER] < 60


async def _silence(world: World) -> dict[tuple[str, str], float]:
    told = (await world.client.get("/metrics")).text
    lines = re.findall(r'^reader_silence_seconds\{hub="([^"]+)",reader="([^"]+)"\} (\S+)$', told, re.MULTILINE)
    return {(hub, reader): float(value) for hub, reader, value in lines}
