"""``python -m regiohub_billing.worker``: deliver facts, make provider calls, handle webhooks, watch the clock."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from regiohub_billing.repo import bookings, calls
from regiohub_billing.settings import Settings
from regiohub_billing.usecases import audit, intents, settling, webhooks
from regiohub_billing.wiring import booking_http, make_provider
from regiohub_shared.clock import now, real_now
from regiohub_shared.db.database import Database
from regiohub_shared.events.housekeeping import HOUSEKEEPING_S, keep_house
from regiohub_shared.events.operations import NOWHERE, Address, address_from
from regiohub_shared.events.relay import Relay, Target
from regiohub_shared.events.watch import beat, watch_here
from regiohub_shared.events.worker import every, run_loops, seen
from regiohub_shared.log import configure_logging, get_logger

_log = get_logger(__name__)
MIGRATIONS = Path(__file__).parent / "migrations"
_PAGE = 100
_KEEP_KEYS = timedelta(days=2)
"""An answer holds a payment page's address, which is dead after a day."""


def drain(work: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[None]]:
    """Return a round that repeats ``work`` until nothing is due."""

    async def round_() -> None:
        while await work():
            beat()

    return round_


async def settle_stuck(db: Database) -> int:
    """Try again what stopped on a problem, for example a tax rule that has been added since; return how many.

    All of them, page by page: what cannot be settled must not stand before what can.
    """
    tried, after = 0, UUID(int=0)
    while True:
        async with db.session() as session:
            stuck = await bookings.list_stuck(session, after=after, limit=_PAGE)
        for booking_id in stuck:
            await _settle_again(db, booking_id)
            beat()
        tried += len(stuck)
        if len(stuck) < _PAGE:
            return tried
        after = stuck[-1]


async def _settle_again(db: Database, booking_id: UUID) -> None:
    try:
        async with db.session() as session:
            await settling.settle(session, booking_id=booking_id, now=now())
    except Exception:  # noqa: BLE001 - whatever one booking meets, the others are tried
        _log.exception("settling_failed", booking_id=str(booking_id))


async def verify_chains(db: Database) -> None:
    """Look for a change in issued documents and journal; a find is an alarm in log and metrics."""
    async with db.session() as session:
        broken = await audit.broken_chains(session)
    watch_here().found("chain_broken", len(broken))
    for row in broken:
        _log.error("chain_broken", **row)


async def tidy(db: Database) -> None:
    """Drop what nobody needs any more: old webhooks, names of erased members, delivered facts, old answers."""
    async with db.session() as session:
        await calls.drop_old_events(session, now=real_now())
        await bookings.forget_buyers(session)
    await keep_house(db, keep_keys=_KEEP_KEYS)


async def run(settings: Settings, address: Address = NOWHERE) -> None:
    """Run all loops until SIGTERM."""
    configure_logging("billing-worker", settings.log_level)
    db, provider, http = (
        Database(settings.database_url, pool_size=settings.pool_size),
        make_provider(settings),
        booking_http(settings),
    )
    relay = Relay(db, "/billing", [Target("booking", http)])
    try:
        async with seen("billing-worker", db, MIGRATIONS, address):
            await run_loops(
                relay.run,
                every(0.3, "provider_calls", drain(lambda: intents.work_due(db, provider))),
                every(0.3, "webhooks", drain(lambda: webhooks.work_due(db, provider))),
                every(2.0, "overdue", lambda: intents.end_overdue(db)),
                every(5.0, "look_again", lambda: intents.look_again(db, provider)),
                every(30.0, "stuck", lambda: settle_stuck(db)),
                every(3600.0, "chains", lambda: verify_chains(db)),
                every(HOUSEKEEPING_S, "tidy", lambda: tidy(db)),
            )
    finally:
        await http.aclose()
        await provider.close()
        await db.close()


def main() -> None:
    """Run with the environment's settings; ``--host`` and ``--port`` for probes."""
    address = address_from()
    asyncio.run(run(Settings(), address))


if __name__ == "__main__":
    main()
