"""What the programs' logs say: JSON lines, found by one id."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regiohub_local import processes


def lines(state_dir: Path, program: str) -> Iterator[dict[str, Any]]:
    """Return a program's log lines; what is no JSON is left out."""
    for line in processes.log_path(state_dir, program).read_text(errors="replace").splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def trace_of(state_dir: Path, subject: str) -> str:
    """Return the trace of the first fact about a subject that booking's worker delivered, or nothing."""
    told = (line for line in lines(state_dir, "booking-worker") if line.get("subject") == subject)
    return next((str(line["trace_id"]) for line in told if line.get("event") == "fact_delivered"), "")


def of_trace(state_dir: Path, programs: tuple[str, ...], trace_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return each program's lines of one trace."""
    return {name: [line for line in lines(state_dir, name) if line.get("trace_id") == trace_id] for name in programs}
