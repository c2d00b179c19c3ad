"""Does what the plan says: kills and brings back, turns the wires, throws the sandbox's switches, disturbs facts."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import asyncpg
import httpx

from regiohub_local import postgres, processes, supervise
from regiohub_local.chaos.faults import LEASE_S, Fault
from regiohub_local.chaos.links import Links
from regiohub_local.plan import House, Program
from regiohub_shared.clock import real_now

_UP_S = 240
_PATIENCE_S = 60.0
_REPEAT = """
UPDATE outbox_delivery SET delivered_at = NULL, leased_until = NULL, next_at = now() + random() * interval '4 s'
WHERE (outbox_id, subscriber) IN (SELECT outbox_id, subscriber FROM outbox_delivery WHERE delivered_at IS NOT NULL
ORDER BY random() LIMIT 8)
"""
"""What a relay leaves that dies between the answer and its note."""
_DELAY = """
UPDATE outbox_delivery SET next_at = now() + make_interval(secs => $1 * random())
WHERE (outbox_id, subscriber) IN (SELECT outbox_id, subscriber FROM outbox_delivery
WHERE delivered_at IS NULL AND dead_at IS NULL AND leased_until IS NULL ORDER BY random() LIMIT 8)
"""
"""What back-off does to one fact and not to the next."""
_CLAIMED = "SELECT count(*) FROM outbox_delivery WHERE leased_until BETWEEN $1 AND $2"
_HUNG = timedelta(seconds=1)
_CLAIM_S = 6.0
"""How long a worker is watched for a claim before it is stopped without one."""


async def _until(at: float, clock: Callable[[], float]) -> None:
    """Wait for a moment of the plan; a house in which nothing moves for a minute is broken on nevertheless."""
    deadline = time.monotonic() + _PATIENCE_S
    while clock() < at and time.monotonic() < deadline:  # noqa: ASYNC110 - it waits for time, too
        await asyncio.sleep(0.05)


class Breaker:
    """Breaks one house; `kills` counts processes that were alive and died, `done` all other faults by what they were."""

    def __init__(self, house: House, links: Links, programs: Mapping[str, Program]) -> None:
        self._house, self._links, self._programs = house, links, programs
        self._admin = postgres.start(house.state_dir, house.ports["postgres"]).admin_url.rpartition("/")[0]
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.kills: Counter[str] = Counter()
        self.done: Counter[str] = Counter()

    async def run(self, faults: Sequence[Fault], clock: Callable[[], float]) -> None:
        """Follow the plan by `clock`, seconds of the plan that are over; returns when everything is whole again."""
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                await _until(fault.at, clock)
                group.create_task(self._do(fault))
        await self.mend()

    async def _do(self, fault: Fault) -> None:
        match fault.act:
            case "kill":
                await self._kill(fault)
            case "stop":
                await self._stop(fault)
            case "link":
                await self._links.spell(int(fault.target), fault.how, fault.seconds)
                self.done[f"links {fault.how}"] += 1
            case "webhooks":
                await self._switch(fault.how, fault.seconds)
            case "facts":
                await self._disturb(fault)

    async def _kill(self, fault: Fault) -> None:
        """One after the other per program: what is killed has come back first."""
        async with self._locks[fault.target]:
            if fault.target == "postgres":
                self.kills["postgres"] += await asyncio.to_thread(postgres.crash, self._house.state_dir)
            else:
                self.kills[fault.target] += await asyncio.to_thread(processes.kill, self._house.state_dir, fault.target)
            await asyncio.sleep(fault.seconds)
            await self._bring_back(fault.target)

    async def _stop(self, fault: Fault) -> None:
        """Stop a worker while it waits for answers, let them come and its claims lapse, and let it go on."""
        async with self._locks[fault.target]:
            source = fault.target.partition("-")[0]
            with self._links.hung(f"{fault.target} → "):
                await self._claimed(source)
                was_stopped = processes.stop(self._house.state_dir, fault.target)
            await asyncio.sleep(fault.seconds)
            processes.go_on(self._house.state_dir, fault.target)
            self.done["workers stopped"] += was_stopped

    async def _claimed(self, source: str) -> None:
        """Wait until a delivery of the service hangs, for a while."""
        deadline, began = time.monotonic() + _CLAIM_S, real_now()
        while time.monotonic() < deadline and not await self._claims(source, began):  # noqa: ASYNC110 - it asks a database
            await asyncio.sleep(0.1)

    async def _claims(self, source: str, began: datetime) -> int:
        """How many deliveries of a service, claimed since, have waited so long that a hung wire must be the reason."""
        lease = timedelta(seconds=LEASE_S)
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(f"{self._admin}/regiohub_{source}", timeout=5)
            try:
                return int(await connection.fetchval(_CLAIMED, began + lease, real_now() + lease - _HUNG))
            finally:
                await connection.close()
        return 0

    async def _bring_back(self, name: str) -> None:
        await asyncio.to_thread(self._restart, name)
        deadline = time.monotonic() + _UP_S
        while time.monotonic() < deadline and not await asyncio.to_thread(self._is_up, name):
            await asyncio.to_thread(self._restart, name)  # some end by themselves while the database is away
            await asyncio.sleep(0.3)

    def _restart(self, name: str) -> None:
        if name == "postgres":
            with suppress(postgres.PostgresError):  # a machine that is too busy now
                postgres.start(self._house.state_dir, self._house.ports["postgres"])
            return
        others = dict.fromkeys(processes.recorded(self._house.state_dir), False)
        processes.restart_dead(self._house.state_dir, others | {name: True})

    def _is_up(self, name: str) -> bool:
        if name == "postgres":
            return postgres.is_running(self._house.state_dir)
        if name == "keycloak":
            with suppress(httpx.HTTPError):
                address = f"http://127.0.0.1:{self._house.ports['keycloak-management']}/health/ready"
                return httpx.get(address, timeout=5, trust_env=False).status_code == 200
            return False
        return processes.find(self._house.state_dir, name) is not None and supervise.is_ready(self._programs[name])

    async def _switch(self, webhooks: str, delay_s: float) -> None:
        headers = {"Authorization": f"Bearer {self._house.secrets['SANDBOX_API_KEY']}"}
        body = {"webhooks": webhooks, "webhook_delay_s": delay_s}
        with suppress(httpx.HTTPError):
            async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
                answer = await http.post(f"{self._house.stripe_origin}/sandbox/switches", json=body, headers=headers)
                self.done[f"webhooks {webhooks}"] += answer.is_success

    async def _disturb(self, fault: Fault) -> None:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(f"{self._admin}/regiohub_{fault.target}", timeout=5)
            try:
                sql, values = (_REPEAT, []) if fault.how == "repeat" else (_DELAY, [fault.seconds])
                tag = await connection.execute(sql, *values)
                name = {"repeat": "facts repeated", "delay": "facts delayed"}[fault.how]
                self.done[name] += int(tag.rpartition(" ")[2])
            finally:
                await connection.close()

    async def mend(self) -> None:
        """Everything runs, every wire is clear, the sandbox sends."""
        self._links.clear()
        for name in ("postgres", "keycloak", *self._programs):
            async with self._locks[name]:
                await self._bring_back(name)
        for _ in range(50):
            before = self.done["webhooks send"]
            await self._switch("send", 0)
            if self.done["webhooks send"] > before:
                return
            await asyncio.sleep(0.5)
