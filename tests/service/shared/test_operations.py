"""A worker answers probes and Prometheus while its loops move, and says so when they do not."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from regiohub_local.ports import free_port
from regiohub_local.postgres import Urls
from regiohub_shared.db.database import Database
from regiohub_shared.events.operations import Address, operations_app, operations_server
from regiohub_shared.events.watch import STUCK_S, Watch
from regiohub_shared.tracing import Tracer
from regiohub_shared.web.server import BoundedHttp
from tests.service.shared.probe import app as probe
from tests.service.shared.test_shutdown import ROOT, end, told

_WORKER = """
import asyncio, sys
from pathlib import Path
from regiohub_shared.db.database import Database
from regiohub_shared.events.operations import address_from
from regiohub_shared.events.worker import every, run_loops, seen
from regiohub_shared.log import configure_logging

async def fail():
    raise OSError

async def begun(stop):
    await stop.wait()
    await asyncio.sleep(1)
    print("finished", flush=True)

async def main():
    db = Database(sys.argv[1])
    async with seen("probe-worker", db, Path(sys.argv[2]), address_from(sys.argv[3:])):
        await run_loops(every(0.05, "good", lambda: asyncio.sleep(0)), every(0.05, "bad", fail), begun)
    await db.close()

configure_logging("probe-worker")
asyncio.run(main())
"""


@asynccontextmanager
async def working(urls: Urls) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """A worker in a process of its own, once it answers."""
    port = free_port()
    command = ["-c", _WORKER, urls.app, str(probe.MIGRATIONS), f"--port={port}"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, env=dict(os.environ), stdout=PIPE
    )
    try:
        async with asyncio.timeout(20), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            while not await _answers(client):
                assert process.returncode is None
                await asyncio.sleep(0.05)
            yield process, client
    finally:
        await end(process)


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).is_success
    except httpx.TransportError:
        return False


async def test_a_worker_tells_of_its_loops_and_answers_until_they_have_ended(urls: Urls) -> None:
    async with working(urls) as (process, client):
        ready = await client.get("/readyz")
        text = (await client.get("/metrics")).text
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        while_ending = await client.get("/healthz")
        output = await told(process)

    assert (ready.status_code, ready.json()) == (200, {"status": "degraded", "degraded": {"loops_failing": ["bad"]}})
    assert 'worker_rounds_total{loop="good",outcome="done"}' in text
    assert 'worker_rounds_total{loop="bad",outcome="failed"}' in text
    assert 'degraded{name="loops_failing"} 1.0' in text
    assert re.search(r'worker_heartbeat_timestamp_seconds\{loop="good"\} 1\.\d+e\+09', text)
    assert "process_resident_memory_bytes" in text
    assert while_ending.status_code == 200
    assert process.returncode == 0
    assert "finished" in output
    assert "Traceback (most recent" not in output.replace("round_failed", "")[-200:]


@pytest.fixture
async def watched(urls: Urls) -> AsyncIterator[tuple[Watch, list[float], httpx.AsyncClient]]:
    """A watch with a clock of ours, and the app that tells of it."""
    clock, db = [0.0], Database(urls.app)
    watch = Watch(CollectorRegistry(), Tracer(), monotonic=lambda: clock[0])
    transport = httpx.ASGITransport(operations_app(watch, db, probe.MIGRATIONS))
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
        yield watch, clock, client
    await db.close()


async def test_a_loop_that_does_not_come_back_costs_the_process_its_life(watched) -> None:
    watch, clock, client = watched
    watch.beat("mail", 1)
    assert (await client.get("/healthz")).status_code == 200
    clock[0] = STUCK_S + 2

    answer = await client.get("/healthz")

    assert (answer.status_code, answer.json()["type"], answer.json()["loops"]) == (503, "/problems/stuck", ["mail"])
    assert (await client.get("/readyz")).status_code == 200, "that is another question"


async def test_a_worker_without_its_schema_is_not_ready_but_lives(watched, sql: asyncpg.Connection) -> None:
    _, _, client = watched
    await sql.execute("UPDATE alembic_version SET version_num = '0000'")

    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/healthz")).status_code == 200
    assert "degraded" in (await client.get("/metrics")).text


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/"])
async def test_nothing_else_is_there(watched, path: str) -> None:
    _, _, client = watched
    assert (await client.get(path)).status_code == 404


def test_a_worker_waits_for_no_dripping_head_either():
    config = operations_server(FastAPI(), Address(port=1)).config
    config.load()
    assert config.http_protocol_class is BoundedHttp
