"""One run: a house of its own, members, faults, rest, checks."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from regiohub_local import postgres, processes, supervise, throwaway
from regiohub_local.chaos import checks, faults, members, region, report
from regiohub_local.chaos.breaking import Breaker
from regiohub_local.chaos.links import Links
from regiohub_local.chaos.oracle import Oracle
from regiohub_local.chaos.seen import Sight
from regiohub_local.chaos.wiring import rewire
from regiohub_local.plan import House, Program
from regiohub_local.replicas import Replicas

_TOLD_EVERY_S = 30
_REST_S = 420
"""A relay that was refused for long asks again after five minutes at the latest."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a run goes. `kills`: how often each program dies (1: each once, and one of the readers)."""

    seed: int
    seconds: float
    bookings: int
    kills: int
    members: int = 12
    hands: int = 2


def main(rules: Rules) -> int:
    """Run in a folder of its own with free ports; a run that fails leaves the folder with its logs behind."""
    throwaway.stand_alone("REGIOHUB_NOW")  # it kills only what is its own, in real time
    folder = Path(tempfile.mkdtemp(prefix="regiohub-chaos-"))
    print(f"Chaos with seed {rules.seed}: {rules.bookings} bookings, {rules.seconds:.0f} s of faults", flush=True)
    is_whole = False
    try:
        outcome = asyncio.run(_run(rules, folder))
        is_whole = not outcome.violations
        print(report.text(outcome), flush=True)
    finally:
        supervise.stop(folder)
        postgres.stop(folder, remove=is_whole)
        if is_whole:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"Repeat with SEED={rules.seed}; logs and the members' own log: {folder}", flush=True)
    return 0 if is_whole else 1


async def _run(rules: Rules, folder: Path) -> report.Outcome:
    links, programs = Links(), dict[str, Program]()

    def wire(house: House, wanted: list[Program]) -> list[Program]:
        wired = rewire(house, links, Replicas(workers=2).rewire(house, wanted))
        programs.update({program.name: program for program in wired})
        return wired

    try:
        house = await asyncio.to_thread(supervise.start, folder, prefer={}, rewire=wire)
        await asyncio.to_thread(processes.end, folder, "supervisor")  # who kills also brings back
        return await _play(rules, house, links, programs)
    finally:
        await links.close()


async def _play(rules: Rules, house: House, links: Links, programs: dict[str, Program]) -> report.Outcome:
    names = await region.furnish(house, rules.members)
    breaker = Breaker(house, links, programs)
    work = members.Work(house, Oracle(house.state_dir / "members.jsonl"), region.offers(), rules.bookings)
    # An eighth of what would spread the bookings evenly over the time of the faults: the rest goes by in waiting.
    pause_s = rules.seconds * rules.members * rules.hands / rules.bookings / 8
    teller = asyncio.create_task(_tell(work, breaker))
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(members.work(work, names, rules.seed, hands=rules.hands, pause_s=pause_s))
            group.create_task(_break(breaker, work, rules))
    finally:
        teller.cancel()
    print(f"The members are done: {len(work.oracle.bookings)} bookings; waiting for rest", flush=True)
    return await _judge(house, work.oracle, breaker, rules.kills)


async def _tell(work: members.Work, breaker: Breaker) -> None:
    """How far it is, for whoever waits half an hour."""
    began = time.monotonic()
    while True:
        await asyncio.sleep(_TOLD_EVERY_S)
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        booked, broken = len(work.oracle.bookings), breaker.kills.total() + breaker.done.total()
        print(f"  {minutes}:{seconds:02d}  {booked} of {work.wanted} bookings, {broken} faults", flush=True)


async def _break(breaker: Breaker, work: members.Work, rules: Rules) -> None:
    await work.has_begun.wait()
    if rules.kills:
        await breaker.run(faults.plan(rules.seed, rules.seconds, rules.kills), _clock(work, rules.seconds))
    print("The faults are over", flush=True)
    work.is_over.set()


def _clock(work: members.Work, seconds: float) -> Callable[[], float]:
    """Seconds of the plan: real ones, but never further than the share of bookings that are made.

    A slow machine is not killed to a standstill, and the last booking meets the last fault.
    """
    began = time.monotonic()

    def clock() -> float:
        return min(time.monotonic() - began, seconds * len(work.oracle.bookings) / work.wanted)

    return clock


async def _judge(house: House, oracle: Oracle, breaker: Breaker, kills: int) -> report.Outcome:
    sight = Sight(house)
    unrest = await rest(sight)
    wrong = [f"at rest: {what}" for what in unrest] + checks.violations(oracle, await sight.look())
    facts, deliveries = await sight.delivered()
    outcome = report.Outcome(oracle, breaker.kills, breaker.done, facts, deliveries, wrong)
    return replace(outcome, violations=[*wrong, *report.spared(outcome, kills)])


async def rest(sight: Sight) -> list[str]:
    """Wait until nothing is under way, twice in a row; return what still is after _REST_S."""
    deadline, quiet, unrest = time.monotonic() + _REST_S, 0, ["nobody has looked"]
    while time.monotonic() < deadline and quiet < 3:
        try:
            unrest = await sight.unrest()
        except (OSError, httpx.HTTPError) as error:
            unrest = [f"nobody could look: {error!r}"]
        quiet = 0 if unrest else quiet + 1
        await asyncio.sleep(1)
    return unrest
