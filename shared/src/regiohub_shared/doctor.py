"""A doctor looks at a database that runs, or that was restored, and says of each invariant whether it holds.

Each service has one: ``python -m regiohub_<service>.doctor`` prints a line per check and ends with 1 if one has a
finding.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_shared.contracts.witness import Witness
from regiohub_shared.events.dead_letters import list_dead
from regiohub_shared.log import configure_logging

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant; ``wrong`` names what breaks it, and an empty one means that all is well."""

    check: str
    wrong: tuple[str, ...] = ()
    note: str = ""


Check = Callable[[AsyncSession], Awaitable[Finding]]


async def check_dead_letters(session: AsyncSession) -> Finding:
    """No fact was given up; of many the oldest are named."""
    rows = await list_dead(session)
    return Finding(
        "every fact was delivered or is under way",
        tuple(f"{row.type} of {row.subject} to {row.subscriber}: {row.last_error}" for row in rows),
    )


def count_check(name: str, query: str) -> Check:
    """Return the check whose ``query`` returns one text per row that breaks the invariant."""
    statement = text(query)

    async def check(session: AsyncSession) -> Finding:
        return Finding(name, tuple(str(row[0]) for row in (await session.execute(statement)).all()))

    return check


def report(service: str, findings: Sequence[Finding]) -> tuple[list[str], int]:
    """Return the lines to print and the exit code: 1 if anything was found."""
    lines = []
    for finding in findings:
        mark = "FINDING" if finding.wrong else "OK"
        note = f" ({finding.note})" if finding.note else ""
        lines.append(f"{service:<8} {mark:<8} {finding.check}{note}")
        lines += [f"{'':<17} {wrong}" for wrong in finding.wrong[:_SHOWN]]
        if len(finding.wrong) > _SHOWN:
            lines.append(f"{'':<17} … and {len(finding.wrong) - _SHOWN} more")
    return lines, int(any(finding.wrong for finding in findings))


def main(service: str, examine: Callable[[], Coroutine[Any, Any, Sequence[Finding]]]) -> int:
    """Print what was found; the exit code says whether all is well."""
    configure_logging(f"{service}-doctor", "WARNING", stream=sys.stderr)
    lines, code = report(service, asyncio.run(examine()))
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return code


def neighbour(arguments: Sequence[str] | None = None) -> Witness | None:
    """Return the witness of ``--witness FILE``, which a doctor compares with; None without it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--witness", type=Path, help="booking's witness, made now: compare with its bookings")
    path = parser.parse_args(arguments).witness
    return Witness.model_validate_json(path.read_bytes()) if path else None
