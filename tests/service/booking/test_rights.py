"""The app role may do what the code needs and nothing else; the table of rights stands in the migration."""

import asyncpg
import pytest

from tests.service.booking.world import World

REFUSED = [
    "DELETE FROM booking", "UPDATE booking SET gross_cents = 0", "UPDATE booking SET code = 'X'",
    "UPDATE line SET tax_code = 'S07'", "UPDATE line SET gross_cents = 0", "DELETE FROM line",
    "UPDATE occupancy SET lane = int8range(NULL, NULL)", "DELETE FROM payment_verdict",
    "UPDATE payment_verdict SET booking_id = booking_id", "DELETE FROM operator", "DELETE FROM hub", "DELETE FROM resource",
    "UPDATE hub SET operator = operator", "UPDATE resource SET hub = hub", "UPDATE outbox SET data = '{}'",
    "UPDATE inbox SET type = ''", "UPDATE member SET name = ''", "UPDATE mail_job SET kind = kind",
    "UPDATE idempotency_key SET body = '{}'", "UPDATE closure SET reason = ''",
    "UPDATE alembic_version SET version_num = '0'", "DELETE FROM alembic_version",
    "INSERT INTO alembic_version VALUES ('0')", "TRUNCATE occupancy", "DROP TABLE mail_job", "CREATE TABLE x ()",
    "ALTER TABLE line ADD COLUMN x integer", "SELECT setval('occupancy_lane', 1)",
]  # fmt: skip


@pytest.mark.parametrize("statement", REFUSED)
async def test_the_app_role_may_not(world: World, statement: str) -> None:
    async with world.db.transaction() as connection:
        assert await connection.fetchval("SELECT current_user") == "booking_app"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute(statement)


async def test_what_it_may_read_is_everything(world: World) -> None:
    names = await world.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    async with world.db.transaction() as connection:
        for (name,) in names:
            await connection.fetch(f'SELECT * FROM "{name}" LIMIT 1')
