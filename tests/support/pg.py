"""Real PostgreSQL for tests: one server per run, one migrated template per service, one copy per test."""

import asyncio
import secrets
import tempfile
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from regiohub_local import postgres
from regiohub_local.ports import free_port
from regiohub_local.postgres import Urls
from regiohub_shared.db.migrate import run_migrations

_T = TypeVar("_T")


def outside_loop(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end in a thread of its own, whatever loop the test has."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def migrations_of(package: str) -> Path:
    """Return the folder of a member's migrations."""
    return Path(str(files(package) / "migrations"))


def _named(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


class Cluster:
    """A running server and the templates made on it so far."""

    def __init__(self, admin_url: str) -> None:
        self.admin_url = admin_url
        self._templates: dict[str, Urls] = {}
        self._made = 0

    def _template(self, service: str, migrations: Path | None) -> Urls:
        """Migrate once: migrations, never ``create_all``, are the schema in tests."""
        if service not in self._templates:
            words = {f"{service.upper()}_{role}_PASSWORD": secrets.token_hex(8) for role in ("OWNER", "APP")}
            urls = outside_loop(postgres.provision(self.admin_url, service, words, database=f"template_{service}"))
            with ThreadPoolExecutor(1) as pool:
                pool.submit(run_migrations, migrations or migrations_of(f"regiohub_{service}"), urls.owner).result()
            self._templates[service] = urls
        return self._templates[service]

    @contextmanager
    def database(self, service: str, migrations: Path | None = None) -> Iterator[Urls]:
        """A fresh copy of the service's migrated database; dropped afterwards. ``migrations``: not a member's own."""
        template = self._template(service, migrations)
        self._made += 1
        name = f"test_{service}_{self._made}"
        copy = f'CREATE DATABASE "{name}" TEMPLATE "template_{service}" STRATEGY file_copy OWNER "{service}_owner"'
        outside_loop(self._admin(copy))
        try:
            yield Urls(app=_named(template.app, name), owner=_named(template.owner, name))
        finally:
            outside_loop(postgres.drop(self.admin_url, name))

    async def _admin(self, sql: str) -> None:
        connection = await asyncpg.connect(self.admin_url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Start a throw-away server without fsync (a crashed machine may lose it, a crashed process loses nothing)."""
    with tempfile.TemporaryDirectory(prefix="regiohub-test-") as folder:
        state = Path(folder)
        server = postgres.start(state, free_port(), fast=True)
        try:
            yield Cluster(server.admin_url)
        finally:
            postgres.stop(state, remove=True)
