"""What happens to a booking after it was made: cancel, check in, expire, complete."""

from collections.abc import Container
from datetime import datetime
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.domain.booking import Booking
from regiohub_booking.domain.rules import check_cancel, check_coming
from regiohub_booking.domain.states import Status
from regiohub_booking.repo import bookings
from regiohub_booking.usecases.facts import record
from regiohub_shared.auth.principal import Principal
from regiohub_shared.contracts.access import DoorOpened
from regiohub_shared.log import get_logger
from regiohub_shared.problem import Forbidden, PreconditionFailed

_log = get_logger(__name__)


def check_version(current: int, wanted: Container[int]) -> None:
    """Raise ``PreconditionFailed`` unless the caller saw the newest version."""
    if current not in wanted:
        raise PreconditionFailed(f"The current version is {current}.", version=current)


async def cancel_booking(
    session: AsyncSession, *, principal: Principal, booking_id: UUID, version: Container[int], now: datetime
) -> Booking:
    """Cancel with full refund: members before the start, operators of the hub before the end, holds at any time.

    Raises ``NotFound``, ``PreconditionFailed``, ``IllegalTransition``, ``AlreadyBegun``.
    """
    booking = await bookings.get_visible_locked(session, booking_id, principal)
    check_version(booking.version, version)
    by_operator = principal.is_operator_of(booking.hub)
    is_own = booking.sub == principal.sub and not (by_operator and booking.status is Status.CHECKED_IN)
    cancelled = booking.cancel(now, "member" if is_own else "operator")
    check_cancel(
        starts_at=booking.starts_at, ends_at=booking.ends_at, now=now, by_operator=by_operator,
        is_paid=booking.is_paid,
    )  # fmt: skip
    return await record(session, cancelled)


async def check_in_by_hand(session: AsyncSession, *, principal: Principal, booking_id: UUID, now: datetime) -> Booking:
    """Check a member in at the desk, at the earliest an hour before the start; a second time changes nothing.

    A mistake is not taken back, since no stamp is ever cleared: the operator may still cancel the booking, and the
    member books anew. Raises ``NotFound``, ``Forbidden`` for the member, ``TooEarly``, ``IllegalTransition``.
    """
    booking = await bookings.get_visible_locked(session, booking_id, principal)
    if not principal.is_operator_of(booking.hub):
        raise Forbidden("Only the hub's operator checks in by hand.")
    check_coming(starts_at=booking.starts_at, now=now)
    return await _check_in(session, booking, now)


async def _check_in(session: AsyncSession, booking: Booking, at: datetime) -> Booking:
    changed = booking.check_in(at)
    return booking if changed is booking else await record(session, changed)


async def apply_door_opened(session: AsyncSession, fact: DoorOpened) -> None:
    """The first opening checks the booking in; the earliest report wins, whatever the order.

    A door that opened for a booking that has ended without use (cancelled meanwhile) changes nothing.
    """
    found = await bookings.lock_bookings(session, [fact.booking_id])
    if not found:
        _log.warning("door_of_unknown_booking", booking_id=str(fact.booking_id))
        return
    booking = found[0]
    if not _may_check_in(booking):
        _log.info("door_without_effect", booking_id=str(booking.id), status=booking.status.value)
        return
    await _check_in(session, booking, fact.first_opened_at)


def _may_check_in(booking: Booking) -> bool:
    return booking.confirmed_at is not None and booking.cancelled_at is None


async def expire_lapsed(session: AsyncSession, *, now: datetime, limit: int = 50) -> int:
    """End holds whose time is over; return how many. Replicas share the work."""
    lapsed = await bookings.lock_lapsed(session, now=now, limit=limit)
    for booking in lapsed:
        await record(session, booking.expire(now))
    return len(lapsed)


async def complete_over(session: AsyncSession, *, now: datetime, limit: int = 50) -> int:
    """Complete bookings whose last slot has ended; return how many."""
    over = await bookings.lock_over(session, now=now, limit=limit)
    for booking in over:
        await record(session, booking.complete(now))
    return len(over)
