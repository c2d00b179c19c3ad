"""Measurements by the load client, and what else went on meanwhile."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from regiohub_local import postgres, processes
from regiohub_local.bench import machine
from regiohub_local.bench.figures import percentile
from regiohub_local.bench.requests import Slots
from regiohub_local.plan import House
from regiohub_shared.clock import real_now

CONNECTIONS = 16


class Failed(RuntimeError):
    """A request was answered otherwise than it should; then no figure is worth anything."""


@dataclass(slots=True)
class Ground:
    """Where bookings go: each takes the next free half hour of the desks, from the day after tomorrow on."""

    resources: list[str]
    first: datetime = field(
        default_factory=lambda: real_now().replace(minute=0, second=0, microsecond=0) + timedelta(days=2)
    )
    used: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked: a port with the host that it knows, and as whom."""

    port: int
    callers: list[dict[str, str]]
    host: str = "127.0.0.1"
    path: str = "/v1/bookings"


def wish(ground: Ground) -> dict[str, object]:
    """A booking of the next free half hour."""
    ground.used += 1
    return Slots(ground.resources, ground.first).wish(ground.used - 1)


async def book(
    target: Target, ground: Ground, *, seconds: float = 0, connections: int = CONNECTIONS, times: int = 0
) -> dict[str, Any]:
    """Book for so many seconds, or so many times on each connection; anything but 201 fails the run."""
    job = _job(target, "POST", {"201"}, seconds, connections, times) | {
        "resources": ground.resources, "first": ground.first.isoformat(), "start": ground.used, "step": 1,
        "key": f"bench-{target.port}-{ground.used}",
    }  # fmt: skip
    found = await run(job)
    ground.used += found["sent"]
    return found


async def rush(target: Target, ground: Ground, connections: int) -> dict[str, Any]:
    """All at once for one slot."""
    job = _job(target, "POST", {"201", "409"}, 0, connections, 1) | {
        "resources": ground.resources[:1], "first": ground.first.isoformat(), "start": ground.used, "step": 0,
        "key": f"rush-{ground.used}",
    }  # fmt: skip
    ground.used += 1
    return await run(job)


async def get(target: Target, *, seconds: float = 0, connections: int = 1, times: int = 0) -> dict[str, Any]:
    """Ask again and again; anything but 200 fails the run."""
    return await run(_job(target, "GET", {"200"}, seconds, connections, times))


def _job(  # noqa: PLR0917 - all of it on three lines above
    target: Target, method: str, expected: set[str], seconds: float, connections: int, times: int
) -> dict[str, Any]:
    return {
        "method": method, "path": target.path, "host": f"{target.host}:{target.port}", "port": target.port,
        "callers": target.callers, "expected": sorted(expected), "seconds": seconds, "connections": connections,
        "times": times, "warm_s": warm_s(seconds), "resources": [], "first": real_now().isoformat(), "start": 0,
        "step": 0, "key": "",
    }  # fmt: skip


def warm_s(seconds: float) -> float:
    """How much of a measurement comes before it and does not count."""
    return min(1.0, seconds / 5)


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Let the client do a job; raises Failed for any answer that was not expected."""
    command = [sys.executable, "-m", "regiohub_local.bench.client"]
    pipe = asyncio.subprocess.PIPE
    client = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, env=processes.base_env()
    )
    out, err = await client.communicate(json.dumps(job).encode())
    if client.returncode:
        raise Failed(f"the load client: {err.decode(errors='replace')[-800:]}")
    found: dict[str, Any] = json.loads(out)
    wrong = {status: count for status, count in found["statuses"].items() if status not in job["expected"]}
    if wrong or not found["ms"]:
        raise Failed(f"{job['method']} {job['path'].partition('?')[0]}: {wrong or 'no answer'}: {found['sample']}")
    return found | {"seconds": job["seconds"]}


async def watched(house: House, measure: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """The measurement in figures, who used the processors for it, and what others did meanwhile."""
    before, used = machine.moment(ours(house)), _used(house)
    found = await measure()
    after, now_used = machine.moment(ours(house)), _used(house)
    each = {name: 1000 * (now - used[name]) / found["sent"] for name, now in now_used.items() if name in used}
    each["the load client"] = 1000 * found["cpu_s"] / found["sent"]
    return told(found) | machine.weather(before, after) | {"cpu_ms": {n: v for n, v in each.items() if v >= 0.005}}


def _used(house: House) -> dict[str, float]:
    """Seconds of processor time of each program so far."""
    rows = processes.recorded(house.state_dir)
    used = {name: machine.cpu_s(row.pid) for name, row in rows.items() if processes.is_alive(row)}
    return used | {"postgresql": sum(map(machine.all_cpu_s, postgres.pids(house.state_dir)))}


def told(found: dict[str, Any]) -> dict[str, Any]:
    """Rate per second and latencies in milliseconds."""
    ms, seconds = found["ms"], found["seconds"]
    rate = found["in_time"] / seconds if seconds else len(ms) / found["wall_s"]
    return {"count": len(ms), "rate": rate, "p50": percentile(ms, 0.5), "p99": percentile(ms, 0.99)}


def ours(house: House) -> list[int]:
    """The processes of the house: its programs and PostgreSQL's."""
    return [*processes.marked(house.state_dir), *postgres.pids(house.state_dir)]
