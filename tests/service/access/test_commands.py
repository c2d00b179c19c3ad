"""Open a door from afar: by an operator, with a reason, by one reader, once, in time; the member concerned is told."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from regiohub_access.reader import wire
from regiohub_access.reader.decide import PinTyped
from regiohub_access.usecases.housekeeping import keep_house
from regiohub_shared import clock
from regiohub_shared.ids import new_id
from tests.service.access.test_reader_program import Hub, hub
from tests.service.access.world import HUB, MEMBER, OTHER, READER, FakeReader, World, line, make_fact
from tests.support.tokens import bearer

__all__ = ["hub"]
OPERATOR = bearer("operator-1", "member", "hub-operator", hubs=[HUB])
ABROAD = bearer("operator-2", "member", "hub-operator", hubs=["mayen"])
REASON = "Ohne Telefon vor der Tür"


async def order(
    world: World, door: int = 1, *, reason: str = REASON, by: dict[str, str] = OPERATOR, command: UUID | None = None
) -> httpx.Response:
    path = f"/v1/hubs/{HUB}/commands/{command or new_id()}"
    return await world.client.put(path, json={"door": door, "reason": reason}, headers=by)


async def listed(world: World) -> list[dict[str, Any]]:
    answer = await world.client.get(f"/v1/hubs/{HUB}/commands", headers=OPERATOR)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


@pytest.fixture
async def connected(world: World) -> FakeReader:
    """A reader that has just called and understands commands."""
    await world.set_up()
    reader = FakeReader()
    await world.syncs(reader, commands_version=2)
    return reader


async def test_it_waits_until_its_reader_says_that_the_door_opened(world: World, connected: FakeReader):
    answer = await order(world)
    assert (answer.status_code, answer.json()["state"]) == (201, "waiting")

    told = await world.syncs(connected, commands_version=2)
    assert told is not None
    [item] = told.commands.items
    assert (told.commands.version, item.id, item.door) == (2, answer.json()["id"], 1)
    assert timedelta() < item.expires_at - told.server_time <= timedelta(seconds=30)
    assert [one["state"] for one in await listed(world)] == ["waiting"]
    again = await world.syncs(connected, commands_version=2)
    assert again is not None
    assert again.commands == told.commands, "the answer may have been lost"

    event = connected.event(kind="command", command_id=item.id)
    for _ in range(2):
        after = await world.syncs(connected, event, commands_version=2)
        assert after is not None
        assert after.commands.items == ()
    [one] = await listed(world)
    assert (one["state"], one["reason"], one["opened_by"]) == ("opened", REASON, "operator-1")
    events = (await world.client.get(f"/v1/hubs/{HUB}/door-events", headers=OPERATOR)).json()["items"]
    assert [(e["method"], e["decision"], e["operator"], e["operator_reason"], e["doubt"]) for e in events] == [
        ("command", "allowed", "operator-1", REASON, None)
    ]
    assert await world.rows("SELECT 1 FROM outbox") == [], "an operator's opening checks nobody in"


async def test_a_repeat_is_the_same_command_and_another_content_is_refused(world: World, connected: FakeReader):
    key = new_id()
    first = await order(world, command=key)
    again = await order(world, command=key)
    other = await order(world, reason="Etwas anderes", command=key)
    foreign = await order(world, command=key, by=bearer("boss", "county-admin"))

    assert (first.status_code, again.status_code, again.json()) == (201, 200, first.json())
    assert (other.status_code, other.json()["type"]) == (409, "/problems/command-reused")
    assert foreign.status_code == 409
    assert len(await listed(world)) == 1


@pytest.mark.parametrize("reason", ["", "  ", "ab", "x" * 201, "a\nb\x00c"])
async def test_without_a_reason_nothing_opens(world: World, connected: FakeReader, reason: str):
    assert (await order(world, reason=reason)).status_code == 422
    assert await listed(world) == []


async def test_only_who_runs_the_hub_may_and_only_doors_that_are_there(world: World, connected: FakeReader):
    for by, status in ((ABROAD, 403), (bearer(MEMBER, "member"), 403), (bearer("d", "lock-device", azp=READER), 403)):
        assert (await order(world, by=by)).status_code == status
    unknown = await order(world, door=9)
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/door-not-found")
    assert (await world.client.get(f"/v1/hubs/{HUB}/commands", headers=ABROAD)).status_code == 403
    assert await listed(world) == []


async def test_while_no_reader_is_there_it_is_refused_and_never_queued(world: World):
    await world.set_up()
    never = await order(world)
    await world.syncs(FakeReader(), commands_version=1)
    older = await order(world)
    await world.syncs(FakeReader(), commands_version=2)
    async with world.db.session() as session:
        await session.execute(text("UPDATE reader SET last_sync_at = :at"), {"at": clock.now() - timedelta(seconds=31)})
    gone = await order(world)

    for answer in (never, older, gone):
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/reader-away")
    told = await world.syncs(FakeReader(), commands_version=2)
    assert told is not None
    assert told.commands.items == ()


async def test_a_reader_that_knows_no_commands_gets_the_old_answer(world: World, connected: FakeReader):
    await order(world)

    old = await world.syncs(connected, commands_version=1)

    assert old is not None
    assert (old.commands.version, old.commands.items) == (1, ())


async def test_a_waiting_reader_hears_of_it_at_once(world: World, connected: FakeReader):
    have = (await world.syncs(connected, commands_version=2)) or pytest.fail("no answer")
    known = wire.Have(have.denylist.seq, wire.keys_etag(have.keys or ()), have.pins.seq if have.pins else 0, have.epoch)
    waiting = asyncio.create_task(world.syncs(connected, have=known, wait_s=10, commands_version=2))
    await asyncio.sleep(0.7)
    assert not waiting.done()

    await order(world)

    async with asyncio.timeout(3):
        told = await waiting
    assert told is not None
    assert len(told.commands.items) == 1


async def test_of_two_readers_one_gets_it_and_a_wiped_one_does_not_get_it_again(world: World, connected: FakeReader):
    second = FakeReader("reader-two")
    await world.client.put("/v1/readers/reader-two", json={"hub": HUB}, headers=bearer("a", "county-admin"))
    await order(world)

    answers = await asyncio.gather(*(world.syncs(r, commands_version=2) for r in (connected, second) * 4))

    got = [reader for reader, answer in zip((connected, second) * 4, answers, strict=True) if answer.commands.items]
    assert len(set(map(id, got))) == 1
    wiped = FakeReader(got[0].client_id, chain="f" * 16)
    for reader in (wiped, second if got[0] is connected else connected):
        answer = await world.syncs(reader, commands_version=2)
        assert answer is not None
        assert answer.commands.items == ()


async def test_an_expired_one_is_not_sent_and_shown_as_expired(world: World, connected: FakeReader):
    answer = await order(world)
    await world.syncs(connected, commands_version=2)
    owner = await asyncpg.connect(world.urls.owner)
    await owner.execute("UPDATE command SET expires_at = $1", clock.real_now() - timedelta(seconds=1))
    await owner.close()

    late = await world.syncs(connected, commands_version=2)

    assert late is not None
    assert late.commands.items == ()
    assert [one["state"] for one in await listed(world)] == ["expired"]
    # What the reader did in time and tells late is still the truth.
    event = connected.event(kind="command", command_id=answer.json()["id"], at=clock.now() - timedelta(seconds=2))
    await world.syncs(connected, event, commands_version=2)
    assert [one["state"] for one in await listed(world)] == ["opened"]


@pytest.mark.parametrize(("reason", "state"), [("expired", "expired"), ("clock", "refused")])
async def test_a_refusal_of_the_reader_is_shown_with_its_reason(
    world: World, connected: FakeReader, reason: str, state: str
):
    answer = await order(world)
    await world.syncs(connected, commands_version=2)

    event = connected.event("denied", kind="command", reason=reason, command_id=answer.json()["id"])
    await world.syncs(connected, event, commands_version=2)

    [one] = await listed(world)
    assert (one["state"], one["outcome_reason"]) == (state, reason)


async def test_a_report_that_cannot_be_true_decides_nothing(world: World, connected: FakeReader):
    answer = await order(world)
    told = await world.syncs(connected, commands_version=2)
    assert told is not None
    key = answer.json()["id"]
    reports = [
        connected.event(kind="command", command_id=str(uuid4())),
        connected.event(kind="command", command_id=key, door=2),
        connected.event(kind="command", command_id=key, at=clock.now() + timedelta(hours=1)),
        connected.event(kind="command", command_id="no id"),
        replace(connected.event(kind="command", command_id=key), hash="0" * 64),
    ]

    await world.syncs(connected, *reports, commands_version=2)

    doubts = [row.doubt for row in await world.rows("SELECT doubt FROM door_event ORDER BY number")]
    assert doubts == ["unknown_credential", "unknown_credential", "ahead", "unknown_credential", "not_chained"]
    assert [one["state"] for one in await listed(world)] == ["waiting"]
    page = await world.client.get(f"/v1/hubs/{HUB}/door-events", headers=OPERATOR)
    assert (page.status_code, len(page.json()["items"])) == (200, 5), "what a reader writes breaks no page"


async def test_the_member_concerned_is_told_and_nobody_else(world: World, connected: FakeReader):
    mine, coming = make_fact(), make_fact(sub=OTHER)
    for fact in (mine, coming):
        await world.hears(fact)
    await world.hears(coming.model_copy(update={"version": 3, "lines": (line(start=600, end=660),)}))
    for door in (1, 3):
        answer = await order(world, door)
        await world.syncs(connected, commands_version=2)
        await world.syncs(
            connected, connected.event(kind="command", command_id=answer.json()["id"], door=door), commands_version=2
        )
    await order(world, 1, reason="Noch nicht offen")

    async def seen(fact: Any, sub: str, by: str) -> tuple[int, list[Any]]:
        grant = await world.grant_of(fact, sub)
        path = f"/v1/grants/{grant['id']}/remote-openings"
        answer = await world.client.get(path, headers=bearer(by, "member"))
        return answer.status_code, answer.json().get("items", [])

    status, items = await seen(mine, MEMBER, MEMBER)
    assert status == 200
    assert [(item["door"], item["reason"], item["opened_by"]) for item in items] == [(1, REASON, "operator-1")]
    assert await seen(coming, OTHER, OTHER) == (200, [])
    assert (await seen(mine, MEMBER, OTHER))[0] == 404


async def test_who_ordered_it_is_exported_and_erased(world: World, connected: FakeReader):
    await order(world)
    privacy = bearer("p", "service", azp="regiohub-privacy")

    exported = await world.client.get("/internal/subjects/operator-1", headers=privacy)
    await world.client.delete("/internal/subjects/operator-1", headers=privacy)

    assert [item["reason"] for item in exported.json()["commands"]] == [REASON]
    assert [(one["opened_by"], one["reason"]) for one in await listed(world)] == [(None, REASON)]


async def test_the_app_role_cannot_rewrite_what_was_ordered(world: World, connected: FakeReader):
    await order(world)
    for change in ("reason = 'x'", "door = 2", "expires_at = now() + interval '1 day'", "created_at = now()"):
        with pytest.raises(Exception, match="permission denied"):
            await world.rows(f"UPDATE command SET {change} RETURNING 1")


async def test_the_real_reader_opens_once_over_cuts_and_repeats(world: World, hub: Hub):
    await world.set_up()
    fact = make_fact()
    await world.hears(fact)
    await hub.syncer.once()
    assert (await order(world)).status_code == 201
    hub.is_cut = True
    with pytest.raises(Exception, match="unreachable"):
        await hub.syncer.once()
    assert hub.reader.take(1) == (200, {"door": 1, "opened": False})
    hub.is_cut = False

    await hub.syncer.once()
    await hub.syncer.once()
    assert hub.reader.status()["commands_waiting"] == 1
    taken = [hub.reader.take(1)[1]["opened"] for _ in range(3)]
    assert taken == [True, False, False]
    assert hub.shows(PinTyped(1, (await world.grant_of(fact))["pin"])) == "granted"
    await hub.syncer.once()
    assert hub.reader.take(1)[1]["opened"] is False

    assert [one["state"] for one in await listed(world)] == ["opened"]
    rows = await world.rows("SELECT method, is_chained, doubt FROM door_event ORDER BY number")
    assert [tuple(row) for row in rows] == [("command", True, None), ("pin", True, None)]


async def test_commands_are_kept_as_long_as_refusals_at_doors(world: World, connected: FakeReader):
    await order(world)
    vault = world.app.state.vault
    for days, left in ((89, 1), (91, 0)):
        async with world.db.session() as session:
            at = clock.now() + timedelta(days=days)
            await keep_house(session, vault=vault, allowed_days=30, denied_days=90, now=at, real_now=clock.real_now())
        assert len(await world.rows("SELECT 1 FROM command")) == left, days
