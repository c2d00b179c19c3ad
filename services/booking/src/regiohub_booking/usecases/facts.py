"""What an event on a booking entails: save it, free its place, tell the neighbours, ask for a mail."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from regiohub_booking.domain.booking import Booking
from regiohub_booking.domain.occupancy import Claim
from regiohub_booking.domain.states import FREES_SLOT, Status
from regiohub_booking.repo import bookings, occupancy
from regiohub_booking.repo.statement import On, send_fact
from regiohub_shared.clock import real_now
from regiohub_shared.contracts.booking import BookedLine, BookingChanged, PaymentVerdict


def booking_changed(booking: Booking) -> BookingChanged:
    """Return the full snapshot for the neighbours: ``sub``, never a name."""
    lines = tuple(
        BookedLine(
            line_id=line.id, resource_id=line.resource_id, resource_name=line.resource_name, start=line.slot.start,
            end=line.slot.end, gross_cents=line.quote.gross_cents, tax_code=line.quote.tax_code,
        )
        for line in booking.lines
    )  # fmt: skip
    verdicts = tuple(
        PaymentVerdict(payment_id=payment.payment_id, verdict=payment.verdict)
        for payment in booking.payments
        if payment.verdict is not None
    )
    return BookingChanged(
        booking_id=booking.id, code=booking.code, sub=booking.sub, hub=booking.hub, hub_name=booking.hub_name,
        operator=booking.operator, status=booking.status.value, version=booking.version, lines=lines,
        gross_cents=booking.gross_cents, fee_cents=booking.fee_cents, held_at=booking.held_at, hold_until=booking.hold_until,
        confirmed_at=booking.confirmed_at, cancelled_at=booking.cancelled_at, expired_at=booking.expired_at,
        checked_in_at=booking.checked_in_at, completed_at=booking.completed_at, payments=verdicts,
    )  # fmt: skip


async def record(on: On, booking: Booking) -> Booking:
    """Write the new state of a locked booking with all that follows from it; returns it unchanged."""
    await bookings.save(on, booking)
    if booking.status in FREES_SLOT:
        await occupancy.free_slots_of(on, [booking.id])
    now = real_now()
    if booking.confirmed_at and booking.status in {Status.CONFIRMED, Status.CANCELLED}:
        await bookings.queue_mail(on, booking, booking.status.value, now=now)
    await send_fact(on, booking_changed(booking), now=now)
    return booking


async def clear_lapsed(on: On, claims: Sequence[Claim], *, now: datetime) -> bool:
    """End lapsed holds in the way, so that a dead sweeper blocks nobody; False if something else is in the way.

    The caller holds the leaves.
    """
    lapsed = await occupancy.lock_lapsed_in_way(on, claims, now=now)
    await end_lapsed(on, lapsed or (), now=now)
    return lapsed is not None


async def end_lapsed(on: On, locked: Iterable[Booking], *, now: datetime) -> None:
    """End the lapsed holds among locked bookings; one that was ended or paid before our lock is left alone."""
    for booking in locked:
        if booking.is_lapsed(now):
            await record(on, booking.expire(now))
