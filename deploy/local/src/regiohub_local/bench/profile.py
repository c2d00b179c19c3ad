"""Where booking's and the gateway's processor time goes: each once more, as a twin under the sampling profiler."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from regiohub_local import ports, processes
from regiohub_local.bench import load, machine
from regiohub_local.bench.load import Target
from regiohub_local.bench.rounds import Course, wait_ready

_REQUESTS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Twin:
    """One more process of a recorded program, on a port of its own."""

    like: str
    port: int
    env: dict[str, str] = field(default_factory=dict)


async def of_booking(course: Course, seconds: float) -> dict[str, Any]:
    """Milliseconds of booking's processor per booking, by part of the program."""
    twin = Twin("booking-few", ports.free_port())
    ground, target = course.grounds["few"], Target(twin.port, course.town.bearers())
    await course.town.renew()
    return await _sampled(
        course, twin,
        lambda: load.book(target, ground, connections=len(course.town.members), times=2),
        lambda: load.book(target, ground, seconds=seconds),
    )  # fmt: skip


async def of_gateway(course: Course, seconds: float) -> dict[str, Any]:
    """Milliseconds of the gateway's processor per request with a session that it passes on, by part of the program."""
    port = ports.free_port()
    twin = Twin("gateway", port, {"GATEWAY_PUBLIC_ORIGIN": f"http://localhost:{port}"})
    target = Target(port, course.town.sessions(), "localhost", "/api/booking/v1/bookings?limit=1")
    await course.town.renew()
    return await _sampled(
        course, twin,
        lambda: load.get(target, connections=_REQUESTS_AT_ONCE, times=20),
        lambda: load.get(target, connections=_REQUESTS_AT_ONCE, seconds=seconds),
    )  # fmt: skip


async def _sampled(
    course: Course,
    twin: Twin,
    warm: Callable[[], Awaitable[dict[str, Any]]],
    measure: Callable[[], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:
    state, name = course.house.state_dir, f"{twin.like}-sampled"
    file = state / "bench" / f"{name}.json"
    process = processes.spawn(state, name, *_under_the_profiler(course, twin, str(file)))
    await wait_ready(twin.port)
    await warm()
    os.kill(process.pid, signal.SIGUSR1)
    before = machine.cpu_s(process.pid)
    found = await measure()
    spent_ms = 1000 * (machine.cpu_s(process.pid) - before)
    processes.end(state, name)
    cpu_ms, seen = spent_ms / sum(found["statuses"].values()), json.loads(file.read_text())
    every = {"every_ms": spent_ms / sum(seen.values())}
    return {"cpu_ms": cpu_ms, "rate": load.told(found)["rate"]} | every | _parts(seen, cpu_ms)


def _under_the_profiler(course: Course, twin: Twin, file: str) -> tuple[list[str], dict[str, str]]:
    like = processes.recorded(course.house.state_dir)[twin.like]
    at = like.command.index("uvicorn")
    command = [*like.command[:at], "regiohub_local.bench.sampled", file, *like.command[at + 1 :]]
    command[command.index("--port") + 1] = str(twin.port)
    return command, like.env | twin.env


def _parts(seen: dict[str, int], cpu_ms: float) -> dict[str, Any]:
    whole = sum(seen.values())
    parts = {name: cpu_ms * count / whole for name, count in sorted(seen.items(), key=lambda pair: -pair[1])}
    return {"samples": whole, "parts": parts}
