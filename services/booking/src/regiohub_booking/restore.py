"""Booking after a restore: ``python -m regiohub_booking.restore witness|reconcile``. See the runbook, "A restore"."""

import sys

from regiohub_booking.settings import Settings
from regiohub_booking.usecases import restoring
from regiohub_shared.clock import now
from regiohub_shared.contracts.witness import Witness
from regiohub_shared.db.database import Database
from regiohub_shared.restore import Report, Restored, main


def _database() -> Database:
    """As the owner: only it may write an epoch, and no timeout ends its long statements."""
    return Database(Settings().migrate_database_url, pool_size=2)


async def witness(restored: Restored, _report: Report) -> Witness:
    """Say what booking knows."""
    db = _database()
    try:
        async with db.session() as session:
            return await restoring.witness(session, restored.since)
    finally:
        await db.close()


async def reconcile(restored: Restored, report: Report) -> Witness:
    """Catch up with the neighbours, raise the epoch, tell everybody anew."""
    db = _database()
    try:
        async with db.session() as session:
            return await restoring.reconcile(session, restored, report, now=now())
    finally:
        await db.close()


if __name__ == "__main__":
    sys.exit(main("booking", {"witness": witness, "reconcile": reconcile}))
