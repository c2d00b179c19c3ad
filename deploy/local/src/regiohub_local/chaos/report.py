"""What a run prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from regiohub_local.chaos.faults import KINDS, TARGETS
from regiohub_local.chaos.oracle import Oracle

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    oracle: Oracle
    kills: Mapping[str, int]
    faults: Mapping[str, int]
    facts: int
    deliveries: int
    violations: Sequence[str] = field(default=())

    @property
    def kills_by_kind(self) -> dict[str, int]:
        """How often each kind of program died."""
        return {kind: sum(self.kills.get(name, 0) for name in names) for kind, names in KINDS.items()}


def spared(outcome: Outcome, planned: int) -> list[str]:
    """Who died too seldom for the run to prove anything: of several kills one may meet a program that is dead already."""
    is_short = planned < 2
    deaths, names = (outcome.kills_by_kind, KINDS) if is_short else (outcome.kills, TARGETS)
    least = planned if is_short else planned - 1
    return [f"killed only {deaths.get(name, 0)} times: {name}" for name in names if deaths.get(name, 0) < least]


def text(outcome: Outcome) -> str:
    """All of it, for people."""
    lines = [
        _bookings(outcome.oracle),
        f"Kills: {_told(outcome.kills)}",
        f"Kills by kind: {_told(outcome.kills_by_kind)}",
        f"Other faults: {_told(outcome.faults)}",
        f"Facts delivered: {outcome.facts}, in {outcome.deliveries} attempts",
        f"Answers: {_told(outcome.oracle.answers)}",
    ]
    if not outcome.violations:
        return "\n".join([*lines, "At rest every promise holds."])
    by_check = Counter(wrong.partition(":")[0] for wrong in outcome.violations)
    shown = [f"  {wrong}" for wrong in outcome.violations[:_SHOWN]]
    return "\n".join([*lines, f"BROKEN: {_told(by_check)}", *shown])


def _bookings(oracle: Oracle) -> str:
    known = list(oracle.bookings.values())
    free, paid = sum(not row.gross_cents for row in known), sum(row.is_paid for row in known)
    cancelled, opened = sum(row.is_cancelled for row in known), sum(row.at_door is True for row in known)
    did = f"{free} free, {paid} paid, {cancelled} cancelled, {opened} opened their door"
    return f"Bookings: {len(known)} acknowledged ({did}), {len(oracle.refused)} refused"


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"
