"""The bookings: ceiling, service alone, through the gateway, with few and with many past bookings, in turns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import httpx

from regiohub_local import ports, processes
from regiohub_local.bench import ceiling, load, stock
from regiohub_local.bench.load import Ground, Target
from regiohub_local.bench.town import BOOKED, Town, desks
from regiohub_local.plan import House
from regiohub_local.postgres import Server
from regiohub_shared.clock import real_now

FEW, MANY = 1_000, 1_000_000
AROUND = 100_000


@dataclass
class Course:
    """What all rounds share."""

    town: Town
    server: Server
    script: str
    ceiling_url: str
    ports: dict[str, int]
    grounds: dict[str, Ground]

    @property
    def house(self) -> House:
        """Where it happens."""
        return self.town.house

    def alone(self, name: str = "booking") -> Target:
        """Booking's API itself, or one of its twins on another database."""
        return Target(self.ports[name], self.town.bearers())

    @property
    def gateway(self) -> Target:
        """The same as a member's browser reaches it."""
        return Target(self.house.ports["gateway"], self.town.sessions(), "localhost", "/api/booking/v1/bookings")


def database_url(server: Server, name: str = "booking") -> str:
    """The superuser's address of the house's own database of a service."""
    return stock.admin_url(server, f"regiohub_{name}")


async def prepare(town: Town, server: Server, say: Callable[[str], None], many: int = MANY) -> Course:
    """Record the SQL, make the other databases and the past, start the twins."""
    house, ground = town.house, Ground(desks(BOOKED))
    say("Recording the SQL of one booking")
    script = await ceiling.record(house, database_url(server), lambda key: _one_booking(town, ground, key))
    urls = await stock.copy_booking(house, server, ["ceiling", "few", "many"])
    counts = {"ceiling": FEW, "few": FEW, "many": many}
    now = real_now()
    for name, count in counts.items():
        say(f"Past bookings in the database “{name}”: {count:,}")
        await stock.past(stock.admin_url(server, f"regiohub_bench_{name}"), count, now)
    await _own_past(server, now)
    twins = {name: await _twin(house, name, urls[name].app) for name in ("few", "many")}
    grounds = {"booking": ground, "few": Ground(desks(BOOKED)), "many": Ground(desks(BOOKED))}
    course = Course(town, server, script, urls["ceiling"].app, {"booking": house.ports["booking"], **twins}, grounds)
    for name, used in grounds.items():
        used.used = ground.used  # behind what was recorded and copied
        await load.book(course.alone(name), used, connections=len(town.members), times=2)
    return course


async def _own_past(server: Server, now: datetime) -> None:
    await stock.past(database_url(server), FEW, now)
    await stock.around(database_url(server), AROUND, now)


async def _one_booking(town: Town, ground: Ground, key: str) -> dict[str, Any]:
    """One on the way in as it is every day: the second one on a warm connection."""
    url = f"{town.house.url('booking')}/v1/bookings"
    async with httpx.AsyncClient(trust_env=False, timeout=20, headers=town.bearers()[0]) as http:
        for name in (f"{key}-before", key):
            answer = await http.post(url, json=load.wish(ground), headers={"Idempotency-Key": name})
            answer.raise_for_status()
        made: dict[str, Any] = answer.json()
        return made


async def _twin(house: House, name: str, url: str) -> int:
    """Booking's API once more, on another database."""
    port, old = ports.free_port(), processes.recorded(house.state_dir)["booking"]
    command = [str(port) if part == str(house.ports["booking"]) else part for part in old.command]
    processes.spawn(house.state_dir, f"booking-{name}", command, old.env | {"BOOKING_DATABASE_URL": url})
    await wait_ready(port)
    return port


async def wait_ready(port: int, seconds: float = 60) -> None:
    """Until a program says that it is ready."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http, asyncio.timeout(seconds):
        while True:
            try:
                if (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


async def one_round(course: Course, number: int, seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Each measurement once, one after the other, each with the machine to itself."""
    await course.town.renew()
    steps: Mapping[str, Callable[[], Awaitable[dict[str, Any]]]] = {
        "ceiling": lambda: ceiling.measure(course.ceiling_url, course.script, seconds, number),
        "alone": lambda: load.book(course.alone(), course.grounds["booking"], seconds=seconds),
        "gateway": lambda: load.book(course.gateway, course.grounds["booking"], seconds=seconds),
        "few": lambda: load.book(course.alone("few"), course.grounds["few"], seconds=seconds),
        "many": lambda: load.book(course.alone("many"), course.grounds["many"], seconds=seconds),
    }
    found = {}
    for name, measure in steps.items():
        await forget_hour(course)
        found[name] = await load.watched(course.house, measure)
        say(
            f"  {name:<8} {found[name]['rate']:7.0f}/s  p50 {found[name]['p50']:6.1f}  p99 {found[name]['p99']:6.1f} ms"
        )
    return found


async def forget_hour(course: Course) -> None:
    """Let the gateway forget how often the members booked within the hour: forty do here what thousands do."""
    connection = await asyncpg.connect(database_url(course.server, "gateway"))
    try:
        await connection.execute("DELETE FROM rate_limit")
    finally:
        await connection.close()
