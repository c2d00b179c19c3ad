"""The gateway after a restore: ``python -m regiohub_gateway.restore``. See the runbook, "A restore".

Sessions of a backup are not let live again: some were ended since. Everybody logs in anew; keys on phones stay.
"""

import asyncio
import sys

from sqlalchemy import text

from regiohub_gateway.settings import Settings
from regiohub_shared.db.database import Database


async def end_sessions() -> int:
    """End all sessions; return how many there were."""
    db = Database(Settings().migrate_database_url, pool_size=1)
    try:
        async with db.session() as session:
            return len((await session.execute(text("DELETE FROM session RETURNING 1"))).all())
    finally:
        await db.close()


if __name__ == "__main__":
    sys.stderr.write(f"gateway  {asyncio.run(end_sessions())} sessions of the backup were ended\n")
