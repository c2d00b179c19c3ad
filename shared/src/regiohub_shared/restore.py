"""The command line of a service's restore: the same words everywhere, files in, a witness out, a report beside it.

``python -m regiohub_<service>.restore <step> --backup-at … [--witness FILE …]``. Standard output is the witness (data
for the next service), standard error the report (for people).
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from regiohub_shared.contracts.witness import Witness
from regiohub_shared.log import configure_logging

MARGIN = timedelta(days=7)
"""What ended this long before the backup cannot have changed any more but by a late report of a door."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a step of a restore is told; ``backup_at`` is when the backup began, real time."""

    backup_at: datetime
    witnesses: tuple[Witness, ...] = ()
    numbers: tuple[str, ...] = ()

    @property
    def since(self) -> datetime:
        """Bookings that end after this are compared one by one."""
        return self.backup_at - MARGIN

    def of(self, service: str) -> Witness | None:
        """Return what that service told."""
        return next((one for one in self.witnesses if one.service == service), None)

    def heard_from(self, service: str) -> list[int]:
        """Return the highest versions of a service that its neighbours and it itself name."""
        return [one.highest[service] for one in self.witnesses if service in one.highest]


@dataclass(slots=True)
class Report:
    """What was done, for people."""

    lines: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Add a line."""
        self.lines.append(line)

    def list(self, heading: str, items: Iterable[str]) -> None:
        """Add a list, or nothing if it is empty."""
        found = [f"  - {item}" for item in items]
        if found:
            self.lines += [heading, *found]


Step = Callable[[Restored, Report], Coroutine[Any, Any, Witness | None]]


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("needs an offset, for example 2026-11-30T21:00:00+00:00")
    return moment


def parse(service: str, steps: Mapping[str, Step], arguments: Sequence[str] | None) -> tuple[Step, Restored]:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog=f"python -m regiohub_{service}.restore", description=__doc__)
    parser.add_argument("step", choices=sorted(steps))
    parser.add_argument("--backup-at", type=_moment, required=True, help="when the backup began, RFC 3339")
    parser.add_argument("--witness", type=Path, action="append", default=[], help="what a neighbour told (a file)")
    parser.add_argument(
        "--last-number", action="append", default=[], metavar="OPERATOR:NUMBER",
        help="a number known outside, for example stadt-bendorf:R-2026-000012 or stadt-bendorf:HKR-17 (billing)",
    )  # fmt: skip
    chosen = parser.parse_args(arguments)
    witnesses = tuple(Witness.model_validate_json(path.read_bytes()) for path in chosen.witness)
    return steps[chosen.step], Restored(chosen.backup_at, witnesses, tuple(chosen.last_number))


def main(service: str, steps: Mapping[str, Step], arguments: Sequence[str] | None = None) -> int:
    """Run one step; a refusal is one line and exit code 1."""
    configure_logging(f"{service}-restore", "WARNING", stream=sys.stderr)
    step, restored = parse(service, steps, arguments)
    report = Report()
    try:
        witness = asyncio.run(step(restored, report))
    except RuntimeError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    sys.stderr.writelines(f"{service:<8} {line}\n" for line in report.lines)
    if witness is not None:
        sys.stdout.write(f"{witness.model_dump_json()}\n")
    return 0
