"""Access after a restore: ``python -m regiohub_access.restore witness|reconcile``. See the runbook, "A restore"."""

import sys

from regiohub_access.repo.sealing import Vault
from regiohub_access.settings import Settings
from regiohub_access.usecases import restoring
from regiohub_shared.clock import now
from regiohub_shared.contracts.witness import Witness
from regiohub_shared.db.database import Database
from regiohub_shared.restore import Report, Restored, main


async def witness(restored: Restored, _report: Report) -> Witness:
    """Say what access knows."""
    db = Database(Settings().migrate_database_url, pool_size=2)
    try:
        async with db.session() as session:
            return await restoring.witness(session, restored.since)
    finally:
        await db.close()


async def reconcile(restored: Restored, report: Report) -> None:
    """Follow booking, raise the epochs, let the readers take everything anew."""
    settings = Settings()
    db = Database(settings.migrate_database_url, pool_size=2)
    try:
        async with db.session() as session:
            vault = Vault(settings.secret_keys)
            await restoring.reconcile(session, restored, report, vault=vault, now=now())
    finally:
        await db.close()


if __name__ == "__main__":
    sys.exit(main("access", {"witness": witness, "reconcile": reconcile}))
