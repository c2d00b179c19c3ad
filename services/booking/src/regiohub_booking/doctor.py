"""Look at booking's database: ``python -m regiohub_booking.doctor``; exit code 1 if an invariant does not hold."""

import sys

from regiohub_booking.repo.checkup import CHECKS
from regiohub_booking.settings import Settings
from regiohub_shared.db.database import Database
from regiohub_shared.doctor import Finding, check_dead_letters, count_check, main


async def examine() -> list[Finding]:
    """Run every check in one transaction, so that all see the same moment."""
    db = Database(Settings().migrate_database_url, pool_size=1)
    try:
        async with db.session() as session:
            checks = [count_check(name, query) for name, query in CHECKS.items()]
            return [await check(session) for check in (*checks, check_dead_letters)]
    finally:
        await db.close()


if __name__ == "__main__":
    sys.exit(main("booking", examine))
