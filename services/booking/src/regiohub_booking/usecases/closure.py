"""Close a room or a hub for a time, and open it again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.domain.booking import Booking, Line
from regiohub_booking.domain.rules import is_there
from regiohub_booking.domain.slot import Slot
from regiohub_booking.domain.states import FREES_SLOT, Event, can
from regiohub_booking.repo import closures, occupancy, places
from regiohub_booking.tables import Closure
from regiohub_booking.usecases.facts import end_lapsed, record
from regiohub_shared.auth.principal import Principal
from regiohub_shared.ids import new_id
from regiohub_shared.problem import Conflict, Forbidden, NotFound


class ClosureConflicts(Conflict):
    """Bookings lie in that time; ``bookings`` lists them, ``cancel_conflicting`` would cancel them."""

    type, title = "closure-conflicts", "There are bookings in that time"


class ClosureOverUse(Conflict):
    """Someone is there right now; ``bookings`` lists them, ``lines`` what of each lies there in that time."""

    type, title = "closure-over-use", "Someone is using it at that time"


class ClosureOverBegun(Conflict):
    """Lines to come of bookings that have begun: a booking is cancelled as a whole, so no closure does it unasked."""

    type, title = "closure-over-begun", "A booking that has begun has further times there"


class ClosureInThePast(Conflict):
    """It would end before it is made."""

    type, title = "closure-in-the-past", "The closure lies in the past"


@dataclass(frozen=True, slots=True)
class _Closing:
    """The time that is closed and the resources, wholes too, that have a leaf in it."""

    slot: Slot
    resources: frozenset[UUID]

    def lines_of(self, booking: Booking) -> list[Line]:
        """Return what a booking has there; its lines in other rooms go on."""
        return booking.lines_in(self.slot, self.resources)


def require_operator(principal: Principal, hub: str) -> None:
    """Raise ``Forbidden`` for anyone who does not run the hub (hubs themselves are public, so no 404)."""
    if not principal.is_operator_of(hub):
        raise Forbidden("This hub is run by someone else.", hub=hub)


async def create_closure(
    session: AsyncSession,
    *,
    principal: Principal,
    hub: str,
    resource_id: UUID | None,
    slot: Slot,
    reason: str,
    cancel_conflicting: bool,
    now: datetime,
) -> Closure:
    """Close one resource, or the whole hub if ``resource_id`` is None.

    Bookings in the way are listed in the refusal, or cancelled with full refund in the same transaction. What was over
    before ``now`` is in nobody's way: a closure of today keeps its own times and leaves this morning's bookings alone.
    """
    # Whoever makes a resource in this hub at this moment waits, and then finds this closure.
    await places.get_hub(session, hub, lock=True)
    require_operator(principal, hub)
    if slot.end <= now:
        raise ClosureInThePast
    leaves = await _leaves(session, hub, resource_id)
    await occupancy.lock_leaves(session, leaves)
    to_come = Slot(max(slot.start, now), slot.end)
    found = await occupancy.lock_booked(session, leaves, to_come)
    closing = _Closing(to_come, await _touched(session, found, leaves))
    await _clear(session, found, closing, cancel_conflicting=cancel_conflicting, now=now)
    closure = Closure(
        id=new_id(), hub=hub, resource_id=resource_id, starts_at=slot.start, ends_at=slot.end, reason=reason,
        created_by=principal.sub, created_at=now,
    )  # fmt: skip
    session.add(closure)
    await session.flush()
    if leaves and not await occupancy.insert_closure(session, closure.id, leaves, to_come):
        raise ClosureConflicts("A booking arrived at this moment; please try again.", bookings=[])
    return closure


async def _leaves(session: AsyncSession, hub: str, resource_id: UUID | None) -> list[UUID]:
    if resource_id is None:
        return await places.list_leaf_ids(session, hub)
    place = (await places.get_places(session, [resource_id]))[resource_id]
    if place.hub != hub:
        raise NotFound(f"There is no resource {resource_id} in this hub.", resource_id=str(resource_id))
    return list(place.leaves)


async def _touched(session: AsyncSession, found: Iterable[Booking], leaves: Iterable[UUID]) -> frozenset[UUID]:
    """Return the booked resources that have one of the leaves."""
    closed, booked = set(leaves), {line.resource_id for booking in found for line in booking.lines}
    parts = await places.list_parts(session, booked)
    return frozenset(one for one in booked if closed & parts.get(one, {one}))


async def _clear(
    session: AsyncSession, found: Sequence[Booking], closing: _Closing, *, cancel_conflicting: bool, now: datetime
) -> None:
    """End lapsed holds, then refuse or cancel what is left; what has freed its slot while we waited is left alone."""
    await end_lapsed(session, found, now=now)
    left = [booking for booking in found if not (booking.is_lapsed(now) or booking.status in FREES_SLOT)]
    _check_begun([booking for booking in left if not can(booking.status, Event.CANCEL)], closing, now)
    if left and not cancel_conflicting:
        raise ClosureConflicts(f"{len(left)} bookings lie in that time.", bookings=_listed(left, closing))
    for booking in left:
        await record(session, booking.cancel(now, "closure"))


def _check_begun(begun: Sequence[Booking], closing: _Closing, now: datetime) -> None:
    """Refuse over bookings that have begun; whether somebody is there is said by their lines in what closes."""
    in_use = [booking for booking in begun if any(is_there(line.slot, now) for line in closing.lines_of(booking))]
    if in_use:
        raise ClosureOverUse("Close it from a later time on.", bookings=_listed(in_use, closing))
    if begun:
        named = ", ".join(f"{one.code} ({_first(closing.lines_of(one)).isoformat()})" for one in begun)
        raise ClosureOverBegun(
            f"A booking that has begun is cancelled as a whole, by hand; further times of {named} lie in that time. "
            "Close around them, or cancel these bookings first.",
            bookings=_listed(begun, closing),
        )  # fmt: skip


def _first(lines: Iterable[Line]) -> datetime:
    return min(line.slot.start for line in lines)


def _listed(found: Sequence[Booking], closing: _Closing) -> list[dict[str, Any]]:
    return [
        {
            "id": str(booking.id), "code": booking.code, "status": booking.status.value,
            "starts_at": booking.starts_at.isoformat(), "ends_at": booking.ends_at.isoformat(),
            "gross_cents": booking.gross_cents,
            "lines": [
                {
                    "resource_name": line.resource_name, "start": line.slot.start.isoformat(),
                    "end": line.slot.end.isoformat(),
                }
                for line in closing.lines_of(booking)
            ],
        }
        for booking in found
    ]  # fmt: skip


async def delete_closure(session: AsyncSession, *, principal: Principal, closure_id: UUID) -> None:
    """Open again; raises ``NotFound``, ``Forbidden``."""
    hub = await closures.find_hub(session, closure_id)
    if hub is None:
        raise NotFound("There is no such closure.")
    require_operator(principal, hub)
    # A room that is made at this moment takes over what is closed: it waits, or is found here.
    await places.get_hub(session, hub, lock=True)
    closure = await closures.lock(session, closure_id)
    if closure is None:
        raise NotFound("There is no such closure.")
    await occupancy.reopen(session, closure.id)
    await session.delete(closure)
    await session.flush()


async def close_new_leaf(session: AsyncSession, *, hub: str, resource_id: UUID, now: datetime) -> None:
    """Give a new leaf the rows of the hub-wide closures that are still to come."""
    for closure in await closures.list_coming(session, hub, now=now):
        if closure.resource_id is None:
            await occupancy.insert_closure(session, closure.id, [resource_id], Slot(closure.starts_at, closure.ends_at))
