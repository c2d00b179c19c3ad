"""The worker: delivers facts and does what time does (keys, ended PINs, old door events)."""

import asyncio
from functools import partial
from pathlib import Path

from regiohub_access.repo.sealing import Vault
from regiohub_access.settings import Settings
from regiohub_access.usecases.chain import check_chains
from regiohub_access.usecases.housekeeping import keep_house
from regiohub_shared import clock
from regiohub_shared.auth.service_tokens import ServiceAuth, ServiceTokens
from regiohub_shared.db.database import Database
from regiohub_shared.events import housekeeping as facts
from regiohub_shared.events.operations import NOWHERE, Address, address_from
from regiohub_shared.events.relay import Relay, Target
from regiohub_shared.events.worker import every, run_loops, seen
from regiohub_shared.http.client import make_client
from regiohub_shared.log import configure_logging

MIGRATIONS = Path(__file__).parent / "migrations"
HOUSEKEEPING_S = 60.0


async def run(settings: Settings, address: Address = NOWHERE) -> None:
    """Run until told to stop; replicas may run side by side."""
    db = Database(settings.database_url, pool_size=settings.pool_size)
    auth = ServiceAuth(ServiceTokens(settings))
    booking = make_client(settings.booking_url, timeout_s=settings.http_timeout_s, auth=auth)
    try:
        relay = Relay(db, "/access", [Target("booking", booking)])
        async with seen("access-worker", db, MIGRATIONS, address):
            await run_loops(
                relay.run,
                every(HOUSEKEEPING_S, "housekeeping", partial(_keep_house, db, settings)),
                every(facts.HOUSEKEEPING_S, "facts", partial(facts.keep_house, db, keep_keys=None)),
            )
    finally:
        await booking.aclose()
        await db.close()


async def _keep_house(db: Database, settings: Settings) -> None:
    async with db.session() as session:
        await keep_house(
            session, vault=Vault(settings.secret_keys), allowed_days=settings.keep_allowed_days,
            denied_days=settings.keep_denied_days, now=clock.now(), real_now=clock.real_now(),
        )  # fmt: skip
    async with db.session() as session:
        await check_chains(session, kept_days=settings.keep_allowed_days, now=clock.now())


def main() -> None:
    """Settings from the environment; ``--host`` and ``--port`` for probes."""
    address, settings = address_from(), Settings()  # from arguments and environment
    configure_logging("access-worker", settings.log_level)
    asyncio.run(run(settings, address))


if __name__ == "__main__":
    main()
