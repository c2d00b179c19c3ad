"""Where booking's processor time goes: one more run of bookings, on a twin under the sampling profiler."""

from __future__ import annotations

import json
from typing import Any

from regiohub_local import ports, processes
from regiohub_local.bench import load, machine
from regiohub_local.bench.load import Target
from regiohub_local.bench.rounds import Course, wait_ready

_NAME = "booking-sampled"


async def take(course: Course, seconds: float) -> dict[str, Any]:
    """Milliseconds of the service's processor per booking, by part of the program."""
    state, port = course.house.state_dir, ports.free_port()
    twin, file = processes.recorded(state)["booking-few"], state / "bench" / "sampled.json"
    at = twin.command.index("uvicorn")
    arguments = [str(port) if part == str(course.ports["few"]) else part for part in twin.command[at + 1 :]]
    command = [*twin.command[:at], "regiohub_local.bench.sampled", str(file), *arguments]
    row = processes.spawn(state, _NAME, command, twin.env)
    await wait_ready(port)
    ground, target = course.grounds["few"], Target(port, course.town.bearers())
    await load.book(target, ground, connections=len(course.town.members), times=2)
    before = machine.cpu_s(row.pid)
    found = await load.book(target, ground, seconds=seconds)
    cpu_ms = 1000 * (machine.cpu_s(row.pid) - before) / found["sent"]
    processes.end(state, _NAME)
    seen: dict[str, int] = json.loads(file.read_text())
    whole = sum(seen.values())
    parts = {name: cpu_ms * count / whole for name, count in sorted(seen.items(), key=lambda pair: -pair[1])}
    return {"cpu_ms": cpu_ms, "samples": whole, "parts": parts, "rate": load.told(found)["rate"]}
