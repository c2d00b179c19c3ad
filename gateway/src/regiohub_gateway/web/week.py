"""A week of opening hours as a form: two openings a day; what has more is shown and left alone."""

from collections.abc import Sequence

from regiohub_gateway.web.forms import Form, whole_number
from regiohub_gateway.web.reads import Json
from regiohub_shared.problem import Conflict

WEEKDAYS = range(1, 8)
PER_DAY = 2
Field = tuple[str, str, str, str]
"""Names of the two fields of an opening, and what stands in them."""


class MoreOpenings(Conflict):
    """A day has more openings than the form shows; saving it would lose the others."""

    type, title = "more-openings", "The form cannot show all openings of this week"


def fits(openings: Sequence[Json]) -> bool:
    """Return whether the form can show them all."""
    return all(len(_of_day(openings, day)) <= PER_DAY for day in WEEKDAYS)


def show_week(openings: Sequence[Json], form: Form | None = None) -> dict[int, list[Field]]:
    """Return each weekday's fields, filled with what is stored or with what was just sent."""
    return {day: [_field(openings, form, day, place) for place in range(PER_DAY)] for day in WEEKDAYS}


def shown(openings: Sequence[Json]) -> Sequence[Json]:
    """Return the openings that the form shows: all of them, or none where it cannot show all."""
    return openings if fits(openings) else []


def is_edited(openings: Sequence[Json], form: Form) -> bool:
    """Return whether somebody wrote other times into the fields than stood there."""
    fields = [field for day in show_week(shown(openings)).values() for field in day]
    stood = {name: value for opens, closes, first, last in fields for name, value in ((opens, first), (closes, last))}
    return any(form.values.get(name, value).strip() != value for name, value in stood.items())


def read_week(form: Form) -> list[Json]:
    """Return the openings that a form says; one without times is none. ``24:00`` is the end of a day."""
    found = (_read(form, *_names(day, place), day) for day in WEEKDAYS for place in range(PER_DAY))
    return [opening for opening in found if opening]


def _of_day(openings: Sequence[Json], day: int) -> list[Json]:
    return [opening for opening in openings if opening["weekday"] == day]


def _names(day: int, place: int) -> tuple[str, str]:
    ending = f"{day}_{place + 1}" if place else str(day)
    return f"opens_{ending}", f"closes_{ending}"


def _field(openings: Sequence[Json], form: Form | None, day: int, place: int) -> Field:
    opens, closes = _names(day, place)
    if form:
        return opens, closes, form.values.get(opens, ""), form.values.get(closes, "")
    stored = _of_day(openings, day)[place : place + 1]
    return (opens, closes, stored[0]["opens"], stored[0]["closes"]) if stored else (opens, closes, "", "")


def _read(form: Form, opens: str, closes: str, day: int) -> Json | None:
    first, last = (form.values.get(name, "").strip() for name in (opens, closes))
    if not first and not last:
        return None
    low, high = _minutes(first), _minutes(last)
    if low is None or high is None:
        form.errors[opens] = "form.hours_format"
        return None
    if low >= high:
        form.errors[opens] = "form.hours_order"
        return None
    return {"weekday": day, "opens": _clock(low), "closes": _clock(high)}


def _minutes(clock: str) -> int | None:
    hours, _, minutes = clock.partition(":")
    hour, minute = whole_number(hours, low=0, high=24), whole_number(minutes, low=0, high=59)
    if hour is None or minute is None or len(minutes) != 2:
        return None
    total = hour * 60 + minute
    return total if total <= 1440 else None


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
