"""Producer, relay and receiver are killed at random while facts are made: nothing is lost, nothing applied twice.

The oracle is the client's own append-only log, not what any of the killed processes believes. The seed is printed;
``REGIOHUB_CRASH_SEED`` repeats its kills.
"""

import asyncio
import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import asyncpg
import httpx
import pytest

from regiohub_local.ports import free_ports
from tests.service.shared.probe import process
from tests.service.shared.probe.app import MIGRATIONS
from tests.support import tokens
from tests.support.pg import Cluster

KILLS = 10
FACTS = 500
CLIENTS = 6
PAUSE_S = 0.2
BUDGET_S = 75.0

Fact = tuple[str, int]


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(process.LIBRARIES)


@dataclass
class Role:
    """One process that is killed and started again."""

    name: str
    program: Callable[[dict[str, str], Path, int], None]
    env: dict[str, str]
    log: Path
    port: int = 0
    kills: int = 0
    child: BaseProcess | None = None

    async def start(self) -> None:
        """Start it and wait until it works: killing what has not begun would show nothing."""
        offset = self.log.stat().st_size if self.log.exists() else 0
        self.child = _FORKS.Process(target=self.program, args=(self.env, self.log, self.port))
        self.child.start()
        async with asyncio.timeout(30):
            while not await self._works(offset):
                assert self.child.is_alive(), f"{self.name} ended by itself: {self._told()}"
                await asyncio.sleep(0.02)

    async def _works(self, offset: int) -> bool:
        if not self.port:
            return b"worker_started" in (self.log.read_bytes()[offset:] if self.log.exists() else b"")
        try:
            _reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    def _told(self) -> str:
        return self.log.read_text()[-2000:] if self.log.exists() else "nothing"

    def kill(self) -> None:
        """SIGKILL; it counts only if the process was alive."""
        if self.child and self.child.is_alive():
            self.child.kill()
            self.child.join()
            self.kills += self.child.exitcode == -signal.SIGKILL

    def end(self) -> None:
        """Clean up."""
        if self.child:
            self.child.kill()
            self.child.join()
            self.child.close()


class History:
    """The client's log: what it meant to do, before; what was acknowledged, after. Only ever appended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.acked = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, kind: str, fact: Fact) -> None:
        os.write(self._file, json.dumps([kind, *fact]).encode() + b"\n")
        self.acked += kind == "acked"

    def close(self) -> None:
        os.close(self._file)

    def read(self, kind: str) -> Counter[Fact]:
        lines = (json.loads(line) for line in self.path.read_text().splitlines())
        return Counter((name, version) for found, name, version in lines if found == kind)


async def make_facts(number: int, port: int, history: History, stop: asyncio.Event, rand: random.Random) -> None:
    """One client: repeats each request under its key until it is acknowledged, then goes on."""
    made = 0
    headers = tokens.bearer(f"client-{number}")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=2.0, headers=headers) as client:
        while not stop.is_set():
            fact = (f"s{number}-{made // 5}", made % 5 + 1)
            history.note("meant", fact)
            await _until_acknowledged(client, fact)
            history.note("acked", fact)
            made += 1
            await asyncio.sleep(rand.uniform(0.0, PAUSE_S))


async def _until_acknowledged(client: httpx.AsyncClient, fact: Fact) -> None:
    body = {"name": fact[0], "version": fact[1]}
    while True:
        try:
            answer = await client.post("/v1/facts", json=body, headers={"Idempotency-Key": f"{fact[0]}-{fact[1]}"})
        except httpx.TransportError:
            await asyncio.sleep(0.03)
            continue
        if answer.status_code == 201:
            return
        assert answer.status_code in {409, 500, 503}, answer.text
        await asyncio.sleep(0.03)


@dataclass
class House:
    """Two databases and the three processes between them."""

    producer: Role
    relay: Role
    receiver: Role
    source: asyncpg.Connection
    sink: asyncpg.Connection
    history: History
    roles: list[Role] = field(init=False)

    def __post_init__(self) -> None:
        self.roles = [self.producer, self.relay, self.receiver]

    async def effects(self) -> Counter[Fact]:
        rows = await self.sink.fetch("SELECT subject, version, count(*) AS times FROM effect GROUP BY 1, 2")
        return Counter({(row["subject"], row["version"]): row["times"] for row in rows})

    async def drain(self) -> None:
        """Everything up, nothing killed, until each fact is marked as taken."""
        pending = "SELECT count(*) FROM outbox_delivery WHERE delivered_at IS NULL"
        while await self.source.fetchval(pending):
            await asyncio.sleep(0.05)


@asynccontextmanager
async def house(cluster: Cluster, folder: Path, *, with_inbox: bool) -> AsyncIterator[House]:
    """Start all of it; whatever happens, nothing is left running."""
    ports = free_ports(2)
    env = tokens.key_for_children() | {"PROBE_INBOX": "on" if with_inbox else "off"}
    with cluster.database("probe", MIGRATIONS) as source, cluster.database("probe", MIGRATIONS) as sink:

        def role(name: str, program: Callable[[dict[str, str], Path, int], None], url: str, port: int = 0) -> Role:
            own = {"PROBE_DATABASE_URL": url, "PROBE_RECEIVER_URL": f"http://127.0.0.1:{ports[1]}"}
            return Role(name, program, env | own, folder / f"{name}.log", port)

        made = House(
            role("producer", process.serve, source.app, ports[0]), role("relay", process.relay, source.app),
            role("receiver", process.serve, sink.app, ports[1]),
            await asyncpg.connect(source.owner), await asyncpg.connect(sink.owner), History(folder / "client.log"),
        )  # fmt: skip
        try:
            await asyncio.gather(*(role.start() for role in made.roles))
            yield made
        finally:
            for each in made.roles:
                each.end()
            made.history.close()
            await made.source.close()
            await made.sink.close()


async def _kill_until(role: Role, rand: random.Random, enough: Callable[[], Awaitable[bool]]) -> None:
    while not await enough():
        # Often until each has died enough, then seldom, so that a slow machine gets its facts made too.
        await asyncio.sleep(rand.uniform(0.02, 0.7) if role.kills < KILLS else rand.uniform(1.0, 4.0))
        role.kill()
        await role.start()


async def storm(
    made: House, seed: str, victims: list[Role], enough: Callable[[], Awaitable[bool]], tell: Callable[[str], None]
) -> None:
    """Clients make facts while the victims die; ends with all facts acknowledged and delivered."""
    stop = asyncio.Event()
    try:
        async with asyncio.timeout(BUDGET_S), asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                rand = random.Random(f"{seed}-client-{number}")
                group.create_task(make_facts(number, made.producer.port, made.history, stop, rand))
            async with asyncio.TaskGroup() as killers:
                for role in victims:
                    killers.create_task(_kill_until(role, random.Random(f"{seed}-{role.name}"), enough))
            stop.set()
    finally:
        kills = {role.name: role.kills for role in made.roles}
        tell(f"crash test: seed {seed}, kills {kills}, {made.history.acked} facts acknowledged")


@pytest.fixture
def seed() -> str:
    return os.environ.get("REGIOHUB_CRASH_SEED") or str(random.SystemRandom().randrange(10**9))


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print through pytest's capture: the seed must be seen in any log."""

    def write(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}")

    return write


async def test_nothing_is_lost_and_nothing_is_applied_twice(
    cluster: Cluster, tmp_path: Path, seed: str, tell: Callable[[str], None]
) -> None:
    started = time.monotonic()
    tell(f"crash test: REGIOHUB_CRASH_SEED={seed}")
    async with house(cluster, tmp_path, with_inbox=True) as made:

        async def enough() -> bool:
            return min(role.kills for role in made.roles) >= KILLS and made.history.acked >= FACTS

        await storm(made, seed, made.roles, enough, tell)
        async with asyncio.timeout(30):
            await made.drain()

        meant, acked = made.history.read("meant"), made.history.read("acked")
        assert {role.name: role.kills >= KILLS for role in made.roles} == dict.fromkeys(
            ("producer", "relay", "receiver"), True
        )
        assert len(acked) >= FACTS
        assert meant == acked, "each client waited for its acknowledgement"

        notes = Counter(row["text"] for row in await made.source.fetch("SELECT text FROM note"))
        assert notes == Counter(f"{name}:{version}" for name, version in acked), "the producer's own effect"
        facts = await made.source.fetch("SELECT subject, sequence FROM outbox")
        assert Counter((row["subject"], row["sequence"]) for row in facts) == acked, "one fact each"
        assert await made.source.fetchval("SELECT count(*) FROM outbox_delivery WHERE dead_at IS NOT NULL") == 0
        effects = await made.effects()
        assert acked - effects == Counter(), "lost"
        assert effects - acked == Counter(), "twice"
        copies = {row["subject"]: row["version"] for row in await made.sink.fetch("SELECT subject, version FROM copy")}
        newest: dict[str, int] = {}
        for name, version in acked:
            newest[name] = max(version, newest.get(name, 0))
        assert copies == newest

        again = await made.source.fetchval("SELECT count(*) FROM outbox_delivery WHERE attempts > 1")
        tell(f"crash test: {again} facts delivered more than once, {time.monotonic() - started:.0f} s")
        assert again, "no kill hit a delivery: the test showed nothing"


async def test_without_the_inbox_something_is_applied_twice(
    cluster: Cluster, tmp_path: Path, seed: str, tell: Callable[[str], None]
) -> None:
    """The negative control: the same storm and the same check, which must find doubles, so that it can."""
    async with house(cluster, tmp_path, with_inbox=False) as made:

        async def enough() -> bool:
            return bool(await made.effects() - made.history.read("meant"))

        await storm(made, seed, [made.relay], enough, tell)
        doubles = await made.effects() - made.history.read("acked")
        tell(f"crash test: without the inbox {doubles.total()} doubles")
        assert doubles
