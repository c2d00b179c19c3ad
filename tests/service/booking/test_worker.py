"""The worker as a real process: it expires, completes, delivers, mails, and leaves on SIGTERM."""

import asyncio
import os
import signal
import sys
from datetime import timedelta

from regiohub_booking.usecases.change import complete_over, expire_lapsed
from regiohub_booking.worker import in_batches
from regiohub_shared.clock import now, real_now
from regiohub_shared.events.housekeeping import keep_house
from tests.service.booking.world import DESK, FREE, OTHER, World, tomorrow
from tests.support.tokens import ISSUER


async def test_two_sweepers_share_the_work_and_emit_each_fact_once(world: World) -> None:
    for hour in (6, 7, 8):
        await world.lapse((await world.book((DESK, tomorrow(hour), tomorrow(hour + 1)))).json())
    sweep = in_batches(world.db, expire_lapsed)

    await asyncio.gather(sweep(), sweep(), sweep())

    assert await world.value("SELECT count(*) FROM booking WHERE status = 'expired' AND version = 2") == 3
    assert await world.value("SELECT count(*) FROM outbox WHERE sequence = 2") == 3


async def test_holds_that_still_run_are_left_alone(world: World) -> None:
    await world.book((DESK, tomorrow(9), tomorrow(10)))
    await in_batches(world.db, expire_lapsed)()
    await in_batches(world.db, complete_over)()
    assert await world.value("SELECT status FROM booking") == "held"


async def test_old_keys_and_delivered_facts_are_forgotten(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)), key="old")).json()
    await world.pay(booking)
    await world.sql("UPDATE outbox_delivery SET delivered_at = $1 WHERE subscriber = 'access'", real_now())
    tables = ("outbox", "outbox_delivery", "inbox", "idempotency_key")
    count = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in tables)
    before = dict(await world.sql(count))

    await keep_house(world.db)
    assert dict(await world.sql(count)) == before, "nothing is old"
    await keep_house(world.db, keep_facts=timedelta(0), keep_keys=timedelta(0))

    # What billing has not taken yet stays, with its fact.
    assert dict(await world.sql(count)) == {"outbox": 2, "outbox_delivery": 2, "inbox": 0, "idempotency_key": 0}


async def test_the_process_works_and_stops(world: World) -> None:
    lapsed = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.lapse(lapsed)
    await world.book((FREE, tomorrow(9), tomorrow(10)), by=OTHER)
    past = now() - timedelta(minutes=1)
    await world.sql(
        "UPDATE booking SET ends_at = $1, starts_at = $2 WHERE status = 'confirmed'", past, past - timedelta(hours=1)
    )
    more = {
        "BOOKING_DATABASE_URL": world.db.url, "BOOKING_ISSUER": ISSUER, "BOOKING_COMPLETE_EVERY_S": "0.2",
        "BOOKING_ACCESS_URL": "http://127.0.0.1:9", "BOOKING_BILLING_URL": "http://127.0.0.1:9",
        "BOOKING_KEYCLOAK_URL": "http://127.0.0.1:9",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "regiohub_booking.worker", env=os.environ | more, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(30):
            while await world.value("SELECT count(*) FROM booking WHERE status IN ('expired', 'completed')") < 2:
                await asyncio.sleep(0.1)
            while await world.value("SELECT count(*) FROM outbox_delivery WHERE attempts > 0") == 0:
                await asyncio.sleep(0.1)
    finally:
        process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(process.wait(), 20)
    assert code == 0
