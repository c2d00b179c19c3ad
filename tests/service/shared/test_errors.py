"""Every error leaves as problem+json, says why, and tells nothing that is ours alone."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from regiohub_local.ports import free_port
from regiohub_local.postgres import Urls
from regiohub_shared.db.database import Database
from regiohub_shared.events.worker import every
from regiohub_shared.log import configure_logging
from regiohub_shared.web.middleware import BodyLimit
from tests.support import tokens

NOTE = "0193b3f0-0000-7000-8000-0000000000c1"
KNOWN = {"type", "title", "status", "detail", "instance"}


def check(answer: httpx.Response, status: int, kind: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert body.keys() >= KNOWN
    assert body["type"] == f"/problems/{kind}"
    assert body["status"] == status
    assert body["instance"] == answer.headers["x-request-id"]
    UUID(str(body["instance"]))
    return body


async def test_unknown_path(client: httpx.AsyncClient) -> None:
    check(await client.get("/v1/nothing-here"), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", f"/v1/notes/{NOTE}", "DELETE, GET, PUT"),
        ("PATCH", f"/v1/notes/{NOTE}", "DELETE, GET, PUT"),
        ("GET", "/v1/notes", "POST"),
        ("DELETE", "/healthz", "GET"),
    ],
)
async def test_wrong_method_lists_all_methods_of_the_path(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await client.request(method, path)
    check(answer, 405, "method-not-allowed")
    assert [item for item in answer.headers["allow"].split(", ") if item not in {"HEAD", "OPTIONS"}] == allowed.split(
        ", "
    )


async def test_wrong_fields_are_pointed_at(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/notes", json={"number": "many", "at": "2026-11-25T09:00:00"})
    body = check(answer, 422, "malformed")
    errors = body["errors"]
    assert isinstance(errors, list)
    assert {item["pointer"] for item in errors} == {"/body/text", "/body/number", "/body/at"}
    assert all(item.keys() == {"pointer", "detail"} for item in errors), "the caller's input is not echoed"


@pytest.mark.parametrize("body", [b'{"text": ', b"\xff\xfe", b'{"text": "a"} trailing', b"[" * 100_000, b""])
async def test_broken_json(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/v1/notes", content=body, headers={"content-type": "application/json"})
    check(answer, 422, "malformed")


@pytest.mark.parametrize("path", ["/v1/notes", "/v1/fast-notes"])
@pytest.mark.parametrize("words", ["a\0b", "\0"])
async def test_nul_in_text(client: httpx.AsyncClient, sql: asyncpg.Connection, path: str, words: str) -> None:
    check(await client.post(path, json={"text": words}), 422, "malformed")
    assert await sql.fetchval("SELECT count(*) FROM note") == 0


@pytest.mark.parametrize("path", ["/v1/notes", "/v1/fast-notes"])
@pytest.mark.parametrize("body", ['{"text": "a", "number": 9223372036854775808}', '{"text": "\\ud800"}'])
async def test_what_no_column_can_hold(client: httpx.AsyncClient, path: str, body: str) -> None:
    answer = await client.post(path, content=body, headers={"content-type": "application/json"})
    check(answer, 422, "malformed")


async def test_values_in_the_path_that_no_column_can_hold(client: httpx.AsyncClient) -> None:
    check(await client.get("/v1/numbers/99999999999999999999"), 422, "malformed")
    check(await client.get("/v1/texts/a%00b"), 422, "malformed")
    assert (await client.get("/v1/texts/%ff")).status_code == 200


@pytest.mark.parametrize("path", ["/v1/bug", "/v1/wrong-type"])
async def test_a_bug_tells_nothing(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path)
    body = check(answer, 500, "internal")
    assert body["detail"] == ""
    for word in ("secret", "RuntimeError", "Traceback", "not a number", "asyncpg"):
        assert word not in answer.text


@pytest.mark.parametrize("path", ["/v1/notes", "/v1/fast-notes"])
async def test_an_unexpected_database_error_does_not_log_the_row(
    client: httpx.AsyncClient, sql: asyncpg.Connection, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    await sql.execute("ALTER TABLE note ADD CONSTRAINT never CHECK (number > 5)")
    configure_logging("probe")

    check(await client.post(path, json={"text": "Demo Kundin, Musterweg 3", "number": 1}), 500, "internal")

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [told] = [line for line in lines if line["event"] == "database_error"]
    assert (told["sqlstate"], told["constraint"]) == ("23514", "never")
    assert "Musterweg" not in str(lines)


async def test_a_loop_that_fails_on_the_database_does_not_log_the_row(
    urls: Urls, sql: asyncpg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    await sql.execute("ALTER TABLE note ADD CONSTRAINT never CHECK (number > 5)")
    configure_logging("probe")
    db, stop = Database(urls.app), asyncio.Event()

    async def work() -> None:
        stop.set()
        async with db.session() as session:
            values = {"id": uuid4(), "text": "Musterweg 3"}
            await session.execute(text("INSERT INTO note (id, text, number) VALUES (:id, :text, 1)"), values)

    await every(0.01, "test", work)(stop)
    await db.close()

    [told] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (told["event"], told["error"], told["sqlstate"]) == ("round_failed", "IntegrityError", "23514")
    assert str(told["at"]).startswith("worker.py:")
    assert "Musterweg" not in str(told)


async def test_a_round_without_its_database_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    db, stop = Database(f"postgresql://nobody@127.0.0.1:{free_port()}/away"), asyncio.Event()
    configure_logging("test", level="INFO")

    async def work() -> None:
        stop.set()
        async with db.session() as session:
            await session.execute(text("SELECT 1"))

    await every(0.01, "test", work)(stop)
    await db.close()

    [told] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (told["event"], told["error"]) == ("round_failed", "ConnectionRefusedError")
    assert "exception" not in told
    assert len(str(told)) < 600


async def test_a_refusal_keeps_its_parameters_and_undoes_its_writes(
    client: httpx.AsyncClient, sql: asyncpg.Connection
) -> None:
    answer = await client.post("/v1/refusal")
    body = check(answer, 409, "too-late")
    assert body["detail"] == "The bus has left."
    UUID(str(body["note_id"]))
    assert str(body["since"]).endswith(("Z", "+00:00"))
    assert answer.headers["retry-after"] == "7"
    assert await sql.fetchval("SELECT count(*) FROM note") == 0


async def test_announced_body_too_large(client: httpx.AsyncClient) -> None:
    body = check(await client.post("/v1/notes", content=b"x" * 1_048_577), 413, "too-large")
    assert body["max_bytes"] == 1_048_576


async def test_streamed_body_too_large_is_not_read_to_its_end(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100:
            sent += 1
            yield b"x" * 65_536

    check(await client.post("/v1/notes", content=endless()), 413, "too-large")
    assert sent < 20


async def test_a_body_that_only_drips_in_is_given_up_and_the_connection_ends(app: FastAPI) -> None:
    sent: list[Any] = []

    async def drip() -> dict[str, object]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: object) -> None:
        sent.append(message)

    async def never(*_: object) -> None:
        raise AssertionError("half a body was passed on")

    scope = {"type": "http", "method": "POST", "path": "/v1/notes", "headers": []}
    async with asyncio.timeout(5):
        await BodyLimit(never, within_s=0.2)(scope, drip, send)

    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert b"/problems/slow-body" in sent[1]["body"]


async def test_a_body_that_breaks_off_is_never_taken_for_a_whole_one(app: FastAPI, sql: asyncpg.Connection) -> None:
    """The client announced more than it sent and went away."""
    messages = [
        {"type": "http.request", "body": b'{"text": "half"}', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[object] = []

    async def receive():
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": "/v1/notes",
        "raw_path": b"/v1/notes", "query_string": b"", "root_path": "", "scheme": "http", "client": None,
        "server": None, "headers": [(b"content-type", b"application/json"), (b"content-length", b"999")],
    }  # fmt: skip
    await app(scope, receive, send)
    assert await sql.fetchval("SELECT count(*) FROM note") == 0
    assert sent == []


async def test_database_away(client: httpx.AsyncClient, sql: asyncpg.Connection, admin: asyncpg.Connection) -> None:
    """Its sessions are cut, then it lets nobody in: a passing failure, not our bug."""
    for path in ("/v1/notes", "/v1/fast-notes"):
        assert (await client.post(path, json={"text": "a"})).status_code == 201
    name = await sql.fetchval("SELECT current_database()")
    await admin.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 0')
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'probe_app' AND datname = $1"
    await admin.execute(cut, name)
    try:
        for path in ("/v1/notes", "/v1/fast-notes"):
            answer = await client.post(path, json={"text": "b"})
            check(answer, 503, "unavailable")
            assert answer.headers["retry-after"]
        check(await client.get("/readyz"), 503, "not-ready")
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/metrics")).status_code == 200
    finally:
        await admin.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')
    assert (await client.post("/v1/notes", json={"text": "c"})).status_code == 201


class TestAuthorization:
    """401 and 403 at the edge."""

    async def test_no_token(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/v1/me")
        check(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"

    async def test_good_token(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/v1/me", headers=tokens.bearer("demo", "member"))
        assert answer.json() == {"sub": "demo"}

    @pytest.mark.parametrize("path", ["/v1/me", "/v1/public"])
    async def test_bad_token_is_refused_even_where_none_is_needed(self, client: httpx.AsyncClient, path: str) -> None:
        check(await client.get(path, headers={"Authorization": "Bearer a.b.c"}), 401, "invalid-token")

    async def test_public_route_needs_none(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/v1/public")).json() == {"sub": ""}

    @pytest.mark.parametrize("value", ["Basic abc", "Bearer", "Bearer "])
    async def test_other_schemes(self, client: httpx.AsyncClient, value: str) -> None:
        check(await client.get("/v1/me", headers={"Authorization": value}), 401, "unauthorized")

    async def test_two_headers(self, client: httpx.AsyncClient) -> None:
        one = tokens.bearer("demo")["Authorization"]
        check(await client.get("/v1/me", headers=[("Authorization", one), ("Authorization", one)]), 401, "unauthorized")

    async def test_wrong_role(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/v1/operators-only", headers=tokens.bearer("demo", "member"))
        assert check(answer, 403, "forbidden")["roles"] == ["hub-operator", "county-admin"]

    @pytest.mark.parametrize("role", ["hub-operator", "county-admin"])
    async def test_either_role(self, client: httpx.AsyncClient, role: str) -> None:
        assert (await client.get("/v1/operators-only", headers=tokens.bearer("demo", role))).status_code == 200
