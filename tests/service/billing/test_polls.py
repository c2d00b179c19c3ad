"""What is asked many times a minute is answered from an index, however many rows have piled up behind it."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from sqlalchemy import event

from regiohub_billing.repo import bookings
from regiohub_shared.clock import real_now
from regiohub_shared.events.relay import Relay, Target
from regiohub_shared.web.health import outbox_state
from tests.service.billing.world import World

# Sixty thousand of each, all done; then what a busy day leaves open.
_PILE = """
INSERT INTO outbox SELECT gen_random_uuid(), 't', n::text, 1, $1, '{}', '{}' FROM generate_series(1, 60000) n;
INSERT INTO outbox_delivery (outbox_id, subscriber, attempts, next_at, delivered_at, last_error)
    SELECT id, 'booking', 1, $1::timestamptz, CASE WHEN subject::int > 20 THEN $1::timestamptz END, '' FROM outbox;
INSERT INTO charge SELECT gen_random_uuid(), 1, 'C', 's', 'h', 'o', 'held', 100, 0, $1, NULL, NULL, '[]', '{}',
    CASE WHEN n < 5 THEN 'x' ELSE '' END FROM generate_series(1, 60000) n;
INSERT INTO payment (id, booking_id, operator, sub, version, status, amount_cents, paid_cents, refunded_cents, currency,
    livemode, buyer, provider, provider_session_id, provider_payment_id, checkout_url, created_at, checked_at)
    SELECT booking_id, booking_id, 'o', 's', 1, 'succeeded', 100, 100, 0, 'EUR', false, '{}', 'stripe', '', '', '',
    $1, $1 FROM charge;
INSERT INTO refund (id, payment_id, reason, amount_cents, status, provider_refund_id, failure, created_at, checked_at)
    SELECT gen_random_uuid(), id, 'x', 100, CASE WHEN n <= 10 THEN 'pending' ELSE 'succeeded' END, '', '',
    $1::timestamptz - make_interval(mins => n::int), $1::timestamptz - make_interval(mins => n::int)
    FROM (SELECT id, row_number() OVER () * 10 AS n FROM payment) p
"""


@contextmanager
def statements(world: World) -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
    """Every statement that goes to the database meanwhile, with its values."""
    seen: list[tuple[str, tuple[Any, ...]]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        seen.append((statement, tuple(values)))

    engine = world.db.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def _claim(world: World) -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200)), base_url="http://x")
    async with client:
        await Relay(world.db, "/billing", []).deliver_due(Target("booking", client))


async def _readiness(world: World) -> None:
    await outbox_state(world.db)


async def _stale_refunds(world: World) -> None:
    async with world.db.session() as session:
        await bookings.claim_stale_refunds(session, now=real_now(), limit=5)


async def _stuck(world: World) -> None:
    async with world.db.session() as session:
        await bookings.list_stuck(session, after=UUID(int=0), limit=100)


POLLS: tuple[tuple[Callable[[World], Awaitable[None]], str], ...] = (
    (_claim, "FOR UPDATE SKIP LOCKED"), (_readiness, "count(*)"), (_stale_refunds, "UPDATE refund"),
    (_stuck, "SELECT charge"),
)  # fmt: skip


@pytest.fixture
async def piled(world: World) -> World:
    """Sixty thousand rows of everything, with the statistics that a running server would have."""
    owner = await asyncpg.connect(world.urls.owner)
    try:
        for statement in _PILE.split(";\n"):
            await owner.execute(statement, real_now() - timedelta(hours=2))
        await owner.execute("ANALYZE")
    finally:
        await owner.close()
    return world


async def test_no_poll_reads_a_whole_table(piled: World) -> None:
    for poll, mark in POLLS:
        with statements(piled) as seen:
            await poll(piled)
        [(statement, values)] = [found for found in seen if mark in found[0]]
        plan = "\n".join(row[0] for row in await piled.rows("EXPLAIN " + statement, *values))
        assert "Seq Scan" not in plan, plan
