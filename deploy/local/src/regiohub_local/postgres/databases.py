"""One database with two roles per service."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

log = logging.getLogger(__name__)

# Losers of a race wait for the winner's commit, so the lock wait must outlast a queue of 64 slow commits.
ROLE_SETTINGS = {
    "lock_timeout": "4s",
    "statement_timeout": "8s",
    "idle_in_transaction_session_timeout": "10s",
    "jit": "off",
}


@dataclass(frozen=True, slots=True)
class Urls:
    """`app` has no DDL and serves requests; `owner` migrates. Both are `postgresql://…` URLs."""

    app: str
    owner: str


async def provision(admin_url: str, name: str, secrets: Mapping[str, str], *, database: str | None = None) -> Urls:
    """Create or mend database `name` (or `database`) with the roles `<name>_owner` and `<name>_app`.

    `secrets` holds `<NAME>_OWNER_PASSWORD` and `<NAME>_APP_PASSWORD`. The app role may come in
    and do nothing: migrations give it its rights, table by table.
    """
    database = database or f"regiohub_{name}"
    owner, app = f"{name}_owner", f"{name}_app"
    passwords = {owner: secrets[f"{name.upper()}_OWNER_PASSWORD"], app: secrets[f"{name.upper()}_APP_PASSWORD"]}
    admin = await asyncpg.connect(admin_url)
    try:
        async with admin.transaction():
            # Roles belong to the whole server: two provisioners at once would both see "missing".
            await admin.execute("SELECT pg_advisory_xact_lock(hashtext('regiohub-provision'))")
            for role, password in passwords.items():
                await _ensure_role(admin, role, password)
            await _role_settings(admin, app)
        await _ensure_database(admin, database, owner)
    finally:
        await admin.close()
    urls = Urls(
        app=_with(admin_url, app, passwords[app], database),
        owner=_with(admin_url, owner, passwords[owner], database),
    )
    await _grant(urls.owner, app)
    return urls


async def drop(admin_url: str, database: str) -> None:
    """Drop a database and the sessions in it; missing is fine."""
    admin = await asyncpg.connect(admin_url)
    try:
        await admin.execute(f"DROP DATABASE IF EXISTS {ident(database)} WITH (FORCE)")
    finally:
        await admin.close()


def ident(name: str) -> str:
    """Return a name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def _literal(value: str) -> str:
    if "\\" in value or "\0" in value:
        raise ValueError("a password may not hold a backslash or NUL")
    return "'" + value.replace("'", "''") + "'"


def _with(url: str, user: str, password: str, database: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}", path=f"/{database}"))


async def _ensure_role(admin: asyncpg.Connection, role: str, password: str) -> None:
    if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        await admin.execute(f"CREATE ROLE {ident(role)}")
    await admin.execute(f"ALTER ROLE {ident(role)} WITH LOGIN PASSWORD {_literal(password)}")


async def _is_superuser(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"))


async def _role_settings(admin: asyncpg.Connection, role: str) -> None:
    for key, value in ROLE_SETTINGS.items():
        await admin.execute(f"ALTER ROLE {ident(role)} SET {key} = {_literal(value)}")
    if await _is_superuser(admin):
        await admin.execute(f"ALTER ROLE {ident(role)} SET deadlock_timeout = '100ms'")
    else:
        log.warning("deadlock_timeout of %s stays at the server's value: only a superuser may set it", role)


async def _ensure_database(admin: asyncpg.Connection, database: str, owner: str) -> None:
    if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
        if not await _is_superuser(admin):
            # Since PostgreSQL 16 the creator of a role may not act for it until it grants itself the role.
            await admin.execute(f"GRANT {ident(owner)} TO CURRENT_USER")
        with contextlib.suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
            await admin.execute(f"CREATE DATABASE {ident(database)} OWNER {ident(owner)}")


async def _grant(owner_url: str, app: str) -> None:
    """As the owner: extension, and the way in for the app role; what it may do with a table, its migration says."""
    role = ident(app)
    connection = await asyncpg.connect(owner_url)
    try:
        database = ident(await connection.fetchval("SELECT current_database()"))
        await connection.execute(
            f"""
            CREATE EXTENSION IF NOT EXISTS btree_gist;
            REVOKE ALL ON DATABASE {database} FROM PUBLIC;
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
            GRANT CONNECT ON DATABASE {database} TO {role};
            GRANT USAGE ON SCHEMA public TO {role};
            ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM {role};
            ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON SEQUENCES FROM {role};
            """
        )
    finally:
        await connection.close()
