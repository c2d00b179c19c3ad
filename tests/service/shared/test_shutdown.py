"""Real processes end gracefully on SIGTERM; replicas that migrate at once do not race."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest

from regiohub_local import postgres
from regiohub_local.plan import HTTP
from regiohub_local.ports import free_port
from regiohub_local.postgres import Urls
from tests.service.shared.probe import app as probe
from tests.support import tokens
from tests.support.pg import Cluster

ROOT = Path(__file__).parents[3]


async def end(process: Process) -> None:
    """Kill what has not ended."""
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def told(process: Process) -> str:
    """Wait for the end and return what it wrote."""
    async with asyncio.timeout(30):
        output, _ = await process.communicate()
    return output.decode()


@asynccontextmanager
async def served(urls: Urls) -> AsyncIterator[tuple[Process, str]]:
    """The probe under uvicorn in a process of its own, with the protocol that our programs use."""
    port = free_port()
    command = ["-m", "uvicorn", "--factory", "tests.service.shared.probe.app:main", "--port", str(port), "--http", HTTP]
    env = os.environ | {"PROBE_DATABASE_URL": urls.app} | tokens.key_for_children()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, env=env, stdout=PIPE, stderr=STDOUT
    )
    try:
        async with asyncio.timeout(20), httpx.AsyncClient() as client:
            while True:
                try:
                    await client.get(f"http://127.0.0.1:{port}/healthz")
                    break
                except httpx.TransportError:
                    assert process.returncode is None, (await process.communicate())[0].decode()
                    await asyncio.sleep(0.05)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        await end(process)


async def test_sigterm_lets_requests_finish(urls: Urls, sql: asyncpg.Connection) -> None:
    async with served(urls) as (process, base), httpx.AsyncClient(base_url=base) as client:
        running = asyncio.create_task(client.get("/v1/slow?seconds=1"))
        await asyncio.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        answer = await running
        assert answer.json() == {"status": "done"}
        output = await told(process)
        assert process.returncode in {0, -signal.SIGTERM}, output
        assert "Traceback" not in output
        with pytest.raises(httpx.ConnectError):
            await client.get("/healthz")
    query = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'probe_app' AND datname = current_database()"
    assert await sql.fetchval(query) == 0, "its sessions are closed"


async def ask(base: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Return the head of the answer on an open connection; raises when there is none."""
    writer.write(f"GET /healthz HTTP/1.1\r\nHost: {base.removeprefix('http://')}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = next(line for line in head.splitlines() if line.startswith("content-length:"))
    await reader.readexactly(int(length.partition(":")[2]))
    return head


@asynccontextmanager
async def connected(base: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """An open connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
    try:
        yield reader, writer
    finally:
        writer.close()


async def listens(base: str) -> bool:
    """Whether new connections are taken."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
    except ConnectionError:
        return False
    writer.close()
    return True


async def test_sigterm_takes_no_idle_connection_away(urls: Urls) -> None:
    """What is asked on it afterwards is answered, and the answer says that it was the last; one never used ends too."""
    async with served(urls) as (process, base), asyncio.timeout(60), connected(base) as used, connected(base) as unused:
        assert "connection: close" not in await ask(base, *used)
        process.send_signal(signal.SIGTERM)
        while await listens(base):
            await asyncio.sleep(0.05)
        head = await ask(base, *used)
        assert head.startswith("http/1.1 200")
        assert "connection: close" in head
        assert await used[0].read() == b""
        assert await unused[0].read() == b""
        output = await told(process)
        assert "exceeded" not in output
        assert "Traceback" not in output


async def test_real_server_refuses_what_is_too_large(urls: Urls) -> None:
    """Over a real connection, announced and in chunks, and the next request is served."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65_536

    async with served(urls) as (_process, base), httpx.AsyncClient(base_url=base) as client:
        for body in (b"x" * 1_048_577, chunks()):
            try:
                answer = await client.post("/v1/notes", content=body)
            except httpx.WriteError:
                continue  # The server closed while we were still writing: refused as well.
            assert answer.status_code == 413
            assert answer.headers["content-type"] == "application/problem+json"
        assert (await client.post("/v1/notes", json={"text": "a"})).status_code == 201


_WORKER = """
import asyncio
from regiohub_shared.events.worker import every, run_loops
from regiohub_shared.log import configure_logging

rounds = 0

async def work():
    global rounds
    rounds += 1
    if rounds == 2:
        raise OSError("the database went away")
    if rounds == 4:
        print("working", flush=True)

async def steady(stop):
    await stop.wait()
    await asyncio.sleep(0.2)
    print("finished what it had begun", flush=True)

configure_logging("worker")
asyncio.run(run_loops(every(0.01, "work", work), steady))
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_worker_ends_by_signal(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _WORKER, stdout=PIPE)
    try:
        assert process.stdout
        lines = []
        while b"working" not in (line := await process.stdout.readline()):
            assert line, "it ended too early"
            lines.append(line)
        assert any(b"round_failed" in line for line in lines), "an error is told and survived"
        process.send_signal(number)
        output = await told(process)
    finally:
        await end(process)
    assert process.returncode == 0
    assert "finished what it had begun" in output
    assert output.rstrip().endswith("ended")


async def test_migrating_at_once_is_done_once(cluster: Cluster) -> None:
    name = "probe_race"
    words = {"PROBE_RACE_OWNER_PASSWORD": "a", "PROBE_RACE_APP_PASSWORD": "b"}
    urls = await postgres.provision(cluster.admin_url, name, words, database=name)
    code = "import sys; from pathlib import Path; from regiohub_shared.db.migrate import run_migrations as run; run(Path(sys.argv[1]), sys.argv[2])"
    command = [sys.executable, "-c", code, str(probe.MIGRATIONS), urls.owner]
    running = [await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=STDOUT) for _ in range(3)]
    for process in running:
        output = await told(process)
        assert process.returncode == 0, output
    connection = await asyncpg.connect(urls.owner)
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == "0001"
    await connection.close()
    await postgres.drop(cluster.admin_url, name)
