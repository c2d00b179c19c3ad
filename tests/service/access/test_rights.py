"""The app role may do what the code needs and nothing else; a grant may lose its person but never gets another."""

import asyncpg
import pytest

from tests.service.access.world import MEMBER, Phone, World, make_fact

REFUSED = [
    'UPDATE "grant" SET hub = hub', 'UPDATE "grant" SET booking_id = id', 'UPDATE "grant" SET created_at = created_at',
    'DELETE FROM "grant"', "UPDATE pass SET grant_id = grant_id", "UPDATE pass SET thumbprint = ''",
    "UPDATE pass SET doors = '{1}'", "UPDATE pass SET ends_at = ends_at", "UPDATE pass SET token = ''",
    "UPDATE holder_key SET thumbprint = thumbprint", "UPDATE holder_key SET grant_id = grant_id",
    "UPDATE door SET number = 9", "UPDATE door SET is_outer = true", "UPDATE grant_line SET ends_at = ends_at",
    "UPDATE pin SET digest = ''", "UPDATE reader SET id = 'x'", "UPDATE reader SET created_at = created_at",
    "DELETE FROM reader", "UPDATE hub SET slug = 'x'", "DELETE FROM hub", "UPDATE issuer_key SET x = ''",
    "UPDATE door_event SET doubt = NULL", "DELETE FROM door_event", "UPDATE chain_link SET hash = ''",
    "DELETE FROM chain_link", "UPDATE deny_entry SET ends_at = ends_at", "UPDATE outbox SET data = '{}'",
    "UPDATE inbox SET type = ''", "UPDATE alembic_version SET version_num = '0'", "TRUNCATE pass", "DROP TABLE door",
    "CREATE TABLE x ()",
]  # fmt: skip


@pytest.mark.parametrize("statement", REFUSED)
async def test_the_app_role_may_not(world: World, statement: str) -> None:
    async with world.db.transaction() as connection:
        assert await connection.fetchval("SELECT current_user") == "access_app"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute(statement)


async def test_a_grant_never_gets_another_person(world: World) -> None:
    await world.set_up()
    fact = make_fact()
    await world.hears(fact)
    await world.asks_pass((await world.grant_of(fact))["id"], Phone())
    async with world.db.transaction() as connection:
        for wanted in ("'someone-else'", "upper(sub)"):
            with pytest.raises(asyncpg.RestrictViolationError):
                async with connection.transaction():
                    await connection.execute(f'UPDATE "grant" SET sub = {wanted}')
        assert await connection.fetchval('SELECT sub FROM "grant"') == MEMBER
        await connection.execute('UPDATE "grant" SET sub = NULL')
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute('UPDATE "grant" SET sub = $1', MEMBER)
