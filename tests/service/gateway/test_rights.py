"""The gateway's app role may do what the code needs and nothing else, also in tables that come later."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import pytest
from alembic import command

from regiohub_gateway.main import MIGRATIONS
from regiohub_shared.db.migrate import _config
from tests.support.pg import Cluster

REFUSED = [
    "UPDATE alembic_version SET version_num = '0'", "DELETE FROM alembic_version", "INSERT INTO alembic_version VALUES ('0')",
    "UPDATE session SET sub = 'x'", "UPDATE session SET expires_at = now()", "UPDATE session SET csrf = 'x'",
    "UPDATE rate_limit SET bucket = 'x'", "UPDATE logout_token SET jti = 'x'", "TRUNCATE session", "DROP TABLE session",
    "CREATE TABLE x ()", "ALTER TABLE session ADD COLUMN x integer",
]  # fmt: skip


@pytest.mark.parametrize("statement", REFUSED)
async def test_the_app_role_may_not(house, statement):
    async with house.db.transaction() as connection:
        assert await connection.fetchval("SELECT current_user") == "gateway_app"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute(statement)


@pytest.mark.parametrize("service", ["gateway", "booking", "access", "billing"])
async def test_a_table_of_tomorrow_is_nobodys_until_its_migration_says_whose(cluster: Cluster, service):
    with cluster.database(service) as urls:
        owner, app = await asyncpg.connect(urls.owner), await asyncpg.connect(urls.app)
        await owner.execute("CREATE TABLE later (id integer)")
        await owner.execute("CREATE SEQUENCE later_number")
        for statement in ("SELECT * FROM later", "INSERT INTO later VALUES (1)", "SELECT nextval('later_number')"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await app.execute(statement)
        await owner.close()
        await app.close()


def run(step: Callable[..., Any], url: str, revision: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(step, _config(MIGRATIONS, url), revision).result()


async def test_the_rights_go_one_back_and_forward_again(cluster: Cluster):
    with cluster.database("gateway") as urls:
        app = await asyncpg.connect(urls.app)
        run(command.downgrade, urls.owner, "0001")
        await app.execute("UPDATE session SET sub = 'x'")
        assert await app.fetchval("SELECT version_num FROM alembic_version") == "0001"
        run(command.upgrade, urls.owner, "head")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute("UPDATE session SET sub = 'x'")
        await app.close()
