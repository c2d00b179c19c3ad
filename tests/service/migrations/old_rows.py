"""Rows of a used database, laid into the schema of an older revision."""

import json
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from regiohub_local import postgres
from regiohub_local.postgres import Urls
from regiohub_shared.db.migrate import run_migrations
from tests.support.pg import Cluster, migrations_of, outside_loop

Rows = dict[str, list[str]]
"""By table: each row as JSON, in order."""
Columns = dict[str, list[str]]

_TABLES = """
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attname)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version'
GROUP BY c.relname
"""


def bring_to(member: str, urls: Urls, revision: str) -> None:
    """Migrate there (Alembic wants a thread without a loop)."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(run_migrations, migrations_of(f"regiohub_{member}"), urls.owner, revision).result()


@contextmanager
def first_schema(cluster: Cluster, member: str, roles: Urls) -> Iterator[Urls]:
    """A database at revision 0001 for the roles that ``roles`` names."""
    words = {
        f"{member.upper()}_{role.upper()}_PASSWORD": str(urlsplit(getattr(roles, role)).password)
        for role in ("owner", "app")
    }
    name = f"first_{member}_{secrets.token_hex(4)}"
    urls = outside_loop(postgres.provision(cluster.admin_url, member, words, database=name))
    try:
        bring_to(member, urls, "0001")
        yield urls
    finally:
        outside_loop(postgres.drop(cluster.admin_url, name))


async def columns_of(url: str) -> Columns:
    """Every table with its columns."""
    connection = await asyncpg.connect(url)
    found = await connection.fetch(_TABLES)
    await connection.close()
    return {table: list(names) for table, names in found}


async def rows_of(url: str, columns: Mapping[str, list[str]]) -> Rows:
    """What stands in these columns."""
    connection = await asyncpg.connect(url)
    found = {}
    for table, names in columns.items():
        listed = ", ".join(f'"{name}"' for name in names)
        query = f'SELECT to_jsonb(r)::text FROM (SELECT {listed} FROM "{table}") r ORDER BY 1'
        found[table] = [row for (row,) in await connection.fetch(query)]
    await connection.close()
    return found


async def lay(cluster: Cluster, url: str, rows: Rows, columns: Columns) -> None:
    """Write them as the superuser, without triggers and foreign keys: in any order. Checks and exclusions hold."""
    database = urlsplit(url).path
    connection = await asyncpg.connect(urlunsplit(urlsplit(cluster.admin_url)._replace(path=database)))
    await connection.execute("SET session_replication_role = replica")
    for table, found in rows.items():
        listed = ", ".join(f'"{name}"' for name in columns[table])
        await connection.execute(
            f'INSERT INTO "{table}" ({listed}) OVERRIDING SYSTEM VALUE '
            f'SELECT {listed} FROM jsonb_populate_recordset(NULL::public."{table}", $1)',
            json.dumps([json.loads(row) for row in found]),
        )
    await connection.close()


async def validate(url: str) -> None:
    """Check constraints that a step back added without a look at the rows that the newer version had written."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT conrelid::regclass AS at, conname FROM pg_constraint WHERE NOT convalidated")
    for row in rows:
        await connection.execute(f'ALTER TABLE {row["at"]} VALIDATE CONSTRAINT "{row["conname"]}"')
    await connection.close()


def schema_of(url: str) -> set[str]:
    """Every statement that PostgreSQL itself would write to make this schema anew, rights included."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dump"
        postgres.dump(url, file)
        command = [str(postgres.binary("pg_restore")), "--schema-only", "--no-owner", "--file=-", str(file)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line for line in told.splitlines() if line and not line.startswith(("--", "\\", "SET ", "SELECT "))]
    return {one for statement in "\n".join(lines).split(";\n") for one in _single_rights(statement.strip("; \n"))}


def _single_rights(statement: str) -> list[str]:
    """PostgreSQL writes the rights to one thing as one statement; here each is one."""
    if not statement.startswith("GRANT ") or "(" in statement:
        return [statement]
    rights, thing = statement.removeprefix("GRANT ").split(" ON ", 1)
    return [f"GRANT {right} ON {thing}" for right in rights.split(",")]
