"""A house in which APIs and workers run more than once, and how one replica after the other is restarted under load.

As on a cluster: a balancer stands at the address of each API (there: a Service), a replica that is to end first gets no
new connections (there: its endpoint goes, `preStop` waits) and then SIGTERM; the next one goes when it is back.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from regiohub_local import ports, processes, supervise
from regiohub_local.plan import DATABASES, House, Program

_LEARN_S = 1.0
"""Time for the balancer to have passed on what it took before it heard that a replica leaves."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many of each program of the house there are."""

    apis: int = 1
    workers: int = 1

    def rewire(self, house: House, programs: Sequence[Program]) -> list[Program]:
        """Return the programs with each API and worker as often as told; the seam of `supervise.start`."""
        taken = {*house.ports.values()}
        shutil.rmtree(_folder(house), ignore_errors=True)
        _folder(house).mkdir()
        return [one for program in programs for one in self._of(house, program, taken)]

    def _of(self, house: House, program: Program, taken: set[int]) -> list[Program]:
        if program.name in DATABASES and self.apis > 1:
            copies = _copies(program, self.apis, taken)
            return [*copies, _balancer(house, program, copies)]
        if program.name.endswith("-worker") and self.workers > 1:
            return _copies(program, self.workers, taken)
        return [program]


def _copies(program: Program, count: int, taken: set[int]) -> list[Program]:
    """The program `count` times, each on a port of its own that nobody else is told."""
    found = []
    for number, port in enumerate(ports.free_ports(count, taken), start=1):
        taken.add(port)
        command = [str(port) if word == str(program.port) else word for word in program.command]
        ready = program.ready.replace(f":{program.port}/", f":{port}/")
        found.append(replace(program, name=f"{program.name}-{number}", command=command, port=port, ready=ready))
    return found


def _balancer(house: House, program: Program, copies: Sequence[Program]) -> Program:
    """What listens at the API's address; it bears its name, since everybody knows the API by it."""
    targets = [str(copy.port) for copy in copies]
    command = [sys.executable, "-m", "regiohub_local.balancer", str(_folder(house)), str(program.port), *targets]
    return Program(program.name, command, {}, program.port, program.ready)


def _folder(house: House) -> Path:
    """Holds a file named by its port for each replica that gets no new connections."""
    return house.state_dir / "leaving"


def restart(house: House, replica: Program) -> None:
    """End one replica and start it again while the others serve; raises `StartError` if it does not come back."""
    leaving = _folder(house) / str(replica.port)
    leaving.touch()
    time.sleep(_LEARN_S)
    processes.end(house.state_dir, replica.name)
    processes.spawn(house.state_dir, replica.name, replica.command, replica.env)
    supervise.wait_ready(house, [replica])
    leaving.unlink()
    time.sleep(_LEARN_S)
