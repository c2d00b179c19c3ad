"""`make doctor`: each service's doctor on its own database and on what its neighbours know."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from regiohub_local import plan, supervise
from regiohub_local.tending import Run, is_running, keep, runner, tended
from regiohub_shared.clock import real_now

SERVICES = ("booking", "access", "billing")
TRIES = 3
_PAUSE_S = 5.0
"""Facts of a busy house are under way for a moment; what stays is a finding."""


def examine(run: Run, folder: Path) -> tuple[str, bool]:
    """Return what the doctors say, and whether all is well."""
    told = keep(folder, "booking", run("booking", "restore", "witness", "--backup-at", real_now().isoformat()))
    said = [
        run(name, "doctor", *(() if name == "booking" else ("--witness", str(told))), check=False) for name in SERVICES
    ]
    lines = [line for text in said for line in text.splitlines()]
    # A doctor that broke has said nothing here.
    well = all(said) and not any(line.split()[1:2] == ["FINDING"] for line in lines)
    return "\n".join(lines), well


def main(state_dir: Path) -> int:
    """Examine the house of a state folder; exit code 1 if anything was found."""
    house = plan.make_house(state_dir)
    with tended(house), tempfile.TemporaryDirectory(prefix="regiohub-doctor-") as folder:
        run = runner(house, supervise.databases(house))
        for _ in range(TRIES if is_running(house) else 1):
            said, well = examine(run, Path(folder))
            if well:
                break
            time.sleep(_PAUSE_S)
    print(said)
    if not well:
        print('Findings: see the runbook, "Doctor".', file=sys.stderr)
    return 0 if well else 1
