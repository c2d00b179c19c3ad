"""Moving a booking: the same booking with another slot or resource of its hub, at the same price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from regiohub_booking.domain.booking import Booking, Line, Place
from regiohub_booking.domain.hours import check_reading
from regiohub_booking.domain.rules import AlreadyBegun
from regiohub_booking.domain.slot import Slot
from regiohub_booking.domain.states import Event, next_status
from regiohub_shared.problem import Conflict, Malformed, NotFound, Problem


class PriceDiffers(Conflict):
    """The other slot costs something else, or is taxed otherwise; ``alternatives`` cost the same."""

    type, title = "price-differs", "The other slot has another price"


class OtherHub(Conflict):
    """Another hub may have another operator, who is paid."""

    type, title = "other-hub", "A booking stays in its hub"


class LineTwice(Malformed):
    """One line cannot go to two places."""

    type, title = "line-twice", "A line is named twice"


@dataclass(frozen=True, slots=True)
class Move:
    """Where one line goes; the offsets are kept, because a reading can be impossible."""

    line_id: UUID
    resource_id: UUID
    start: datetime
    end: datetime


def plan_move(
    booking: Booking, moves: Sequence[Move], places: Mapping[UUID, Place], *, now: datetime, by: str
) -> Booking:
    """Return the moved booking; the same value if nothing moves.

    Raises ``IllegalTransition``, ``AlreadyBegun``, :class:`LineTwice`, ``NotFound`` for a line of another booking,
    :class:`OtherHub`, the named refusal of a broken rule and :class:`PriceDiffers`; ``line`` tells which line.
    """
    next_status(booking.status, Event.MOVE)
    if now >= booking.starts_at:
        raise AlreadyBegun("Bookings can be moved before they start.", starts_at=booking.starts_at.isoformat())
    by_line = {move.line_id: move for move in moves}
    if len(by_line) != len(moves):
        raise LineTwice
    if unknown := by_line.keys() - {line.id for line in booking.lines}:
        raise NotFound("There is no such line in this booking.", line_id=str(min(unknown)))
    lines = tuple(
        _moved(number, line, by_line[line.id], places, now) if line.id in by_line else line
        for number, line in enumerate(booking.lines)
    )
    _check_hub(booking, lines, places)
    return booking if lines == booking.lines else booking.move(lines, now, by)


def _moved(number: int, line: Line, move: Move, places: Mapping[UUID, Place], now: datetime) -> Line:
    place = places[move.resource_id]
    try:
        check_reading(move.start, place.zone)
        check_reading(move.end, place.zone)
        slot = Slot(move.start, move.end)
        if (place.id, slot) == (line.resource_id, line.slot):
            return line
        place.check(slot, now)
        return _at_same_price(line, place, slot)
    except Problem as refusal:
        refusal.params |= {"line": number}
        raise


def _at_same_price(line: Line, place: Place, slot: Slot) -> Line:
    price = place.quote(slot)
    if (price.gross_cents, price.tax_code) != (line.quote.gross_cents, line.quote.tax_code):
        raise PriceDiffers(
            "Cancel with a full refund and book anew.", gross_cents=line.quote.gross_cents,
            new_gross_cents=price.gross_cents, tax_code=line.quote.tax_code, new_tax_code=price.tax_code,
        )  # fmt: skip
    return replace(line, resource_id=place.id, resource_name=place.name, slot=slot, quote=price)


def _check_hub(booking: Booking, lines: Sequence[Line], places: Mapping[UUID, Place]) -> None:
    for number, line in enumerate(lines):
        if places[line.resource_id].hub != booking.hub:
            raise OtherHub("Cancel and book anew in the other hub.", hub=booking.hub, line=number)
