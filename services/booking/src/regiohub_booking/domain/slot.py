"""Half-open time intervals ``[start, end)`` in UTC, and the only place where overlap is written."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from regiohub_shared.problem import Malformed


class ZoneMissing(Malformed):
    """A time came without an offset, so nobody knows which moment it means."""

    type, title = "zone-missing", "The time needs an offset from UTC"


class EndBeforeStart(Malformed):
    """The end is not after the start."""

    type, title = "end-before-start", "The end must be after the start"


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """``[start, end)``: the start belongs to it, the end does not, so touching slots do not overlap."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Refuse naive times and empty slots; keep both ends in UTC."""
        if self.start.utcoffset() is None or self.end.utcoffset() is None:
            raise ZoneMissing("Write times like 2026-11-25T09:00:00+01:00.")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))
        if self.end <= self.start:
            raise EndBeforeStart("A slot ends after it starts.")

    @property
    def duration(self) -> timedelta:
        """Real time between the ends, so 23 or 25 hours for a day on which clocks change."""
        return self.end - self.start

    def overlaps(self, other: "Slot") -> bool:
        """``[--a--)  [--b--)`` no, ``[--a--)[--b--)`` no, ``[--a[==)b--)`` yes."""
        return self.start < other.end and other.start < self.end

    def contains(self, other: "Slot") -> bool:
        """Whether all of ``other`` lies inside."""
        return self.start <= other.start and other.end <= self.end

    def widened(self, before: timedelta, after: timedelta) -> "Slot":
        """Return the slot with room on both sides."""
        return Slot(self.start - before, self.end + after)


def union(slots: Iterable[Slot]) -> list[Slot]:
    """Merge overlapping and touching slots; the result is sorted and has a gap between any two."""
    merged: list[Slot] = []
    for slot in sorted(slots):
        if merged and slot.start <= merged[-1].end:
            merged[-1] = Slot(merged[-1].start, max(merged[-1].end, slot.end))
        else:
            merged.append(slot)
    return merged


def subtract(whole: Iterable[Slot], taken: Iterable[Slot]) -> list[Slot]:
    """Return what is left of ``whole`` without ``taken``, sorted, both merged first."""
    rest: list[Slot] = []
    holes = union(taken)
    for slot in union(whole):
        start = slot.start
        for hole in holes:
            if hole.end <= start or hole.start >= slot.end:
                continue
            if start < hole.start:
                rest.append(Slot(start, hole.start))
            start = hole.end
        if start < slot.end:
            rest.append(Slot(start, slot.end))
    return rest
