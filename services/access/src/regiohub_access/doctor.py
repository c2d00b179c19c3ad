"""Look at access's database: ``python -m regiohub_access.doctor [--witness booking.json]``.

Exit code 1 if an invariant does not hold.
"""

import sys

from regiohub_access.repo.checkup import CHECKS
from regiohub_access.settings import Settings
from regiohub_access.usecases.checkup import check_events, check_grants
from regiohub_shared.clock import now
from regiohub_shared.db.database import Database
from regiohub_shared.doctor import Finding, check_dead_letters, count_check, main, neighbour


async def examine() -> list[Finding]:
    """Run every check; with booking's witness the comparison too."""
    settings, booking = Settings(), neighbour()
    db = Database(settings.migrate_database_url, pool_size=1)
    try:
        async with db.session() as session:
            found = [await count_check(name, query)(session) for name, query in CHECKS.items()]
            found.append(await check_events(session, kept_days=settings.keep_allowed_days, now=now()))
            found.append(await check_dead_letters(session))
            if booking is not None:
                found.append(await check_grants(session, booking, now=now()))
            return found
    finally:
        await db.close()


if __name__ == "__main__":
    sys.exit(main("access", examine))
