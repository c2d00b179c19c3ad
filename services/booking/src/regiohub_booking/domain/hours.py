"""Opening hours are wall time in the hub's zone; here they become UTC, date by date."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from regiohub_booking.domain.slot import Slot, union
from regiohub_shared.problem import Malformed

DAY_MINUTES = 24 * 60


class NonexistentLocalTime(Malformed):
    """The clocks jump over this wall time."""

    type, title = "nonexistent-local-time", "This local time does not exist on that date"


class AmbiguousLocalTime(Malformed):
    """The clocks show this wall time twice; ``choices`` holds both moments."""

    type, title = "ambiguous-local-time", "This local time happens twice on that date"


class HoursOverlap(Malformed):
    """Two opening times of one weekday overlap, or one is upside down."""

    type, title = "hours-overlap", "Opening hours of one day must not overlap"


@dataclass(frozen=True, slots=True, order=True)
class Opening:
    """Open on ISO ``weekday`` (Monday is 1) from ``opens`` to ``closes``, minutes of wall time after midnight."""

    weekday: int
    opens: int
    closes: int


def check_week(week: Iterable[Opening]) -> None:
    """Raise :class:`HoursOverlap` unless every opening is inside its day and disjoint from the others."""
    last: Opening | None = None
    for opening in sorted(week):
        if not (1 <= opening.weekday <= 7 and 0 <= opening.opens < opening.closes <= DAY_MINUTES):
            raise HoursOverlap(f"Weekday {opening.weekday}: it must open before it closes, within one day.")
        if last and last.weekday == opening.weekday and opening.opens < last.closes:
            raise HoursOverlap(f"Weekday {opening.weekday} has two openings at the same time.")
        last = opening


def _readings(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the moments (UTC) at which a clock in ``zone`` shows ``wall``: none, one or two."""
    moments = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(m for m in moments if m.astimezone(zone).replace(tzinfo=None) == wall)


def to_utc(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Turn a user's wall time into UTC.

    Raises :class:`NonexistentLocalTime` in the gap of spring and :class:`AmbiguousLocalTime` in the fold of autumn.
    """
    wall = datetime.combine(day, clock.replace(tzinfo=None))
    moments = _readings(wall, zone)
    if not moments:
        raise NonexistentLocalTime(f"{wall:%Y-%m-%d %H:%M} is skipped in {zone.key}.")
    if len(moments) > 1:
        choices = [moment.astimezone(zone).isoformat() for moment in moments]
        raise AmbiguousLocalTime(f"{wall:%Y-%m-%d %H:%M} happens twice in {zone.key}; say which.", choices=choices)
    return moments[0]


def check_reading(moment: datetime, zone: ZoneInfo) -> None:
    """Refuse a time whose own wall reading the hub's clocks skip, such as ``2027-03-28T02:30:00+01:00`` in Berlin.

    A reading in another offset (``Z`` for example) belongs to another clock and passes.
    """
    wall = moment.replace(tzinfo=None)
    offsets = {wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
    if moment.utcoffset() in offsets and not _readings(wall, zone):
        raise NonexistentLocalTime(f"{wall:%Y-%m-%d %H:%M} is skipped in {zone.key}.")


def _edge(day: date, minutes: int, zone: ZoneInfo, *, closing: bool) -> datetime:
    """Turn an edge of the weekly pattern into UTC; nobody can be asked, so the day stays open as long as possible.

    In a fold it opens at the first and closes at the second moment; an edge in a gap moves to the gap's end.
    """
    wall = datetime.combine(day, time()) + timedelta(minutes=minutes)
    moments = _readings(wall, zone)
    if moments:
        return moments[-1 if closing else 0]
    return wall.replace(tzinfo=zone, fold=1).astimezone(UTC) + _gap(wall, zone)


def _gap(wall: datetime, zone: ZoneInfo) -> timedelta:
    """Return how far the moment of ``fold=1`` lies before the end of the gap around ``wall``."""
    before, after = (wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    moment = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    step = timedelta(minutes=1)
    probe = moment
    while (probe.astimezone(zone).utcoffset() or timedelta()) == min(before, after):
        probe += step
    return probe - moment


def open_slots(week: Iterable[Opening], first: date, last: date, zone: ZoneInfo) -> list[Slot]:
    """Return when it is open from ``first`` to ``last`` (both included), in UTC, merged over midnight."""
    by_day: dict[int, list[Opening]] = {}
    for opening in week:
        by_day.setdefault(opening.weekday, []).append(opening)
    slots = []
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        for opening in by_day.get(day.isoweekday(), ()):
            start = _edge(day, opening.opens, zone, closing=False)
            end = _edge(day, opening.closes, zone, closing=True)
            if start < end:
                slots.append(Slot(start, end))
    return union(slots)


def local_date(moment: datetime, zone: ZoneInfo) -> date:
    """Return the date that the hub's calendar shows."""
    return moment.astimezone(zone).date()


def day_slot(day: date, zone: ZoneInfo) -> Slot:
    """Return the local day from midnight to midnight: 23, 24 or 25 hours."""
    start = _edge(day, 0, zone, closing=False)
    return Slot(start, _edge(day + timedelta(days=1), 0, zone, closing=False))


@lru_cache(maxsize=4096)
def raster(day: date, minutes: int, zone: ZoneInfo) -> tuple[datetime, ...]:
    """Return the moments (UTC) at which a slot may start on ``day``: wall times that are multiples of ``minutes``.

    Wall times in a gap are left out, those in a fold count twice.
    """
    midnight = datetime.combine(day, time())
    walls = (midnight + timedelta(minutes=minute) for minute in range(0, DAY_MINUTES, minutes))
    return tuple(sorted(moment for wall in walls for moment in _readings(wall, zone)))
