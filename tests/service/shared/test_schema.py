"""Tables in code and migrations say the same; rights are by role, complete, and given to whatever the role is called."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from regiohub_local import postgres
from regiohub_local.postgres import Urls
from regiohub_shared.db.address import make_engine
from regiohub_shared.db.migrate import run_migrations
from regiohub_shared.db.rights import RightsMissing
from tests.support.pg import Cluster, outside_loop

MEMBERS = ("booking", "access", "billing", "gateway")


def _differences(connection: Connection, metadata: MetaData) -> list[str]:
    changes: list[Any] = compare_metadata(MigrationContext.configure(connection), metadata)
    told = [
        f"{change[0]} {getattr(change[1], 'name', change[1:])}" if isinstance(change, tuple) else str(change)
        for change in changes
    ]
    return [words for words in told if words != "remove_table alembic_version"]


@pytest.mark.parametrize("member", MEMBERS)
async def test_tables_are_what_the_migrations_make(cluster: Cluster, member: str) -> None:
    metadata = import_module(f"regiohub_{member}.tables").Base.metadata
    with cluster.database(member) as urls:
        engine = make_engine(urls.owner)
        try:
            async with engine.connect() as connection:
                found = await connection.run_sync(_differences, metadata)
        finally:
            await engine.dispose()
    assert not found, "; ".join(found)


_FOLDER = {
    "env.py": "from sqlalchemy import MetaData\nfrom regiohub_shared.db.migrate import run_env\nrun_env(MetaData())\n",
    "versions/0001_x.py": """
from alembic import op
from regiohub_shared.db.rights import grant_rights

revision, down_revision = "0001", None


def upgrade():
    op.execute("CREATE TABLE thing (id integer PRIMARY KEY, name text, price integer)")
    op.execute("CREATE TABLE other (id integer PRIMARY KEY)")
    op.execute("CREATE SEQUENCE number")
    grant_rights("any", RIGHTS, sequences=("number",))
""",
}


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[Urls]:
    """An empty database; its roles have names of their own."""
    name = f"named_{uuid4().hex[:8]}"
    words = {f"{name.upper()}_{role}_PASSWORD": "a" for role in ("OWNER", "APP")}
    yield outside_loop(postgres.provision(cluster.admin_url, name, words, database=name))
    outside_loop(postgres.drop(cluster.admin_url, name))


def _migrate(folder: Path, urls: Urls, rights: dict[str, str], app_role: str) -> None:
    (folder / "versions").mkdir()
    for name, content in _FOLDER.items():
        (folder / name).write_text(content.replace("RIGHTS", repr(rights)), encoding="utf-8")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(run_migrations, folder, urls.owner, app_role=app_role).result()


async def test_the_role_gets_what_is_listed_whatever_its_name_is(empty: Urls, tmp_path: Path) -> None:
    role = str(urlsplit(empty.app).username)
    _migrate(tmp_path, empty, {"thing": "SELECT, INSERT, UPDATE (name)", "other": ""}, role)

    app = await asyncpg.connect(empty.app)
    await app.execute("INSERT INTO thing VALUES (nextval('number'), 'a', 1)")
    await app.execute("UPDATE thing SET name = 'b'")
    assert await app.fetchval("SELECT version_num FROM alembic_version") == "0001"
    for refused in (
        "UPDATE thing SET price = 0", "DELETE FROM thing", "SELECT * FROM other", "INSERT INTO other VALUES (1)",
        "DELETE FROM alembic_version", "SELECT setval('number', 9)",
    ):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(refused)
    await app.close()


async def test_a_table_that_nobody_thought_of_stops_the_migration(empty: Urls, tmp_path: Path) -> None:
    with pytest.raises(RightsMissing, match="other"):
        _migrate(tmp_path, empty, {"thing": "SELECT"}, str(urlsplit(empty.app).username))


async def test_without_an_app_role_the_owner_does_everything(empty: Urls, tmp_path: Path) -> None:
    _migrate(tmp_path, empty, {"thing": "SELECT", "other": ""}, "")

    owner = await asyncpg.connect(empty.owner)
    assert await owner.fetchval("SELECT count(*) FROM other") == 0
    await owner.close()
