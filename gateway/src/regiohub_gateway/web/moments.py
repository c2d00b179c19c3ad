"""Times as people in the hub read them: wall time of Europe/Berlin, written in the page's language."""

from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time

from regiohub_shared.clock import FIRST_YEAR, LAST_YEAR

ZONE = ZoneInfo("Europe/Berlin")
_LOCALES = {"de": "de_DE", "en": "en_GB"}
_DATE = {"de": "EEE, dd.MM.yyyy", "en": "EEE d MMM yyyy"}
_LONGEST = 40


class NoSuchTime(ValueError):
    """The clocks skip this local time."""


class TwoSuchTimes(ValueError):
    """The clocks show this local time twice; both readings are in ``choices``."""

    def __init__(self, choices: tuple[datetime, datetime]) -> None:
        """Keep both moments, the earlier first."""
        super().__init__("ambiguous")
        self.choices = choices


def parse(value: str) -> datetime:
    """Return a moment of a service's JSON as local wall time."""
    return datetime.fromisoformat(value).astimezone(ZONE)


def read_day(value: str) -> date:
    """Return the date that somebody typed; raises ``ValueError``."""
    return of_our_time(date.fromisoformat(_short(value)))


def read_clock(value: str) -> time:
    """Return the wall time that somebody typed, in whole minutes; raises ``ValueError``."""
    return time.fromisoformat(_short(value)).replace(second=0, microsecond=0, tzinfo=None)


def read_moment(value: str) -> datetime:
    """Return a moment that a browser sent as local wall time; raises ``ValueError``."""
    return of_our_time(datetime.fromisoformat(_short(value))).astimezone(ZONE)


_Day = TypeVar("_Day", date, datetime)


def of_our_time(day: _Day) -> _Day:
    """Return it if the services take it too; raises ``ValueError``."""
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError("this year is too far away")
    return day


def _short(value: str) -> str:
    if len(value) > _LONGEST:
        raise ValueError("too long for a time")
    return value


def local(day: date, clock: time) -> datetime:
    """Return the moment that a person in the hub means; raises :class:`NoSuchTime` or :class:`TwoSuchTimes`."""
    first, second = (datetime.combine(day, clock, ZONE).replace(fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    if first.astimezone(UTC).astimezone(ZONE).replace(tzinfo=None) != first.replace(tzinfo=None):
        raise NoSuchTime
    raise TwoSuchTimes((first, second))


def after(start: datetime, minutes: int) -> datetime:
    """Return the moment that many real minutes later, as local wall time."""
    return (start.astimezone(UTC) + timedelta(minutes=minutes)).astimezone(ZONE)


def minutes_between(start: datetime, end: datetime) -> int:
    """Return real minutes, also over a change of the clocks."""
    return int((end.astimezone(UTC) - start.astimezone(UTC)).total_seconds() // 60)


def over_the_gap(day: date, clock: time) -> datetime:
    """Return the moment at which a clock that nobody had put forward would show this time."""
    return datetime.combine(day, clock, ZONE).astimezone(UTC).astimezone(ZONE)


def next_step(now: datetime, minutes: int = 30) -> datetime:
    """Return the start of the raster that begins next, as local wall time."""
    here = now.astimezone(ZONE).replace(second=0, microsecond=0)
    return after(here, minutes - here.minute % minutes)


def show_date(moment: datetime | date, language: str) -> str:
    """Return ``Mo., 23.11.2026`` or ``Mon 23 Nov 2026``."""
    day = moment.astimezone(ZONE).date() if isinstance(moment, datetime) else moment
    return format_date(day, _DATE[language], locale=_LOCALES[language])


def show_time(moment: datetime, language: str) -> str:
    """Return ``09:30``."""
    return format_time(moment.astimezone(ZONE), "HH:mm", locale=_LOCALES[language])


def show_span(start: datetime, end: datetime, language: str) -> str:
    """Return date and both times; the end's date only when it is another one."""
    first, last = start.astimezone(ZONE), end.astimezone(ZONE)
    until = "24:00" if last.time() == time() and (last - first) <= timedelta(days=1) else show_time(last, language)
    if until != "24:00" and last.date() != first.date():
        until = f"{show_date(last, language)}, {until}"
    return f"{show_date(first, language)}, {show_time(first, language)}–{until}"
