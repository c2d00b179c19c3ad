"""One request is one transaction; it commits before the response, and a deadlock's victim runs again."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from regiohub_local.postgres import Urls
from regiohub_shared.db.database import Database
from regiohub_shared.db.errors import is_away
from tests.support import tokens

_LOSSES = 150


@pytest.mark.parametrize("path", ["/v1/notes", "/v1/fast-notes"])
async def test_commit_comes_before_the_response(client: httpx.AsyncClient, sql: asyncpg.Connection, path: str) -> None:
    answer = await client.post(path, json={"text": "a"})
    assert answer.status_code == 201
    assert await sql.fetchval("SELECT id FROM note") == UUID(answer.json()["id"])


@pytest.mark.parametrize("path", ["/v1/notes", "/v1/fast-notes"])
async def test_a_commit_that_fails_is_never_told_as_success(
    client: httpx.AsyncClient, sql: asyncpg.Connection, path: str
) -> None:
    """The foreign key is checked at commit only; the route itself has already returned its value."""
    answer = await client.post(path, json={"text": "a", "parent_id": str(uuid4())})
    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/internal"
    assert await sql.fetchval("SELECT count(*) FROM note") == 0


async def _two_notes(sql: asyncpg.Connection) -> None:
    await sql.executemany("INSERT INTO note VALUES ($1, '', 0)", [(UUID(int=1),), (UUID(int=2),)])


async def test_a_deadlock_is_run_again(client: httpx.AsyncClient, app: FastAPI, sql: asyncpg.Connection) -> None:
    await _two_notes(sql)
    answers = await asyncio.gather(client.post("/v1/locks/1/2"), client.post("/v1/locks/2/1"))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert app.state.runs > 2, "no deadlock happened: the test shows nothing"
    assert [row["number"] for row in await sql.fetch("SELECT number FROM note")] == [2, 2]


async def test_three_repeats_and_no_more(client: httpx.AsyncClient, app: FastAPI) -> None:
    answer = await client.post("/v1/always-victim")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    assert app.state.victims == 4


async def test_pool_gives_every_connection_back(client: httpx.AsyncClient) -> None:
    """More failures than the pool has connections, then a success."""
    for path in ("/v1/notes", "/v1/fast-notes"):
        for _ in range(12):
            await client.post(path, json={"text": "a\0"})
        assert (await client.post(path, json={"text": "a"})).status_code == 201


@pytest.mark.parametrize("broken", [False, True])
async def test_the_next_on_the_same_connection_finds_nothing_of_the_one_before(urls: Urls, *, broken: bool) -> None:
    """The pool resets nothing, so the transaction's end must have: locks, settings, and itself when it was cut off."""
    db = Database(urls.app, pool_size=1)
    try:
        with contextlib.suppress(TimeoutError):
            async with db.transaction() as one, asyncio.timeout(0.5):
                await one.execute("SELECT pg_advisory_xact_lock(7)")
                await one.execute("SET LOCAL lock_timeout = '7777ms'")
                first = one.get_server_pid()
                await one.execute(f"SELECT pg_sleep({5 if broken else 0})")
        async with db.transaction() as other:
            assert other.get_server_pid() == first
            assert await other.fetchval("SHOW lock_timeout") != "7777ms"
            mine = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            assert await other.fetchval(mine) == 0
    finally:
        await db.close()


class TestIdempotencyKey:
    """A repeat gets the first answer; nothing happens twice."""

    def _headers(self, key: str, sub: str = "demo") -> dict[str, str]:
        return tokens.bearer(sub, "member") | {"Idempotency-Key": key}

    async def _count(self, sql: asyncpg.Connection) -> int:
        found: int = await sql.fetchval("SELECT count(*) FROM note")
        return found

    async def test_missing(self, client: httpx.AsyncClient) -> None:
        for key in ("", '""', "  "):
            answer = await client.post("/v1/payments", json={"text": "a"}, headers=self._headers(key))
            assert (answer.status_code, answer.json()["type"]) == (400, "/problems/idempotency-key-missing")
        answer = await client.post("/v1/payments", json={"text": "a"}, headers=tokens.bearer("demo"))
        assert answer.status_code == 400

    async def test_too_long(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/payments", json={"text": "a"}, headers=self._headers("k" * 256))
        assert answer.status_code == 422

    async def test_replay(self, client: httpx.AsyncClient, sql: asyncpg.Connection) -> None:
        first = await client.post("/v1/payments", json={"text": "a", "number": 1}, headers=self._headers("k-1"))
        again = await client.post("/v1/payments", json={"number": 1, "text": "a"}, headers=self._headers('"k-1"'))
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.json() == first.json()
        assert again.headers["idempotent-replayed"] == "true"
        assert await self._count(sql) == 1

    async def test_other_body(self, client: httpx.AsyncClient, sql: asyncpg.Connection) -> None:
        await client.post("/v1/payments", json={"text": "a"}, headers=self._headers("k-1"))
        answer = await client.post("/v1/payments", json={"text": "b"}, headers=self._headers("k-1"))
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/idempotency-key-reused")
        assert await self._count(sql) == 1

    async def test_keys_belong_to_their_user(self, client: httpx.AsyncClient, sql: asyncpg.Connection) -> None:
        first = await client.post("/v1/payments", json={"text": "a"}, headers=self._headers("k-1"))
        other = await client.post("/v1/payments", json={"text": "a"}, headers=self._headers("k-1", "demo-2"))
        assert first.json() != other.json()
        assert await self._count(sql) == 2

    async def test_in_flight(self, client: httpx.AsyncClient, sql: asyncpg.Connection) -> None:
        """The second neither waits nor works; once the first is done, it gets the first's answer."""

        async def send() -> httpx.Response:
            return await client.post("/v1/payments", json={"text": "slow"}, headers=self._headers("k-1"))

        answers = await asyncio.gather(*(send() for _ in range(5)))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [201, 409, 409, 409, 409]
        refused = next(answer for answer in answers if answer.status_code == 409)
        assert refused.json()["type"] == "/problems/request-in-flight"
        assert refused.headers["retry-after"] == "1"
        assert (await send()).json() == next(answer for answer in answers if answer.status_code == 201).json()
        assert await self._count(sql) == 1

    async def test_a_refusal_is_not_stored(self, client: httpx.AsyncClient, sql: asyncpg.Connection) -> None:
        assert (
            await client.post("/v1/payments", json={"text": "late"}, headers=self._headers("k-1"))
        ).status_code == 409
        assert await sql.fetchval("SELECT count(*) FROM idempotency_key") == 0
        answer = await client.post("/v1/payments", json={"text": "a"}, headers=self._headers("k-1"))
        assert answer.status_code == 201


async def test_a_connection_lost_within_a_transaction_is_a_database_that_is_away(
    urls: Urls, admin: asyncpg.Connection
) -> None:
    """Seen under kills: asyncpg calls the end of such a transaction a misuse, and the member heard 500 instead of 503."""
    db = Database(urls.app)

    async def lose() -> None:
        async with db.transaction() as connection:
            await admin.execute("SELECT pg_terminate_backend($1)", await connection.fetchval("SELECT pg_backend_pid()"))
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError):
                while True:
                    await connection.execute("SELECT 1")

    try:
        with pytest.raises(ConnectionResetError) as lost:
            await lose()
        assert is_away(lost.value)
    finally:
        await db.close()


async def _by_transaction(db: Database) -> None:
    async with db.transaction() as connection:
        for _ in range(3):
            await connection.execute("SELECT 1")


async def _by_pool(db: Database) -> None:
    await (await db.pool()).fetchval("SELECT 1")


async def _by_session(db: Database) -> None:
    async with db.session() as session:
        for _ in range(3):
            await session.execute(text("SELECT 1"))


_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND usename LIKE '%app'"


async def _until(count: int, seen: list[Any], ask: Callable[[], Awaitable[object]]) -> None:
    while len(seen) < count:
        await ask()
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("way", [_by_transaction, _by_pool, _by_session])
async def test_a_server_that_ends_its_connections_is_away_whichever_moment_it_chooses(
    urls: Urls, admin: asyncpg.Connection, way: Callable[[Database], Awaitable[None]]
) -> None:
    """As at a planned restart. Between the server's farewell and the end of the line asyncpg speaks of an internal error."""
    db, lost = Database(urls.app), list[Exception]()
    name = await (await db.pool()).fetchval("SELECT current_database()")

    async def work() -> None:
        while len(lost) < _LOSSES:
            try:
                await way(db)
            except Exception as error:  # noqa: BLE001 - which kinds there are is the question
                lost.append(error)

    try:
        async with asyncio.timeout(60):
            await asyncio.gather(_until(_LOSSES, lost, lambda: admin.fetch(_END, name)), *(work() for _ in range(4)))
        assert [error for error in lost if not is_away(error)] == []
    finally:
        await db.close()


@pytest.mark.parametrize("path", ["/v1/notes", "/v1/fast-notes"])
async def test_members_hear_503_while_the_server_ends_its_connections(
    client: httpx.AsyncClient, admin: asyncpg.Connection, sql: asyncpg.Connection, path: str
) -> None:
    refused, made = list[httpx.Response](), 0
    name = await sql.fetchval("SELECT current_database()")

    async def work() -> None:
        nonlocal made
        while len(refused) < _LOSSES:
            answer = await client.post(path, json={"text": "a"})
            if answer.status_code == 201:
                made += 1
            else:
                refused.append(answer)

    async with asyncio.timeout(60):
        await asyncio.gather(_until(_LOSSES, refused, lambda: admin.fetch(_END, name)), *(work() for _ in range(4)))
    assert {answer.status_code for answer in refused} == {503}
    assert await sql.fetchval("SELECT count(*) FROM note") >= made
