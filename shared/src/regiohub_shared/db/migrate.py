"""Migrations: Alembic under an advisory lock, with timeouts, so that replicas cannot race."""

import argparse
import asyncio
import sys
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError

from regiohub_shared.db.address import make_engine
from regiohub_shared.db.errors import sqlstate

_RAISED = "P0001"
"""SQLSTATE of what our own migrations RAISE; the message is written for people."""
_LOCK = 7_201_905_533
"""Any constant: whoever migrates this database holds it."""


class NoStepBack(Exception):
    """A step back from this migration would lose facts, or what guards them; the message says which."""


def _config(script_location: Path, url: str = "", app_role: str = "") -> Config:
    config = Config()
    config.set_main_option("script_location", str(script_location))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    config.attributes["app_role"] = app_role
    return config


def head(script_location: Path) -> str:
    """Return the newest revision that the code knows."""
    revision = ScriptDirectory.from_config(_config(script_location)).get_current_head()
    return revision or ""


def is_behind(found: str | None, expected: str) -> bool:
    """Return whether the database's revision lacks something that code of the revision ``expected`` needs.

    A higher number than ours is a later version's, whose migrations also run under the old code: during a rollout the
    old programs go on serving it. What is no number (:func:`new_revision` gives nothing else) tells us nothing.
    """
    if found is None or not (found.isdecimal() and expected.isdecimal()):
        return found != expected
    return int(found) < int(expected)


def run_migrations(script_location: Path, url: str, revision: str = "head", *, app_role: str = "") -> None:
    """Bring the database at ``url`` (owner role) to ``revision``; a second caller waits, then finds nothing to do.

    ``-1`` is one step back; a migration whose step back would lose facts raises instead, and nothing has changed.
    ``app_role`` gets the rights that ``db/rights.py`` gives; empty: ``<service>_app``.
    """
    move = command.downgrade if revision.startswith("-") else command.upgrade
    move(_config(script_location, url, app_role), revision)


def new_revision(script_location: Path, message: str) -> Path:
    """Write the skeleton of the next migration, ``NNNN_<slug>.py``, and return it.

    It is empty on purpose: autogenerate does not see exclusion constraints, triggers and rights.
    """
    config = _config(script_location)
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    number = f"{int(head(script_location) or 0) + 1:04d}"
    made = command.revision(config, message=message, rev_id=number)
    return Path(made.path)  # type: ignore[union-attr]  # one revision is asked for, one comes back


def _migrate(connection: Connection, metadata: MetaData) -> None:
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=False)
    with context.begin_transaction():
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        context.run_migrations()


async def _run(url: str, metadata: MetaData) -> None:
    engine = make_engine(url)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate, metadata)
            await connection.commit()
    finally:
        await engine.dispose()


def run_env(metadata: MetaData) -> None:
    """The whole of a service's ``migrations/env.py``."""
    asyncio.run(_run(context.config.attributes["url"], metadata))


def main(script_location: Path, url: str) -> None:
    """Command line of a service's migration job."""
    parser = argparse.ArgumentParser(description="Bring this service's database to the newest schema")
    parser.add_argument("revision", nargs="?", default="head", help="a number, head, or -1: one step back")
    parser.add_argument("--app-role", default="", help="role of the running service, if it is not <service>_app")
    chosen = parser.parse_args()
    try:
        run_migrations(script_location, url, chosen.revision, app_role=chosen.app_role)
    except NoStepBack as refusal:
        sys.exit(str(refusal))
    except DBAPIError as error:
        if sqlstate(error) != _RAISED:
            raise
        sys.exit(str(error.orig.__cause__ if error.orig else error))
