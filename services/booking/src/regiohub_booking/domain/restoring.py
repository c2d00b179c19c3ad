"""A booking as a neighbour heard it last, after booking's own database has forgotten that."""

from dataclasses import replace
from datetime import datetime

from regiohub_booking.domain.booking import Booking
from regiohub_booking.domain.states import Event, Status, can


def caught_up(known: Booking, heard: Booking) -> Booking:
    """Return our booking brought to what was heard; a stamp that the neighbour does not keep stays ours."""
    stamps = ("held_at", "hold_until", "confirmed_at", "cancelled_at", "expired_at", "checked_in_at", "completed_at")
    kept = {name: getattr(heard, name) or getattr(known, name) for name in stamps}
    moved = [line.slot for line in heard.lines] != [line.slot for line in known.lines]
    return replace(
        known, status=heard.status, version=heard.version, fee_cents=heard.fee_cents, lines=heard.lines,
        starts_at=heard.starts_at, ends_at=heard.ends_at, **kept,
        moved_at=known.moved_at or (heard.created_at if moved else None),
        moved_by=known.moved_by or ("operator" if moved else None),
    )  # fmt: skip


def cancelled_meanwhile(booking: Booking, now: datetime, fee_cents: int) -> Booking | None:
    """Return the booking cancelled, because its money went back in the time that was lost; None if it cannot be.

    Who cancelled is not known; while nobody has come it counts as the member.
    """
    if can(booking.status, Event.CANCEL):
        return booking.cancel(now, "member", fee_cents)
    return booking.cancel(now, "operator", fee_cents) if booking.status is Status.CHECKED_IN else None
