"""Move a booking by the way in: the same locks in the same order, the own rows out, the new ones in, or nothing."""

from collections.abc import Container, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.domain.booking import Ask, Booking, wants
from regiohub_booking.domain.moving import Move, plan_move
from regiohub_booking.domain.occupancy import claims
from regiohub_booking.domain.rules import SlotTaken
from regiohub_booking.domain.slot import Slot
from regiohub_booking.repo import bookings, occupancy, places
from regiohub_booking.usecases.availability import Offer, alternatives, find_taken
from regiohub_booking.usecases.change import check_version
from regiohub_booking.usecases.claiming import leaves_of, take_slot
from regiohub_booking.usecases.create import ResourceChanged
from regiohub_booking.usecases.facts import record
from regiohub_shared.auth.principal import Principal
from regiohub_shared.clock import real_now
from regiohub_shared.problem import Problem


async def move_booking(
    session: AsyncSession,
    *,
    principal: Principal,
    booking_id: UUID,
    version: Container[int],
    moves: Sequence[Move],
    now: datetime,
) -> Booking:
    """Give the booking another slot or resource of its hub at the same price, before it starts.

    Leaves are locked before the booking's row, as on the way in. Raises what :func:`plan_move` raises, ``NotFound``,
    ``PreconditionFailed``, ``ResourceChanged`` and ``SlotTaken``.
    """
    known = await bookings.get_visible(session, booking_id, principal)
    leaves = await _lock(session, known, moves)
    booking = await bookings.get_visible_locked(session, booking_id, principal)
    check_version(booking.version, version)
    found = await places.get_places(session, _resources(booking, moves))
    moved = plan_move(booking, moves, found, now=now, by="member" if booking.sub == principal.sub else "operator")
    if moved is booking:
        return booking
    wanted = claims(wants(moved.lines, found))
    if not {claim.leaf_id for claim in wanted} <= leaves:
        raise ResourceChanged(headers={"Retry-After": "1"})
    if not await take_slot(session, wanted, now=now, own=booking.id):
        raise SlotTaken("Someone else has this slot.")
    await bookings.save_move(session, moved)
    await bookings.queue_mail(session, moved, "moved", now=real_now())
    return await record(session, moved)


def _resources(booking: Booking, moves: Sequence[Move]) -> set[UUID]:
    return {line.resource_id for line in booking.lines} | {move.resource_id for move in moves}


async def _lock(session: AsyncSession, booking: Booking, moves: Sequence[Move]) -> set[UUID]:
    """Hold the leaves that the booking has and those that it wants, all in one order."""
    found = await places.get_places(session, _resources(booking, moves))
    leaves = leaves_of(found.values())
    await occupancy.lock_leaves(session, leaves)
    return leaves


async def same_price_offers(
    session: AsyncSession, booking: Booking, moves: Sequence[Move], refusal: Problem, *, now: datetime
) -> tuple[int, list[Offer], list[Offer]]:
    """Return for a refused move the number of its line, later slots of that resource and other resources then.

    All are as long as the line is now and cost what it costs.
    """
    asks = [Ask(move.resource_id, move.start, move.end) for move in moves]
    index = {line.id: number for number, line in enumerate(booking.lines)}
    if isinstance(refusal, SlotTaken):
        move = moves[await find_taken(session, asks, now=now)]
    else:
        move = next(move for move in moves if index[move.line_id] == refusal.params["line"])
    line = booking.lines[index[move.line_id]]
    later, beside = await _alternatives(session, move, line.slot.duration, now)
    price = (line.quote.gross_cents, line.quote.tax_code)
    same = [
        [offer for offer in offers if (offer.quote.gross_cents, offer.quote.tax_code) == price]
        for offers in (later, beside)
    ]
    return index[move.line_id], same[0], same[1]


async def _alternatives(
    session: AsyncSession, move: Move, length: timedelta, now: datetime
) -> tuple[list[Offer], list[Offer]]:
    """Return what is free; nothing where the resource does not offer this length at all."""
    slot = Slot(move.start, move.start + length)
    try:
        return await alternatives(session, resource_id=move.resource_id, slot=slot, now=now)
    except Problem:
        return [], []
