"""The sandbox's books: one SQLite file, one transaction per request, on the disk before the answer leaves.

``synchronous=FULL`` and WAL make an acknowledged change survive a kill; one thread owns the connection, so that the
event loop never waits for the disk.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

Json = dict[str, Any]
T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS object (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    created INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS object_kind ON object (kind, seq);
CREATE TABLE IF NOT EXISTS idempotency_key (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, request_id TEXT NOT NULL,
    status INTEGER NOT NULL, body TEXT NOT NULL, created INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS delivery (id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, attempts INTEGER
    NOT NULL DEFAULT 0, due REAL NOT NULL, state TEXT NOT NULL DEFAULT 'waiting', answer TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (state, due);
CREATE TABLE IF NOT EXISTS job (id INTEGER PRIMARY KEY AUTOINCREMENT, due REAL NOT NULL, name TEXT NOT NULL,
    object_id TEXT NOT NULL, argument TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS switch (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Rows:
    """The books inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.sql = connection

    def add(self, thing: Json) -> Json:
        """Write a new object."""
        self.sql.execute(
            "INSERT INTO object (id, kind, created, body) VALUES (?, ?, ?, ?)",
            (thing["id"], thing["object"], thing["created"], json.dumps(thing)),
        )
        return thing

    def put(self, thing: Json) -> Json:
        """Write a changed object."""
        self.sql.execute("UPDATE object SET body = ? WHERE id = ?", (json.dumps(thing), thing["id"]))
        return thing

    def find(self, kind: str, object_id: str) -> Json | None:
        """Return the object or None."""
        row = self.sql.execute("SELECT body FROM object WHERE id = ? AND kind = ?", (object_id, kind)).fetchone()
        return json.loads(row[0]) if row else None

    def seq(self, object_id: str) -> int | None:
        """Return the place of an object in the order of creation, the cursor of lists."""
        row = self.sql.execute("SELECT seq FROM object WHERE id = ?", (object_id,)).fetchone()
        return row[0] if row else None

    def select(self, kind: str, where: str, values: list[Any], order: str, limit: int) -> list[Json]:
        """Return objects of a kind; ``where`` is written by this package only, its values are bound."""
        sql = f"SELECT body FROM object WHERE kind = ? {where} ORDER BY seq {order} LIMIT ?"
        return [json.loads(row[0]) for row in self.sql.execute(sql, (kind, *values, limit))]

    @contextmanager
    def undone_on_error(self) -> Iterator[None]:
        """A savepoint: what an action wrote before it refused is taken back, the transaction goes on."""
        self.sql.execute("SAVEPOINT action")
        try:
            yield
        except BaseException:
            self.sql.execute("ROLLBACK TO action")
            raise
        finally:
            self.sql.execute("RELEASE action")


class Store:
    """The file; :meth:`run` is the only way in."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "books.sqlite3"
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="books")
        self._connection: sqlite3.Connection | None = None

    async def run(self, work: Callable[[Rows], T]) -> T:
        """Run ``work`` in one transaction and return its value once it is on the disk; an exception undoes it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work)

    def close(self) -> None:
        """Close the file; later calls of :meth:`run` fail."""
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def _transaction(self, work: Callable[[Rows], T]) -> T:
        connection = self._connection = self._connection or self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            value = work(Rows(connection))
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        return value

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=10)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(_SCHEMA)
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
