"""Stands where a cluster has a Service: takes connections at one port and leads each to a replica that is ready.

`python -m regiohub_local.balancer FOLDER PORT TARGET…`: ports on loopback; a file in FOLDER that bears a target's name
keeps new connections from it. A connection stays with its replica, and none is tried a second time.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from regiohub_local.chaos.links import Link

_LOOK_S = 0.25


@dataclass(slots=True, eq=False)
class Balancer(Link):
    """A wire with several far ends, taken by turns."""

    targets: tuple[int, ...] = ()
    leaving: Path = Path()
    ready: set[int] = field(default_factory=set)
    turn_of: int = 0

    def far_end(self) -> int:
        """Return the next replica that is ready and stays; raises `OSError` when there is none."""
        for step in range(1, len(self.targets) + 1):
            number = (self.turn_of + step) % len(self.targets)
            target = self.targets[number]
            if target in self.ready and not (self.leaving / str(target)).exists():
                self.turn_of = number
                return target
        raise OSError(f"no replica of {self.name} is ready")

    async def watch(self) -> None:
        """Ask every replica again and again whether it is ready."""
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
            await asyncio.gather(*(self._watch(http, target) for target in self.targets))

    async def _watch(self, http: httpx.AsyncClient, target: int) -> None:
        while True:
            is_ready = False
            with suppress(httpx.HTTPError):
                answer = await http.get(f"http://127.0.0.1:{target}/readyz", headers={"Connection": "close"})
                is_ready = answer.is_success
            (self.ready.add if is_ready else self.ready.discard)(target)
            await asyncio.sleep(_LOOK_S)


async def run(leaving: Path, port: int, targets: tuple[int, ...]) -> None:
    """Listen until the process ends."""
    balancer = Balancer(str(port), targets[0], targets=targets, leaving=leaving)
    await balancer.open(port)
    await balancer.watch()


if __name__ == "__main__":
    folder, listen, *replicas = sys.argv[1:]
    asyncio.run(run(Path(folder), int(listen), tuple(map(int, replicas))))
