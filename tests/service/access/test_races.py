"""Real parallel connections: facts, passes, syncs and door changes at once end as they would one after another."""

import asyncio
import random

from regiohub_access.repo import places as rows
from regiohub_access.usecases.places import HubPlan, put_doors
from tests.service.access.world import HUB, FakeReader, Phone, World, later, make_fact, moment
from tests.support.tokens import bearer

ROUNDS = 8


async def test_facts_of_one_booking_at_the_same_time(world: World):
    await world.set_up()
    for _ in range(ROUNDS):
        held = make_fact("held", 1, confirmed_at=None)
        facts = [held, later(held, "confirmed", 2), later(held, "checked_in", 3), later(held, "cancelled", 4)] * 2
        random.shuffle(facts)

        await asyncio.gather(*(world.hears(fact) for fact in facts))

        grant = await world.grant_of(held)
        assert (grant["status"], grant["pin"]) == ("revoked", None)


async def test_a_cancellation_beside_pass_requests_leaves_no_live_pass(world: World):
    await world.set_up()
    for _ in range(ROUNDS):
        fact = make_fact()
        await world.hears(fact)
        grant_id = (await world.grant_of(fact))["id"]

        answers = await asyncio.gather(
            world.asks_pass(grant_id, Phone()),
            world.hears(later(fact, "cancelled", 3)),
            world.asks_pass(grant_id, Phone()),
            world.set_up(margin=random.randint(5, 30), may_be_late=True),
        )

        assert {answer.status_code for answer in answers if answer is not None} <= {200, 201, 409}
        live = await world.rows(
            "SELECT 1 FROM pass p WHERE NOT EXISTS (SELECT 1 FROM deny_entry d WHERE d.pass_id = p.id)"
        )
        assert live == []


async def test_a_pass_is_not_signed_for_doors_that_change_meanwhile(world: World):
    await world.set_up(margin=10)
    fact = make_fact()
    await world.hears(fact)
    grant_id = (await world.grant_of(fact))["id"]

    async with world.db.session() as session:
        hub, doors = await rows.get_hub(session, HUB), await rows.list_doors(session, HUB)
        await put_doors(
            session, slug=HUB, plan=HubPlan(doors, 0, hub.address), if_version=(hub.version,), now=moment()
        )  # fmt: skip
        asking = asyncio.ensure_future(world.asks_pass(grant_id, Phone()))
        while not (asking.done() or await world.rows("SELECT 1 FROM pg_locks WHERE NOT granted")):
            await asyncio.sleep(0.01)
        await session.commit()

    signed = (await asking).json()
    assert (await world.grant_of(fact))["ends_at"] == signed["expires_at"]


async def test_the_same_report_at_the_same_time_is_stored_once(world: World):
    await world.set_up()
    fact = make_fact()
    await world.hears(fact)
    pass_id = (await world.asks_pass((await world.grant_of(fact))["id"], Phone())).json()["id"]
    reader = FakeReader()
    batch = [reader.event(pass_id=pass_id) for _ in range(20)]

    answers = await asyncio.gather(*(world.syncs(reader, *batch) for _ in range(6)))

    assert {answer.events_acked for answer in answers} == {20}
    assert len(await world.rows("SELECT 1 FROM door_event")) == 20
    assert len(await world.rows("SELECT 1 FROM outbox")) == 1


async def test_deny_numbers_have_no_gap_and_no_double(world: World):
    await world.set_up()
    facts = [make_fact() for _ in range(8)]
    for fact in facts:
        await world.hears(fact)
        await world.asks_pass((await world.grant_of(fact))["id"], Phone())

    await asyncio.gather(*(world.hears(later(fact, "cancelled", 3)) for fact in facts))

    numbers = [row.sequence for row in await world.rows("SELECT sequence FROM deny_entry ORDER BY sequence")]
    assert numbers == list(range(1, 9))


async def test_the_first_start_makes_one_key(world: World):
    await world.set_up()
    facts = [make_fact() for _ in range(6)]
    for fact in facts:
        await world.hears(fact)
    ids = [(await world.grant_of(fact))["id"] for fact in facts]

    answers = await asyncio.gather(*(world.asks_pass(grant_id, Phone()) for grant_id in ids))

    assert {answer.status_code for answer in answers} == {201}
    assert len(await world.rows("SELECT 1 FROM issuer_key")) == 1
    health = await world.client.get("/readyz", headers=bearer("x"))
    assert health.json()["status"] == "ready"
