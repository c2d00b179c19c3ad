"""The worker as a real process: it expires, completes, delivers, mails, and leaves on SIGTERM."""

import asyncio
import os
import signal
import sys
from datetime import timedelta

from regiohub_booking.usecases.change import complete_over, expire_lapsed
from regiohub_booking.worker import in_batches
from regiohub_shared.clock import now
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
