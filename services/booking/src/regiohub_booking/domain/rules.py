"""The rules that a slot must keep; each refusal names its rule and, where it can, what would work."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn
from zoneinfo import ZoneInfo

from regiohub_booking.domain.slot import Slot
from regiohub_shared.problem import Conflict, TooManyRequests

HOLD = timedelta(minutes=35)
"""How long a slot waits for its payment; a checkout page lives at least 31 minutes at the provider."""
MAX_LINES = 50


class OffGrid(Conflict):
    """Start or length does not fit the raster."""

    type, title = "off-grid", "The slot does not fit the resource's raster"


class TooShort(Conflict):
    """Shorter than the resource allows."""

    type, title = "too-short", "The slot is too short"


class TooLong(Conflict):
    """Longer than the resource allows."""

    type, title = "too-long", "The slot is too long"


class InThePast(Conflict):
    """The slot began too long ago."""

    type, title = "in-the-past", "The slot lies in the past"


class BeyondHorizon(Conflict):
    """Too far ahead."""

    type, title = "beyond-horizon", "The slot lies too far ahead"


class OutsideOpeningHours(Conflict):
    """Not open all the time; ``open`` lists the opening times around it."""

    type, title = "outside-opening-hours", "The resource is not open all that time"


class NotBookable(Conflict):
    """The resource is switched off."""

    type, title = "not-bookable", "This resource cannot be booked at present"


class SeveralHubs(Conflict):
    """A booking belongs to one hub, because one operator is paid for it."""

    type, title = "several-hubs", "All lines of a booking must be in one hub"


class TooManyHolds(TooManyRequests):
    """The member has as much on hold without payment as allowed; ``rule`` says whether holds, lines or hours."""

    type, title = "too-many-holds", "Pay or cancel one of your open bookings first"


class HoldTooLarge(Conflict):
    """More than may ever wait for one payment; ``rule`` says whether lines or hours."""

    type, title = "hold-too-large", "This is too much for one unpaid booking"


class SlotTaken(Conflict):
    """Someone else was first; ``alternatives`` are free slots, ``resources`` are free at that time."""

    type, title = "slot-taken", "This slot is taken"


class AlreadyBegun(Conflict):
    """A member can cancel only before the start."""

    type, title = "already-begun", "The booking has already begun"


class TooEarly(Conflict):
    """The booking starts much later; ``earliest`` says from when on a member can be checked in by hand."""

    type, title = "too-early", "It is too early to check in"


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits of one resource; all lengths are minutes unless the name says otherwise."""

    granularity: int
    shortest: int
    longest: int
    horizon_days: int

    @property
    def step(self) -> timedelta:
        """Return the raster as a length of time."""
        return timedelta(minutes=self.granularity)


@dataclass(frozen=True, slots=True)
class Unpaid:
    """What a member has on hold without payment, or is about to."""

    holds: int
    lines: int
    duration: timedelta


@dataclass(frozen=True, slots=True)
class UnpaidLimits:
    """What may be on hold without payment at the same time, so that one account cannot empty the county's hubs."""

    holds: int = 3
    lines: int = MAX_LINES
    hours: int = 200


def check_unpaid(known: Unpaid, slots: Sequence[Slot], limits: UnpaidLimits) -> None:
    """Raise :class:`TooManyHolds`, or :class:`HoldTooLarge` if the new hold breaks the limit by itself.

    A single line is not bound by the hours: how long it may be is its resource's rule.
    """
    lines = known.lines + len(slots)
    hours = (known.duration + sum((slot.duration for slot in slots), timedelta())) / timedelta(hours=1)
    if known.holds >= limits.holds:
        raise TooManyHolds(
            f"At most {limits.holds} bookings may wait for their payment. Pay or cancel one of them.",
            rule="holds", limit=limits.holds,
        )  # fmt: skip
    if lines > limits.lines:
        _refuse(known, "lines", limits.lines, f"{limits.lines} lines")
    if lines > 1 and hours > limits.hours:
        _refuse(known, "hours", limits.hours, f"{limits.hours} hours")


def _refuse(known: Unpaid, rule: str, limit: int, most: str) -> NoReturn:
    if known.holds:
        raise TooManyHolds(
            f"At most {most} may wait for their payment, with the bookings that are open. Pay or cancel one of them.",
            rule=rule, limit=limit,
        )  # fmt: skip
    raise HoldTooLarge(f"At most {most} may wait for one payment. Book and pay it in parts.", rule=rule, limit=limit)


def _check_raster(slot: Slot, rules: Rules, zone: ZoneInfo) -> None:
    """Starts count from local midnight; the length counts in real minutes, also when clocks change."""
    local = slot.start.astimezone(zone)
    on_grid = (local.hour * 60 + local.minute) % rules.granularity == 0 and not (local.second or local.microsecond)
    if not on_grid or slot.duration % rules.step:
        raise OffGrid(
            f"Start and length are multiples of {rules.granularity} minutes.", granularity_minutes=rules.granularity
        )


def check_slot(
    slot: Slot, *, rules: Rules, openings: Callable[[], Iterable[Slot]], zone: ZoneInfo, now: datetime
) -> None:
    """Raise the first broken rule.

    ``openings`` returns the opening times (UTC, merged) around the slot; it costs a step per day and so is asked only
    for a slot that keeps all other rules, which bound its length. The step of the raster that is running may still be booked: who stands at the door now can come in now.
    """
    if slot.start <= now - rules.step:
        raise InThePast(
            "The slot began before the current step of the raster.", earliest=(now - rules.step).isoformat()
        )
    if slot.end > now + timedelta(days=rules.horizon_days):
        latest = now + timedelta(days=rules.horizon_days)
        raise BeyondHorizon(f"Bookings reach {rules.horizon_days} days ahead.", latest=latest.isoformat())
    if slot.duration < timedelta(minutes=rules.shortest):
        raise TooShort(f"The shortest booking is {rules.shortest} minutes.", min_minutes=rules.shortest)
    if slot.duration > timedelta(minutes=rules.longest):
        raise TooLong(f"The longest booking is {rules.longest} minutes.", max_minutes=rules.longest)
    _check_raster(slot, rules, zone)
    near = list(openings())
    if not any(opening.contains(slot) for opening in near):
        shown = [
            {"start": o.start.astimezone(zone).isoformat(), "end": o.end.astimezone(zone).isoformat()} for o in near[:7]
        ]
        raise OutsideOpeningHours("The slot leaves the opening hours.", open=shown)


CHECK_IN_MARGIN = timedelta(minutes=60)
"""How long before the start someone may be checked in by hand; doors have their own, shorter margins."""


def check_cancel(*, starts_at: datetime, ends_at: datetime, now: datetime, by_operator: bool, is_paid: bool) -> None:
    """Raise :class:`AlreadyBegun`: a member cancels before the start, the hub's operator before the end.

    What nobody has paid for may be given back at any time.
    """
    if is_paid and now >= (ends_at if by_operator else starts_at):
        raise AlreadyBegun("Bookings can be cancelled before they start.", starts_at=starts_at.isoformat())


def is_there(slot: Slot, now: datetime) -> bool:
    """Whether somebody who is checked in may be there for ``slot``: from the earliest check-in to the end."""
    return slot.start - CHECK_IN_MARGIN <= now < slot.end


def check_coming(*, starts_at: datetime, now: datetime) -> None:
    """Raise :class:`TooEarly` for a check-in by hand long before the start."""
    earliest = starts_at - CHECK_IN_MARGIN
    if now < earliest:
        raise TooEarly("Nobody can have come yet.", earliest=earliest.isoformat(), starts_at=starts_at.isoformat())
