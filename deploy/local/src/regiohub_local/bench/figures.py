"""What many measurements say in few numbers. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed; raises ValueError for none."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@dataclass(frozen=True, slots=True)
class Told:
    """Several rounds: the median, and between what they lay."""

    median: float
    low: float
    high: float


def told(values: Sequence[float]) -> Told:
    """Sum up the rounds."""
    return Told(median(values), min(values), max(values))


def ratios(parts: Sequence[float], wholes: Sequence[float]) -> list[float]:
    """Each round's part of its own whole: rounds meet different weather, so they are divided before they are summed up."""
    return [part / whole for part, whole in zip(parts, wholes, strict=True)]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be: at least `least` or at most `most`."""

    text: str
    least: float = -math.inf
    most: float = math.inf

    def is_met(self, value: float) -> bool:
        """Whether the value is within."""
        return self.least <= value <= self.most


ALONE = Goal("≥ 0.20 of the ceiling", least=0.20)
GATEWAY = Goal("≥ 0.10 of the ceiling", least=0.10)
PROXY_MS = Goal("≤ 0.6 ms", most=0.6)
DECISION_MS = Goal("≤ 5 ms", most=5)
GROWTH = Goal("≤ 1.3 × p99", most=1.3)
