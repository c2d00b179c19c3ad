"""Billing after a restore: ``python -m regiohub_billing.restore lead|reconcile``. See the runbook, "A restore"."""

import sys

from regiohub_billing.settings import Settings
from regiohub_billing.usecases import restoring
from regiohub_billing.wiring import make_provider
from regiohub_shared.clock import now
from regiohub_shared.contracts.witness import Witness
from regiohub_shared.db.database import Database
from regiohub_shared.restore import Report, Restored, main


async def lead(restored: Restored, report: Report) -> Witness:
    """Raise the epoch, let the numbers leap, say what is known here and at the provider."""
    settings = Settings()
    db, provider = Database(settings.migrate_database_url, pool_size=2), make_provider(settings)
    try:
        return await restoring.lead(db, provider, restored, report, now=now())
    finally:
        await provider.close()
        await db.close()


async def reconcile(restored: Restored, report: Report) -> None:
    """Take over booking's bookings and the provider's books."""
    settings = Settings()
    db, provider = Database(settings.migrate_database_url, pool_size=2), make_provider(settings)
    try:
        await restoring.reconcile(db, provider, restored, report, now=now())
    finally:
        await provider.close()
        await db.close()


if __name__ == "__main__":
    sys.exit(main("billing", {"lead": lead, "reconcile": reconcile}))
