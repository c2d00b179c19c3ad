"""Look at billing's database and at the provider's books: ``python -m regiohub_billing.doctor [--witness booking.json]``.

Exit code 1 if an invariant does not hold.
"""

import sys

from regiohub_billing.repo.checkup import CHECKS
from regiohub_billing.settings import Settings
from regiohub_billing.usecases.checkup import check_books, check_cases, check_charges, check_numbers
from regiohub_billing.wiring import make_provider
from regiohub_shared.clock import real_now
from regiohub_shared.db.database import Database
from regiohub_shared.doctor import Finding, check_dead_letters, count_check, main, neighbour


async def examine() -> list[Finding]:
    """Run every check; with booking's witness the comparison too."""
    settings, booking = Settings(), neighbour()
    db, provider = Database(settings.migrate_database_url, pool_size=2), make_provider(settings)
    try:
        async with db.session() as session:
            found = [await count_check(name, query)(session) for name, query in CHECKS.items()]
            found += [await check(session) for check in (check_numbers, check_dead_letters, check_cases)]
            if booking is not None:
                found.append(await check_charges(session, booking))
        return [*found, await check_books(db, provider, real_now=real_now())]
    finally:
        await provider.close()
        await db.close()


if __name__ == "__main__":
    sys.exit(main("billing", examine))
