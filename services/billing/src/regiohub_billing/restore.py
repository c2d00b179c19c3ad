"""Billing after a restore: ``python -m regiohub_billing.restore lead|reconcile``. See the runbook, "A restore".

Where billing lives on and a neighbour was restored: ``witness|follow``.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from regiohub_billing.providers.port import Provider
from regiohub_billing.settings import Settings
from regiohub_billing.usecases import restoring
from regiohub_billing.wiring import make_provider
from regiohub_shared.clock import now
from regiohub_shared.contracts.witness import Witness
from regiohub_shared.db.database import Database
from regiohub_shared.restore import Report, Restored, main


@asynccontextmanager
async def _opened() -> AsyncIterator[tuple[Database, Provider]]:
    """The database as the schema's owner, and Stripe."""
    settings = Settings()
    db, provider = Database(settings.migrate_database_url, pool_size=2), make_provider(settings)
    try:
        yield db, provider
    finally:
        await provider.close()
        await db.close()


async def lead(restored: Restored, report: Report) -> Witness:
    """Raise the epoch, let the numbers leap, say what is known here and at the provider."""
    async with _opened() as (db, provider):
        return await restoring.lead(db, provider, restored, report, now=now())


async def witness(restored: Restored, _report: Report) -> Witness:
    """Say what billing knows, which was not restored."""
    async with _opened() as (db, provider):
        return await restoring.witness(db, provider, restored)


async def reconcile(restored: Restored, report: Report) -> None:
    """Take over booking's bookings and the provider's books."""
    async with _opened() as (db, provider):
        await restoring.reconcile(db, provider, restored, report, now=now())


async def follow(restored: Restored, report: Report) -> None:
    """The same where billing was not restored, so that its numbers stand."""
    async with _opened() as (db, provider):
        await restoring.reconcile(db, provider, restored, report, now=now(), is_restored=False)


if __name__ == "__main__":
    sys.exit(main("billing", {"lead": lead, "witness": witness, "reconcile": reconcile, "follow": follow}))
