"""Two replicas of every API and worker at once; each is restarted under load, and no client sees anything of it."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from regiohub_local import processes, replicas, throwaway
from regiohub_local.chaos import checks, region, run
from regiohub_local.chaos.oracle import Oracle
from regiohub_local.chaos.seen import Sight
from regiohub_local.chaos.wiring import ROOM
from regiohub_local.plan import DATABASES, SERVICES, House, Program
from tests.support.steady_load import SteadyLoad

_AT_LEAST = int(os.environ.get("ROLLING_AT_LEAST", "0"))
"""Bookings per second that the run must have made: `make rolling` asks for 20; CI times nothing and asks for a few."""
_PACE = _AT_LEAST + 1 if _AT_LEAST else 5


class TwoOfEach:
    """A running house with two replicas of every API and worker."""

    def __init__(self) -> None:
        self.programs: list[Program] = []

    def rewire(self, house: House, programs: list[Program]) -> list[Program]:
        """Double them and remember which they are."""
        doubled = replicas.Replicas(apis=2, workers=2).rewire(house, programs)
        names = [*DATABASES, *(f"{name}-worker" for name in SERVICES)]
        self.programs = [one for one in doubled if one.name.rpartition("-")[0] in names]
        return doubled


@pytest.fixture
def two() -> TwoOfEach:
    return TwoOfEach()


@pytest.fixture
def house(two: TwoOfEach) -> Iterator[House]:
    with throwaway.running_house("rolling", ROOM, rewire=two.rewire) as running:
        yield running


async def _restart_all(house: House, programs: list[Program], load: SteadyLoad) -> None:
    """One after the other, each only when the one before is back; then nobody begins anything more."""
    try:
        await load.has_begun.wait()
        for program in programs:
            made, failed = load.made, len(load.failures)
            await asyncio.to_thread(replicas.restart, house, program)
            print(
                f"{program.name} restarted, {load.made - made} bookings meanwhile", *load.failures[failed:], sep="\n  "
            )
    finally:
        load.stop()


def _cut_off(house: House) -> list[str]:
    """Programs that ran out of time while they ended."""
    logs = Path(processes.log_path(house.state_dir, "gateway-1")).parent.glob("*.log")
    return [log.name for log in logs if "graceful shutdown exceeded" in log.read_text(errors="replace")]


async def test_restarting_every_replica_under_load_fails_no_request(house: House, two: TwoOfEach) -> None:
    oracle = Oracle(house.state_dir / "members.jsonl")
    load = SteadyLoad(house, oracle, _PACE)
    names = await region.furnish(house, 12)
    pids = {one.name: processes.recorded(house.state_dir)[one.name].pid for one in two.programs}
    assert len(pids) == 2 * (len(DATABASES) + len(SERVICES))

    working = asyncio.create_task(load.run(names))
    await _restart_all(house, two.programs, load)
    await working

    print(f"{load.made} bookings in {load.seconds:.0f} s, {load.conflicts} conflicts, {load.paid} paid")
    assert load.failures == []
    assert load.made >= _AT_LEAST * load.seconds
    assert load.conflicts > 0
    assert load.paid > 0
    now = processes.recorded(house.state_dir)
    assert all(now[name].pid != pid for name, pid in pids.items()), "every replica is a new process"
    assert _cut_off(house) == []
    sight = Sight(house)
    assert await run.rest(sight) == []
    assert checks.violations(oracle, await sight.look()) == []
