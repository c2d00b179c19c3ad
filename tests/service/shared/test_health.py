"""Only the own database and schema decide about readiness; the rest is told."""

from datetime import timedelta
from uuid import uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from regiohub_local import postgres
from regiohub_shared.clock import real_now
from regiohub_shared.web.app import AppSpec, create_app
from regiohub_shared.web.health import Check
from tests.service.shared.probe import app as probe
from tests.support import tokens
from tests.support.pg import Cluster


async def _delivery(sql: asyncpg.Connection, *, age: timedelta, dead: bool = False, done: bool = False) -> None:
    """A fact of that age, tried a moment ago and due again soon, as one for a subscriber that is away would be."""
    made, now = uuid4(), real_now()
    await sql.execute("INSERT INTO outbox VALUES ($1, 't', 's', 1, $2, '{}', '{}')", made, now - age)
    await sql.execute(
        "INSERT INTO outbox_delivery VALUES ($1, 'receiver', 9, $2, NULL, $3, $4, '')",
        made, now + timedelta(seconds=200), now if done else None, now if dead else None,
    )  # fmt: skip


async def test_ready(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "alive"}
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "degraded": {}})


async def test_not_migrated(cluster: Cluster) -> None:
    name = "probe_empty"
    words = {"PROBE_EMPTY_OWNER_PASSWORD": "a", "PROBE_EMPTY_APP_PASSWORD": "b"}
    urls = await postgres.provision(cluster.admin_url, name, words, database=name)
    app = probe.build(urls.app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://probe") as client,
    ):
        assert (await client.get("/healthz")).status_code == 200
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not-ready")
        assert (await client.get("/metrics")).status_code == 200
    await postgres.drop(cluster.admin_url, name)


async def test_older_schema(client: httpx.AsyncClient, sql: asyncpg.Connection) -> None:
    await sql.execute("UPDATE alembic_version SET version_num = '0000'")
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert (answer.json()["found"], answer.json()["expected"]) == ("0000", "0001")


async def test_a_schema_newer_than_the_code_is_served(client: httpx.AsyncClient, sql: asyncpg.Connection) -> None:
    await sql.execute("UPDATE alembic_version SET version_num = '0012'")
    assert (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("revision", ["", "4f0c1e"])
async def test_a_schema_that_no_migration_of_ours_made_is_not_served(
    client: httpx.AsyncClient, sql: asyncpg.Connection, revision: str
) -> None:
    await sql.execute("UPDATE alembic_version SET version_num = $1", revision)
    assert (await client.get("/readyz")).status_code == 503


async def test_dead_letters_degrade(client: httpx.AsyncClient, sql: asyncpg.Connection) -> None:
    await _delivery(sql, age=timedelta(seconds=1), dead=True)
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["degraded"]["outbox"]["dead"] == 1
    text = (await client.get("/metrics")).text
    assert "outbox_dead 1.0" in text
    assert 'degraded{name="outbox"} 1.0' in text
    assert 'degraded{name="keys"} 0.0' in text, "what could limp is told too"


async def test_a_lagging_outbox_degrades_however_often_it_is_tried(
    client: httpx.AsyncClient, sql: asyncpg.Connection
) -> None:
    await _delivery(sql, age=timedelta(seconds=90))
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["degraded"]["outbox"]["pending"] == 1
    assert 89 <= answer.json()["degraded"]["outbox"]["oldest_s"] <= 120
    text = (await client.get("/metrics")).text
    assert "outbox_pending 1.0" in text
    assert "outbox_oldest_seconds 9" in text


async def test_a_working_outbox_does_not(client: httpx.AsyncClient, sql: asyncpg.Connection) -> None:
    await _delivery(sql, age=timedelta(seconds=20))
    await _delivery(sql, age=timedelta(days=2), done=True)
    assert (await client.get("/readyz")).json() == {"status": "ready", "degraded": {}}
    assert 'degraded{name="outbox"} 0.0' in (await client.get("/metrics")).text


@pytest.mark.parametrize("error", [RuntimeError("a secret"), TimeoutError()])
async def test_a_check_that_fails_never_unreadies_us(urls: postgres.Urls, error: Exception) -> None:
    async def broken() -> dict[str, object]:
        raise error

    spec = AppSpec(
        name="probe", title="Probe", routers=[], migrations=probe.MIGRATIONS, checks=[lambda _app: Check((), broken)]
    )
    app = create_app(spec, probe.settings(urls.app), verifier=tokens.verifier("x"))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://probe") as client,
    ):
        answer = await client.get("/readyz")
        text = (await client.get("/metrics")).text
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert "secret" not in answer.text
    assert 'degraded{name="failed_checks"} 1.0' in text


async def test_state_of_the_app(app: FastAPI) -> None:
    assert app.state.db
    assert app.state.settings.client_id == probe.AUDIENCE
    assert app.state.verifier
