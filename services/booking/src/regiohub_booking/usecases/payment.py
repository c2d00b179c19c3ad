"""What a payment does to its booking: confirm it, or send that payment back."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.domain.booking import Booking, Payment, Place, Verdict, judge, wants
from regiohub_booking.domain.occupancy import LinesOverlap, claims
from regiohub_booking.repo import bookings, occupancy, places
from regiohub_booking.usecases.claiming import leaves_of, take_slot
from regiohub_booking.usecases.facts import record
from regiohub_shared.contracts.billing import PaymentChanged
from regiohub_shared.problem import NotFound, Unavailable


async def apply_payment(session: AsyncSession, fact: PaymentChanged, *, now: datetime) -> None:
    """Take the newest state of a payment; an older version than the known one changes nothing.

    Leaves are locked before the booking's row, as on the way in: a closure of the same place then waits and sees what
    became of the booking, instead of running into rows of one that it could neither list nor cancel. Raises ``NotFound``
    for a booking that we never had, ``Unavailable`` while parts change: the fact is kept and retried.
    """
    known = await bookings.find_booking(session, fact.booking_id)
    if known is None:
        raise NotFound("There is no such booking.")
    leaves = leaves_of((await _places(session, known)).values())
    await occupancy.lock_leaves(session, leaves)
    booking = (await bookings.lock_bookings(session, [fact.booking_id]))[0]
    old = next((one for one in booking.payments if one.payment_id == fact.payment_id), None)
    if old is not None and old.version >= fact.version:
        return
    verdict = old.verdict if old else None
    payment = Payment(fact.payment_id, fact.version, fact.paid_cents, fact.refunded_cents, verdict)
    decision = judge(booking, payment, now)
    if decision == "try_slot":
        decision = "accepted" if await _try_slot(session, booking, leaves, now) else "refund"
    await _settle(session, booking, payment, decision, now)


async def _places(session: AsyncSession, booking: Booking) -> dict[UUID, Place]:
    return await places.get_places(session, [line.resource_id for line in booking.lines])


async def _try_slot(session: AsyncSession, booking: Booking, locked: set[UUID], now: datetime) -> bool:
    """Claim the slot by what the resources consist of now; before our locks, a change of parts may have passed.

    A room that was switched off is not free; nor are two that share a part by now.
    """
    found = await _places(session, booking)
    if not leaves_of(found.values()) <= locked:
        raise Unavailable("The parts of the resource changed at this moment.")
    try:
        wanted = claims(wants(booking.lines, found))
    except LinesOverlap:
        return False
    return all(place.is_active for place in found.values()) and await take_slot(session, wanted, now=now)


async def _settle(
    session: AsyncSession, booking: Booking, payment: Payment, decision: Verdict | Literal["wait"], now: datetime
) -> None:
    """Store payment and verdict; tell the neighbours if there is news."""
    verdict = None if decision == "wait" else decision
    decided = Payment(payment.payment_id, payment.version, payment.paid_cents, payment.refunded_cents, verdict)
    await bookings.save_payment(session, booking.id, decided, now=now)
    changed = booking.settle(decided, now)
    if changed.version != booking.version:
        await record(session, changed)
