"""What a payment does to its booking: confirm it, or send that payment back."""

from datetime import datetime
from typing import Literal

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.domain.booking import Booking, Payment, Verdict, judge, wants
from regiohub_booking.domain.occupancy import Claim, claims
from regiohub_booking.repo import bookings, occupancy, places
from regiohub_booking.repo.statement import savepoint
from regiohub_booking.usecases.facts import clear_lapsed, record
from regiohub_shared.contracts.billing import PaymentChanged
from regiohub_shared.problem import NotFound, Unavailable


class _Short(Exception):
    """Rolls back to the savepoint."""


async def apply_payment(session: AsyncSession, fact: PaymentChanged, *, now: datetime) -> None:
    """Take the newest state of a payment; an older version than the known one changes nothing.

    Leaves are locked before the booking's row, as on the way in: a closure of the same place then waits and sees what
    became of the booking, instead of running into rows of one that it could neither list nor cancel. Raises ``NotFound``
    for a booking that we never had, ``Unavailable`` while parts change: the fact is kept and retried.
    """
    known = await bookings.find_booking(session, fact.booking_id)
    if known is None:
        raise NotFound("There is no such booking.")
    wanted = await _lock_claims(session, known)
    booking = (await bookings.lock_bookings(session, [fact.booking_id]))[0]
    old = next((one for one in booking.payments if one.payment_id == fact.payment_id), None)
    if old is not None and old.version >= fact.version:
        return
    verdict = old.verdict if old else None
    payment = Payment(fact.payment_id, fact.version, fact.paid_cents, fact.refunded_cents, verdict)
    decision = judge(booking, payment, now)
    if decision == "try_slot":
        decision = "accepted" if await _reclaim(session, wanted, now) else "refund"
    await _settle(session, booking, payment, decision, now)


async def _lock_claims(session: AsyncSession, booking: Booking) -> list[Claim]:
    """Return the claims with their leaves locked.

    They are read again under the lock: before it, a change of parts can pass that the first reading does not know.
    """
    wanted = await _claims(session, booking)
    await occupancy.lock_leaves(session, {claim.leaf_id for claim in wanted})
    if await _claims(session, booking) != wanted:
        raise Unavailable("The parts of the resource changed at this moment.")
    return wanted


async def _claims(session: AsyncSession, booking: Booking) -> list[Claim]:
    found = await places.get_places(session, [line.resource_id for line in booking.lines])
    return claims(wants(booking.lines, found))


async def _reclaim(session: AsyncSession, wanted: list[Claim], now: datetime) -> bool:
    """Try the slot again, once more after lapsed holds in the way are gone."""
    if await _insert(session, wanted):
        return True
    return await clear_lapsed(session, wanted, now=now) and await _insert(session, wanted)


async def _insert(session: AsyncSession, wanted: list[Claim]) -> bool:
    try:
        async with savepoint(session):
            await _insert_all(session, wanted)
    except _Short:
        return False
    return True


async def _insert_all(session: AsyncSession, wanted: list[Claim]) -> None:
    if not await occupancy.insert_claims(session, wanted):
        raise _Short


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
