"""Create a booking: a hold that waits for its payment, or at once confirmed if it is free of charge."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from regiohub_booking.domain.booking import Ask, Booking, Draft, plan
from regiohub_booking.domain.rules import SlotTaken, UnpaidLimits, check_unpaid
from regiohub_booking.repo import way_in
from regiohub_booking.usecases.facts import booking_changed, clear_lapsed
from regiohub_shared.clock import real_now
from regiohub_shared.idempotency import Attempt, RequestInFlight, Stored
from regiohub_shared.ids import booking_code, new_id
from regiohub_shared.problem import Conflict, NotFound

_LIMITS = UnpaidLimits()
Render = Callable[[Booking], Any]
"""Makes the response, which is stored beside the booking, from it."""


class ResourceChanged(Conflict):
    """Price or rules changed between look and insert; the next try uses the new ones."""

    type, title = "resource-changed", "The resource was changed at this moment; please look again"


class _Short(Exception):
    """A row was in the way: rolls back to the savepoint."""


async def create_booking(
    connection: asyncpg.Connection,
    *,
    asks: Sequence[Ask],
    wanted: Attempt,
    render: Render,
    now: datetime,
    limits: UnpaidLimits = _LIMITS,
) -> Stored:
    """Return the response to send: the first run's, if this is a repeat.

    Raises the named refusals of the rules, ``NotFound`` for unknown resources, :class:`SlotTaken`,
    ``TooManyHolds``, ``HoldTooLarge``, ``RequestInFlight`` and ``IdempotencyKeyReused``.
    """
    look = await way_in.lock_and_read(connection, [ask.resource_id for ask in asks], wanted)
    if not look.got_key:
        raise RequestInFlight(headers={"Retry-After": "1"})
    if look.stored is not None:
        return look.stored
    if look.unknown:
        raise NotFound(f"There is no resource {look.unknown[0]}.", resource_id=str(look.unknown[0]))
    ids = [new_id() for _ in range(len(asks) + 1)]
    draft = plan(asks, look.places, sub=wanted.sub, code=booking_code(), ids=ids, now=now)
    body = render(draft.booking)
    is_in = await _try(connection, draft, wanted, body, limits)
    if not is_in and await clear_lapsed(connection, draft.claims, now=now):
        is_in = await _try(connection, draft, wanted, body, limits)
    if not is_in:
        raise SlotTaken("Someone else has this slot.")
    return Stored(201, body)


async def _try(connection: asyncpg.Connection, draft: Draft, wanted: Attempt, body: Any, limits: UnpaidLimits) -> bool:
    """Insert behind a savepoint; False if a row was in the way, and then nothing is left of the try."""
    fact = booking_changed(draft.booking)
    try:
        async with connection.transaction():
            outcome = await way_in.insert(connection, draft, fact, wanted=wanted, body=body, real_now=real_now())
            _check(outcome, draft.booking, limits)
    except _Short:
        return False
    return True


def _check(outcome: way_in.Outcome, booking: Booking, limits: UnpaidLimits) -> None:
    if not outcome.is_first:
        raise RequestInFlight(headers={"Retry-After": "1"})
    if not outcome.is_current:
        raise ResourceChanged(headers={"Retry-After": "1"})
    if booking.gross_cents:
        check_unpaid(outcome.unpaid, [line.slot for line in booking.lines], limits)
    if not outcome.is_complete:
        raise _Short
