"""What is measured once: free desks, the hot slot, the gateway's processor time, memory."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from regiohub_local import postgres, processes
from regiohub_local.bench import load, machine
from regiohub_local.bench.figures import percentile
from regiohub_local.bench.load import Failed, Ground, Target
from regiohub_local.bench.rounds import Course
from regiohub_local.bench.town import SEARCHED, free_desks
from regiohub_local.plan import House
from regiohub_shared.clock import real_now

RIVALS = 200
_GETS = 2000
_SEARCHES = 200


async def search(course: Course) -> dict[str, Any]:
    """Which of 200 desks are free for two hours tomorrow, by hundreds of askers, one and four at once."""
    start = real_now().replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    when = f"start={_stamp(start.isoformat())}&end={_stamp((start + timedelta(hours=2)).isoformat())}"
    target = Target(course.ports["booking"], [{}], path=f"/v1/availability?hub={SEARCHED}&{when}")
    await load.get(target, times=20)
    return {
        f"at_once_{n}": load.told(await load.get(target, connections=n, times=_SEARCHES // n)) for n in (1, 4)
    }  # fmt: skip


def _stamp(text: str) -> str:
    return text.replace("+", "%2B")


async def hot_slot(course: Course) -> dict[str, Any]:
    """200 clients for one slot, at once; raises Failed unless exactly one gets it and all others hear 409."""
    await course.town.renew()
    ground = Ground(free_desks())
    tries = []
    for _ in range(3):
        found = await load.rush(course.alone(), ground, RIVALS)
        if found["statuses"] != {"201": 1, "409": RIVALS - 1}:
            raise Failed(f"the hot slot: {found['statuses']}")
        tries.append({"seconds": found["wall_s"], "p99": percentile(found["ms"], 0.99)})
    return {"clients": RIVALS, "tries": tries}


async def proxy_cpu(course: Course) -> dict[str, Any]:
    """Milliseconds of the gateway's processor per request that it passes on, by token and by session."""
    await course.town.renew()
    found = {}
    for name, callers in (("bearer", course.town.bearers()), ("session", course.town.sessions())):
        target = Target(course.house.ports["gateway"], callers, "localhost", "/api/booking/v1/bookings?limit=1")
        await load.get(target, connections=4, times=20)
        found[name] = await _cpu_of(course.house, target)
    return found


async def _cpu_of(house: House, target: Target) -> dict[str, Any]:
    process = processes.recorded(house.state_dir)["gateway"]
    before = machine.cpu_s(process.pid)
    found = await load.get(target, connections=4, times=_GETS // 4)
    spent = machine.cpu_s(process.pid) - before
    return {"requests": len(found["ms"]), "cpu_ms": 1000 * spent / len(found["ms"])} | load.told(found)


def memory(house: House) -> dict[str, float]:
    """Resident MB of each program; PostgreSQL as a whole, its shared pages once."""
    found = {name: machine.rss_mb(row.pid) for name, row in _programs(house).items()}
    java = [
        pid for pid, group in processes.marked(house.state_dir).items() if group == _programs(house)["keycloak"].pid
    ]
    found["keycloak"] = max(map(machine.rss_mb, java))
    return found | {"postgresql": machine.pss_mb(postgres.pids(house.state_dir))}


def _programs(house: House) -> dict[str, processes.Process]:
    rows = processes.recorded(house.state_dir)
    return {name: row for name, row in rows.items() if processes.is_alive(row)}
