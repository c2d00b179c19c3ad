"""The worker as a process: it does what is due, ends on SIGTERM, and another one finishes what a killed one began."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from regiohub_billing.worker import tidy
from regiohub_shared.clock import real_now
from tests.service.billing.world import KEY, SECRET, World, a_booking
from tests.support.tokens import ISSUER


@asynccontextmanager
async def worker(world: World) -> AsyncIterator[asyncio.subprocess.Process]:
    env = os.environ | {
        "BILLING_DATABASE_URL": world.urls.app, "BILLING_ISSUER": ISSUER, "STRIPE_API_KEY": KEY,
        "STRIPE_WEBHOOK_SECRET": SECRET, "STRIPE_API_BASE": str(world.sandbox.base_url),
        "BILLING_BOOKING_URL": "http://127.0.0.1:9",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "regiohub_billing.worker", env=env)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until(world: World, sql: str, within_s: float = 20) -> None:
    """Wait until the query returns a row."""
    for _ in range(int(within_s / 0.1)):
        if await world.rows(sql):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(sql)


async def test_a_worker_books_pays_back_and_ends_on_sigterm(world: World):
    story = a_booking()
    await world.tell(story)
    payment = await world.open(story)
    await world.press(payment)
    async with worker(world) as process:
        for event in await world.new_events():
            await world.deliver(event)
        await until(world, "SELECT 1 FROM payment WHERE status = 'succeeded'")
        await world.tell(story.confirm(payment["id"]).cancel())
        await until(world, "SELECT 1 FROM payment WHERE refunded_cents = 1200")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0

    assert await world.balances() == {}
    waiting = await world.rows("SELECT attempts FROM outbox_delivery WHERE delivered_at IS NULL")
    assert len(waiting) == 2


async def test_a_refund_cut_off_by_a_kill_is_made_once(world: World):
    await world.switch(response_delay_s=1.5)
    story = a_booking()
    payment = await world.confirmed(story)
    async with worker(world) as process:
        await world.tell(story.cancel())
        await until(world, "SELECT 1 FROM provider_intent WHERE kind = 'refund' AND fence = 1")
        process.send_signal(signal.SIGKILL)
        await process.wait()
    assert (await world.payments(story))[0]["refunds"][0]["status"] == "created"
    await world.switch(response_delay_s=0)
    await asyncio.sleep(2)
    await world.rows("UPDATE provider_intent SET leased_until = $1", real_now() - timedelta(seconds=1), owner=True)
    await world.work()

    assert [refund["amount"] for refund in await world.refunds_at_stripe(payment)] == [1200]
    assert (await world.payments(story))[0]["refunded_cents"] == 1200


async def test_old_answers_and_webhooks_are_dropped_and_young_ones_stay(world: World):
    await world.paid(a_booking())
    await tidy(world.db)
    assert await world.rows("SELECT 1 FROM idempotency_key")
    assert await world.rows("SELECT 1 FROM stripe_event WHERE handled_at IS NOT NULL")

    old = real_now() - timedelta(days=31)
    await world.rows("UPDATE idempotency_key SET created_at = $1", old, owner=True)
    await world.rows("UPDATE stripe_event SET handled_at = $1", old, owner=True)
    await tidy(world.db)
    assert await world.rows("SELECT 1 FROM idempotency_key UNION ALL SELECT 1 FROM stripe_event") == []


async def test_facts_that_arrived_and_remembered_ids_are_dropped_after_a_month(world: World):
    for cents in (1200, 700):
        await world.paid(a_booking(cents))
    old = real_now() - timedelta(days=31)
    await world.rows("UPDATE inbox SET received_at = $1", old, owner=True)
    await world.rows("UPDATE outbox SET occurred_at = $1", old, owner=True)
    await world.rows(
        "UPDATE outbox_delivery SET delivered_at = $1 WHERE outbox_id = (SELECT min(id::text)::uuid FROM outbox)", old
    )
    await tidy(world.db)

    assert await world.rows("SELECT 1 FROM inbox") == []
    left = await world.rows(
        "SELECT o.data ->> 'paid_cents' AS cents FROM outbox o JOIN outbox_delivery ON outbox_id = id"
    )
    assert [row["cents"] for row in left] == ["700"]
    assert len(await world.rows("SELECT 1 FROM outbox")) == 1
