"""When a grant opens which doors: the slots of its lines, widened by the hub's margins.

Windows are half-open ``[starts_at, ends_at)`` and UTC. Lines of one booking may differ in time, so a grant has as
many windows as it has distinct times; a door is never opened by another line's window::

    desk   09:00 ─────────── 12:00
    booth        10:00 ── 11:00           two windows, the outer door in both
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

MAX_PASS = timedelta(hours=24)
"""No pass is valid for longer; a longer window is cut into pieces of this length, one pass each."""

GrantStatus = Literal["active", "revoked"]

_ACTIVE = frozenset({"confirmed", "checked_in", "completed"})
_ENDED = frozenset({"rejected", "expired", "cancelled", "no_show"})


@dataclass(frozen=True, slots=True)
class Span:
    """One booked resource and its slot ``[start, end)``, without margins."""

    resource_id: UUID
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Window:
    """Doors (by number, sorted) that open within ``[starts_at, ends_at)``, margins included."""

    starts_at: datetime
    ends_at: datetime
    doors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """What a hub's doors serve: ``inner`` by resource, ``outer`` for everyone with a grant there."""

    margin: timedelta
    outer: frozenset[int]
    inner: Mapping[UUID, frozenset[int]]


def desired(booking_status: str) -> GrantStatus | None:
    """Return what a booking's status means for its grant; None while nothing is decided (requested, held)."""
    if booking_status in _ACTIVE:
        return "active"
    return "revoked" if booking_status in _ENDED else None


def windows(spans: Iterable[Span], site: Site) -> tuple[Window, ...]:
    """Return the windows in order of time; touching ones of one resource are one."""
    by_resource: dict[UUID, list[tuple[datetime, datetime]]] = defaultdict(list)
    for span in spans:
        by_resource[span.resource_id].append((span.start - site.margin, span.end + site.margin))
    doors: dict[tuple[datetime, datetime], set[int]] = defaultdict(lambda: set(site.outer))
    for resource_id, times in by_resource.items():
        for time in _merged(times):
            doors[time] |= site.inner.get(resource_id, frozenset())
    return tuple(Window(start, end, tuple(sorted(doors[start, end]))) for start, end in sorted(doors))


def _merged(times: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    merged: list[tuple[datetime, datetime]] = []
    for start, end in sorted(times):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def pieces(window: Window) -> Iterator[Window]:
    """Cut a window into pieces of at most ``MAX_PASS``: what one pass may cover (its "day")."""
    start = window.starts_at
    while start < window.ends_at:
        end = min(start + MAX_PASS, window.ends_at)
        yield Window(start, end, window.doors)
        start = end
