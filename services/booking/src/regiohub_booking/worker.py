"""Booking's worker process: ``python -m regiohub_booking.worker``. Any number may run side by side."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.settings import Settings
from regiohub_booking.usecases.change import complete_over, expire_lapsed
from regiohub_booking.usecases.mail import send_due
from regiohub_shared.auth.service_tokens import ServiceAuth, ServiceTokens
from regiohub_shared.clock import now
from regiohub_shared.db.database import Database
from regiohub_shared.events.housekeeping import HOUSEKEEPING_S, keep_house
from regiohub_shared.events.operations import NOWHERE, Address, address_from
from regiohub_shared.events.relay import Relay, Target
from regiohub_shared.events.watch import beat
from regiohub_shared.events.worker import every, run_loops, seen
from regiohub_shared.http.client import make_client
from regiohub_shared.log import configure_logging

MIGRATIONS = Path(__file__).parent / "migrations"
_BATCH = 50


def in_batches(db: Database, step: Callable[..., Awaitable[int]]) -> Callable[[], Awaitable[None]]:
    """Return a round that repeats ``step`` in transactions of its own until there is nothing left to do."""

    async def work() -> None:
        moment: datetime = now()
        while True:
            async with db.session() as session:
                done = await _one(session, step, moment)
            beat()
            if done < _BATCH:
                return

    return work


async def _one(session: AsyncSession, step: Callable[..., Awaitable[int]], moment: datetime) -> int:
    return await step(session, now=moment, limit=_BATCH)


async def main(settings: Settings, address: Address = NOWHERE) -> None:
    """Relay facts, end lapsed holds, complete what is over, send mails, forget what is old; until SIGTERM."""
    db = Database(settings.database_url, pool_size=settings.pool_size)
    auth = ServiceAuth(ServiceTokens(settings))

    async def mail() -> None:
        while await send_due(db, settings):
            beat()

    try:
        async with (
            seen("booking-worker", db, MIGRATIONS, address),
            make_client(settings.access_url, timeout_s=settings.http_timeout_s, auth=auth) as access,
            make_client(settings.billing_url, timeout_s=settings.http_timeout_s, auth=auth) as billing,
        ):
            relay = Relay(db, "/booking", [Target("access", access), Target("billing", billing)])
            await run_loops(
                relay.run,
                every(settings.sweep_every_s, "sweep", in_batches(db, expire_lapsed)),
                every(settings.complete_every_s, "complete", in_batches(db, complete_over)),
                every(settings.mail_every_s, "mail", mail),
                every(HOUSEKEEPING_S, "housekeeping", partial(keep_house, db)),
            )
    finally:
        await db.close()


if __name__ == "__main__":
    where, chosen = address_from(), Settings()
    configure_logging("booking-worker", chosen.log_level)
    asyncio.run(main(chosen, where))
