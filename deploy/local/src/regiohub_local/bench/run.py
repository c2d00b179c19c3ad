"""One run: a house of its own, rounds, then each other figure, then the page."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regiohub_local import postgres, supervise, throwaway
from regiohub_local.bench import doors, load, machine, outbox, page, profile, rounds, singles, town
from regiohub_local.bench.rounds import Course
from regiohub_local.plan import House
from regiohub_shared.clock import real_now

SETTINGS = {
    "GATEWAY_HOLDS_PER_HOUR": "1000000",
    "GATEWAY_REQUESTS_PER_MINUTE": "1000000",
    "GATEWAY_LOGINS_PER_MINUTE": "100000",
}
"""Forty members on one address do the work of a county: how much one person may ask is not what is measured."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a run goes: seconds of each measurement, how many rounds, how many past bookings at most, where to write."""

    seconds: float
    rounds: int
    past: int
    out: Path
    page: Path


def main(rules: Rules) -> int:
    """Measure, write `bench.json` and the page; a request that fails ends the run and writes nothing."""
    began = time.monotonic()
    with throwaway.running_house("bench", SETTINGS) as house:
        start_s = time.monotonic() - began
        found = asyncio.run(_measure(house, rules))
    found["start_s"], found["took_s"] = start_s, time.monotonic() - began
    rules.out.parent.mkdir(parents=True, exist_ok=True)
    rules.out.write_text(json.dumps(found, indent=1) + "\n")
    rules.page.write_text(page.render(found))
    print(page.summary(found), flush=True)
    supervise.say(f"Written after {found['took_s']:.0f} s: {rules.out} and {rules.page}")
    return 0


async def _measure(house: House, rules: Rules) -> dict[str, Any]:
    server = postgres.start(house.state_dir, house.ports["postgres"])
    supervise.say("Members register and log in")
    place = await town.furnish(house)
    try:
        course = await rounds.prepare(place, server, supervise.say, rules.past)
        return _about(rules) | await _rounds(course, rules) | await _others(course, rules)
    finally:
        await place.close()


def _about(rules: Rules) -> dict[str, Any]:
    kept = {"seconds": rules.seconds, "rounds": rules.rounds, "few": rounds.FEW, "many": rules.past}
    return {
        "date": real_now().date().isoformat(),
        "machine": machine.describe(),
        "connections": load.CONNECTIONS,
    } | kept


async def _rounds(course: Course, rules: Rules) -> dict[str, Any]:
    """Booking's worker rests in the rounds; what it has to tell afterwards is the lag."""
    worker = outbox.rest(course)
    turns = []
    for number in range(rules.rounds):
        await outbox.set_aside(course)
        supervise.say(f"Round {number + 1} of {rules.rounds}: bookings per second")
        turns.append(await rounds.one_round(course, number + 1, rules.seconds, supervise.say))
    supervise.say("Where booking's processor time goes, and the gateway's")
    sampled = {"booking": await profile.of_booking(course, rules.seconds)}
    sampled["gateway"] = await profile.of_gateway(course, rules.seconds)
    supervise.say("The worker tells the neighbours")
    await outbox.wake(course, worker)
    lag = await outbox.drain(course, supervise.say)
    return {"turns": turns, "lag": lag, "profile": sampled}


async def _others(course: Course, rules: Rules) -> dict[str, Any]:
    say, found = supervise.say, dict[str, Any]()
    say("Everything at once: bookings through the gateway while the worker tells, mails and grants")
    found["whole"] = await _whole(course, rules)
    for name, words, measure in (
        ("search", "Free desks in a hub of 200", singles.search),
        ("hot", "200 clients, one slot", singles.hot_slot),
        ("proxy", "The gateway's processor time", singles.proxy_cpu),
        ("door", "The reader decides", doors.decide),
    ):
        say(words)
        found[name] = await measure(course)
        say(f"  {json.dumps(found[name])[:300]}")
    return found | {"memory_mb": singles.memory(course.house)}


async def _whole(course: Course, rules: Rules) -> list[dict[str, Any]]:
    """Through the gateway with all programs at work, and how long the facts need afterwards."""
    found = []
    for _ in range(rules.rounds):
        await course.town.renew()
        await rounds.forget_hour(course)
        booked = await load.watched(
            course.house, lambda: load.book(course.gateway, course.grounds["booking"], seconds=rules.seconds)
        )
        supervise.say(f"  whole    {booked['rate']:7.0f}/s  p50 {booked['p50']:6.1f}  p99 {booked['p99']:6.1f} ms")
        found.append(booked | {"lag": await outbox.drain(course, supervise.say)})
        await outbox.set_aside(course)
    return found
