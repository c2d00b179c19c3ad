"""A booking as a frozen value: how one is planned, and what each event makes of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from regiohub_booking.domain.hours import Opening, check_reading, local_date, open_slots
from regiohub_booking.domain.occupancy import Claim, Want, claims
from regiohub_booking.domain.price import Quote, Step, check_total, quote
from regiohub_booking.domain.rules import HOLD, NotBookable, Rules, SeveralHubs, check_slot
from regiohub_booking.domain.slot import Slot
from regiohub_booking.domain.states import Event, Status, next_status
from regiohub_shared.problem import Problem

Verdict = Literal["accepted", "refund"]
ERASED = "erased-"
"""How the ``sub`` begins that takes the place of an erased member's."""


@dataclass(frozen=True, slots=True)
class Place:
    """A resource with all that booking it needs; ``leaves`` is the resource itself if it has no parts."""

    id: UUID
    hub: str
    hub_name: str
    operator: str
    name: str
    zone: ZoneInfo
    cents_per_hour: int
    tax_code: str
    rules: Rules
    before: timedelta
    after: timedelta
    leaves: tuple[UUID, ...]
    week: tuple[Opening, ...]
    is_active: bool
    version: int

    def openings(self, around: Slot) -> list[Slot]:
        """Return the opening times (UTC) of the local days that ``around`` touches, with a day on each side."""
        day = timedelta(days=1)
        first, last = local_date(around.start, self.zone) - day, local_date(around.end, self.zone) + day
        return open_slots(self.week, first, last, self.zone)

    def check(self, slot: Slot, now: datetime) -> None:
        """Raise the first rule that ``slot`` breaks here."""
        if not self.is_active:
            raise NotBookable(f"{self.name} is switched off.")
        # The openings last: a slot of two hundred years is refused by its length before any day is counted.
        check_slot(slot, rules=self.rules, openings=lambda: self.openings(slot), zone=self.zone, now=now)

    def quote(self, slot: Slot) -> Quote:
        """Return the price of ``slot``."""
        return quote(slot, cents_per_hour=self.cents_per_hour, tax_code=self.tax_code)


@dataclass(frozen=True, slots=True)
class Ask:
    """One wanted line as it came in; the offsets are kept, because a reading can be impossible."""

    resource_id: UUID
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """One resource and slot with its frozen price."""

    id: UUID
    resource_id: UUID
    resource_name: str
    slot: Slot
    quote: Quote


@dataclass(frozen=True, slots=True)
class Payment:
    """What is known and decided about one payment; ``verdict`` None means: wait."""

    payment_id: UUID
    version: int
    paid_cents: int
    refunded_cents: int
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Booking:
    """The whole snapshot. Stamps are set once and never cleared; each event raises ``version`` by one."""

    id: UUID
    code: str
    sub: str
    hub: str
    hub_name: str
    operator: str
    status: Status
    version: int
    gross_cents: int
    fee_cents: int
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    lines: tuple[Line, ...]
    payments: tuple[Payment, ...] = ()
    held_at: datetime | None = None
    hold_until: datetime | None = None
    confirmed_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancelled_by: str | None = None
    expired_at: datetime | None = None
    checked_in_at: datetime | None = None
    completed_at: datetime | None = None
    moved_at: datetime | None = None
    """When it was last moved: the one stamp that a later event of its kind replaces."""
    moved_by: str | None = None

    def _moved(self, event: Event) -> "Booking":
        return replace(self, status=next_status(self.status, event), version=self.version + 1)

    def confirm(self, now: datetime) -> "Booking":
        """Paid in time (or free)."""
        return replace(self._moved(Event.CONFIRM), confirmed_at=now)

    def confirm_late(self, now: datetime) -> "Booking":
        """Paid after the hold's end, and the slot was claimed again."""
        return replace(self._moved(Event.CONFIRM_LATE), confirmed_at=now)

    def expire(self, now: datetime) -> "Booking":
        """Nobody paid in time; the slot is free."""
        return replace(self._moved(Event.EXPIRE), expired_at=now)

    def cancel(self, now: datetime, by: str, fee_cents: int = 0) -> "Booking":
        """Called off by ``member``, ``operator`` or ``closure``; all but ``fee_cents`` is refunded.

        Only the operator calls off a booking that is checked in; its stamp stays, like every stamp.
        """
        revoked = by == "operator" and self.status is Status.CHECKED_IN
        moved = self._moved(Event.REVOKE if revoked else Event.CANCEL)
        return replace(moved, cancelled_at=now, cancelled_by=by, fee_cents=fee_cents)

    def move(self, lines: tuple[Line, ...], now: datetime, by: str) -> "Booking":
        """By ``member`` or ``operator``: the same booking elsewhere; :mod:`regiohub_booking.domain.moving` says what may differ."""
        return replace(
            self._moved(Event.MOVE), lines=lines, moved_at=now, moved_by=by,
            starts_at=min(line.slot.start for line in lines), ends_at=max(line.slot.end for line in lines),
        )  # fmt: skip

    @property
    def is_cancelled_by_hub(self) -> bool:
        """Called off by the hub, by hand or for a closure: its member has to be told who did it."""
        return self.cancelled_by in {"operator", "closure"}

    def complete(self, now: datetime) -> "Booking":
        """The slot is over, whether or not anybody came."""
        return replace(self._moved(Event.COMPLETE), completed_at=now)

    def check_in(self, at: datetime) -> "Booking":
        """The member came at ``at``; the earliest report wins, also one that arrives after completion.

        Returns the same value if nothing changes. Raises :class:`IllegalTransition` where nobody can come.
        """
        if self.status in {Status.CHECKED_IN, Status.COMPLETED}:
            if self.checked_in_at is not None and self.checked_in_at <= at:
                return self
            return replace(self, checked_in_at=at, version=self.version + 1)
        return replace(self._moved(Event.CHECK_IN), checked_in_at=at)

    def settle(self, payment: Payment, now: datetime) -> "Booking":
        """Take the newest state of a payment with its verdict; an accepted one confirms.

        Returns a value of the same ``version`` if there is nothing to tell the neighbours.
        """
        old = next((one for one in self.payments if one.payment_id == payment.payment_id), None)
        others = tuple(one for one in self.payments if one.payment_id != payment.payment_id)
        known = replace(self, payments=(*others, payment))
        if payment.verdict is None or (old is not None and old.verdict == payment.verdict):
            return known
        if payment.verdict == "accepted":
            return known.confirm(now) if self.status is Status.HELD else known.confirm_late(now)
        return replace(known, version=self.version + 1)

    @property
    def is_paid(self) -> bool:
        """Whether it is more than a hold: paid for, or free of charge."""
        return self.confirmed_at is not None

    def lines_in(self, slot: Slot, on: Collection[UUID] | None = None) -> list[Line]:
        """Return the lines that overlap ``slot``; with ``on`` only those of these resources."""
        return [line for line in self.lines if line.slot.overlaps(slot) and (on is None or line.resource_id in on)]

    def first_in(self, slot: Slot) -> datetime:
        """Return when the first of the lines begins that overlap ``slot``; there must be one."""
        return min(line.slot.start for line in self.lines_in(slot))

    @property
    def is_orphan(self) -> bool:
        """Whether its member was erased: nobody is left who could come."""
        return self.sub.startswith(ERASED)

    def is_lapsed(self, now: datetime) -> bool:
        """Whether it only still looks like a hold."""
        waiting = self.status in {Status.HELD, Status.REQUESTED}
        return waiting and self.hold_until is not None and self.hold_until <= now


@dataclass(frozen=True, slots=True)
class Draft:
    """A booking that is about to be inserted, with the rows that it claims."""

    booking: Booking
    claims: tuple[Claim, ...]
    versions: Mapping[UUID, int]
    """Versions of the resources that the plan was made from."""


def wants(lines: Sequence[Line], places: Mapping[UUID, Place]) -> list[Want]:
    """Return what the lines demand of the leaves."""
    demands = []
    for line in lines:
        place = places[line.resource_id]
        demands.append(Want(line.id, place.leaves, line.slot, place.before, place.after))
    return demands


def _line(ask: Ask, place: Place, line_id: UUID, now: datetime) -> Line:
    check_reading(ask.start, place.zone)
    check_reading(ask.end, place.zone)
    slot = Slot(ask.start, ask.end)
    place.check(slot, now)
    return Line(line_id, place.id, place.name, slot, place.quote(slot))


def _lines(asks: Sequence[Ask], places: Mapping[UUID, Place], ids: Sequence[UUID], now: datetime) -> tuple[Line, ...]:
    lines = []
    for number, (ask, line_id) in enumerate(zip(asks, ids, strict=True)):
        try:
            lines.append(_line(ask, places[ask.resource_id], line_id, now))
        except Problem as refusal:
            refusal.params |= {"line": number}
            raise
    return tuple(lines)


def plan(
    asks: Sequence[Ask], places: Mapping[UUID, Place], *, sub: str, code: str, ids: Sequence[UUID], now: datetime
) -> Draft:
    """Check every rule, price every line and say which rows to insert.

    ``ids`` holds one id for the booking and one per line. Raises the named refusal of the first broken rule; its
    ``line`` tells which line.
    """
    if len({places[ask.resource_id].hub for ask in asks}) > 1:
        raise SeveralHubs("Book each hub by itself.")
    lines = _lines(asks, places, ids[1:], now)
    place = places[asks[0].resource_id]
    gross = sum(line.quote.gross_cents for line in lines)
    check_total(gross)
    booking = Booking(
        id=ids[0], code=code, sub=sub, hub=place.hub, hub_name=place.hub_name, operator=place.operator, version=1, gross_cents=gross,
        fee_cents=0, created_at=now, lines=lines, status=Status.HELD if gross else Status.CONFIRMED,
        starts_at=min(line.slot.start for line in lines), ends_at=max(line.slot.end for line in lines),
        held_at=now if gross else None, hold_until=now + HOLD if gross else None,
        confirmed_at=None if gross else now,
    )  # fmt: skip
    versions = {ask.resource_id: places[ask.resource_id].version for ask in asks}
    return Draft(booking, tuple(claims(wants(lines, places))), versions)


def judge(booking: Booking, payment: Payment, now: datetime) -> Verdict | Literal["wait", "try_slot"]:
    """Decide about a payment: keep it, give it back, wait for more, or see whether the lapsed slot is still free."""
    if payment.verdict is not None:
        return payment.verdict
    if payment.paid_cents - payment.refunded_cents < max(booking.gross_cents, 1):
        return "wait"
    if now >= booking.ends_at or booking.is_orphan:
        return "refund"
    if booking.status is Status.HELD:
        return "accepted"
    return "try_slot" if booking.status is Status.EXPIRED else "refund"


__all__ = [
    "Ask", "Booking", "Draft", "Line", "Payment", "Place", "Quote", "Step", "Verdict", "judge", "plan", "wants",
]  # fmt: skip
