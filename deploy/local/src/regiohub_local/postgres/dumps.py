"""A database into a file and back, by PostgreSQL's own programs. Passwords travel by environment, never in a command."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from regiohub_local.postgres.databases import ident
from regiohub_local.postgres.home import PostgresError
from regiohub_local.postgres.server import binary


def dump(owner_url: str, file: Path) -> None:
    """Write one consistent moment of a database, its owner's rights included; others go on reading and writing."""
    _run("pg_dump", owner_url, "--format=custom", "--no-owner", f"--file={file}")


def load(owner_url: str, file: Path) -> None:
    """Fill an empty, provisioned database; all of it or nothing."""
    _run("pg_restore", owner_url, "--no-owner", "--no-comments", "--single-transaction", "--exit-on-error", str(file))


async def set_aside(admin_url: str, database: str, name: str) -> bool:
    """Rename a database, so that nothing of it is lost; False if there is none."""
    admin = await asyncpg.connect(admin_url)
    try:
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
            return False
        await admin.execute(f"ALTER DATABASE {ident(database)} RENAME TO {ident(name)}")
        return True
    finally:
        await admin.close()


def _run(program: str, url: str, *arguments: str) -> None:
    parts = urlsplit(url)
    address = urlunsplit(parts._replace(netloc=f"{parts.username}@{parts.netloc.rpartition('@')[2]}"))
    env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "PGPASSWORD": unquote(parts.password or "")}
    env |= {name: os.environ[name] for name in ("PGSSLMODE", "PGSSLROOTCERT") if name in os.environ}
    command = [str(binary(program)), f"--dbname={address}", *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise PostgresError(f"{program} failed: {said[0] if said else 'it said nothing'}")
