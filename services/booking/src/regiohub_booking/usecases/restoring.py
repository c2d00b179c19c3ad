"""After a restore: take over what the neighbours know better, lead all versions, tell everybody anew.

One transaction as the schema's owner, while no program runs. Repeating it raises the epoch once more and changes
nothing else.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.domain.booking import Booking, Line, Payment, wants
from regiohub_booking.domain.occupancy import LinesOverlap, claims
from regiohub_booking.domain.price import Quote
from regiohub_booking.domain.restoring import cancelled_meanwhile, caught_up
from regiohub_booking.domain.slot import Slot
from regiohub_booking.domain.states import FREES_SLOT, Status
from regiohub_booking.repo import bookings, occupancy, places, restoring
from regiohub_booking.repo.statement import send_fact
from regiohub_booking.usecases.claiming import leaves_of, take_slot
from regiohub_booking.usecases.facts import booking_changed, record
from regiohub_shared.clock import real_now
from regiohub_shared.contracts.booking import BookingChanged
from regiohub_shared.contracts.witness import GivenBack, Witness
from regiohub_shared.db.epoch import floor_of, raise_epoch
from regiohub_shared.restore import Report, Restored


async def witness(session: AsyncSession, since: datetime) -> Witness:
    """Return what booking knows now."""
    found = await restoring.ending_after(session, since)
    return Witness(
        service="booking", since=since, highest=await restoring.highest_versions(session),
        bookings=tuple(booking_changed(booking) for booking in found),
    )  # fmt: skip


async def reconcile(session: AsyncSession, restored: Restored, report: Report, *, now: datetime) -> Witness:
    """Bring the restored bookings to what is known outside; return the new truth. ``now`` is business time."""
    heard = [fact for one in restored.witnesses for fact in one.bookings if one.service != "booking"]
    await _adopt(session, heard, report, now=now)
    for gone in (item for one in restored.witnesses for item in one.given_back):
        await _cancel(session, gone, report, now=now)
    await _say_unknown(session, restored, report)
    own = (await restoring.highest_versions(session))["booking"]
    epoch = await raise_epoch(
        session, backup_at=restored.backup_at, heard=[own, *restored.heard_from("booking")], now=real_now()
    )
    await restoring.lead(session, floor_of(epoch))
    told = await restoring.ending_after(session, restored.since)
    for booking in told:
        await send_fact(session, booking_changed(booking), now=real_now())
    report.say(f"epoch {epoch}: every version leads from {floor_of(epoch)}; {len(told)} bookings are told anew")
    _say_window(restored, report, now)
    return await witness(session, restored.since)


def _say_window(restored: Restored, report: Report, now: datetime) -> None:
    report.say(
        f"lost window: {restored.backup_at:%Y-%m-%d %H:%M:%S}Z to the loss (at the latest {now:%Y-%m-%d %H:%M:%S}Z). "
        "Gone unless named here: free bookings, moves, holds, check-ins by hand, changed rooms and closures, calendar "
        "addresses. Ask each hub's operator to tell its members."
    )


async def _say_unknown(session: AsyncSession, restored: Restored, report: Report) -> None:
    """List what a neighbour has heard of and nobody can tell us."""
    ids = sorted({known for one in restored.witnesses for known in one.known_bookings})
    here = await restoring.which_exist(session, ids)
    report.list(
        "bookings of the lost window that a neighbour has heard of; their doors close, their money goes back:",
        (str(booking_id) for booking_id in ids if booking_id not in here),
    )


# ---------------------------------------------------------------- what a neighbour knows better


def _lines(fact: BookingChanged, known: Booking | None) -> tuple[Line, ...]:
    """Return the lines as they were heard; how a price came about is known only here, if at all."""
    derivations = {line.id: line.quote.derivation for line in known.lines} if known else {}
    return tuple(
        Line(
            line.line_id, line.resource_id, line.resource_name, Slot(line.start, line.end),
            Quote(line.gross_cents, line.tax_code, derivations.get(line.line_id, ())),
        )
        for line in fact.lines
    )  # fmt: skip


def _heard(fact: BookingChanged, known: Booking | None, now: datetime) -> Booking:
    lines = _lines(fact, known)
    return Booking(
        id=fact.booking_id, code=fact.code, sub=fact.sub, hub=fact.hub, hub_name=fact.hub_name,
        operator=fact.operator, status=Status(fact.status), version=fact.version, gross_cents=fact.gross_cents,
        fee_cents=fact.fee_cents, starts_at=min(line.slot.start for line in lines),
        ends_at=max(line.slot.end for line in lines), created_at=fact.held_at or fact.confirmed_at or now, lines=lines,
        held_at=fact.held_at, hold_until=fact.hold_until, confirmed_at=fact.confirmed_at,
        cancelled_at=fact.cancelled_at,
    )  # fmt: skip


async def _adopt(session: AsyncSession, heard: Iterable[BookingChanged], report: Report, *, now: datetime) -> None:
    """Write what is newer outside: first every old place is let go, then every new one is taken."""
    adopted: list[Booking] = []
    for fact in heard:
        known = next(iter(await bookings.lock_bookings(session, [fact.booking_id])), None)
        if known is None or known.version < fact.version:
            booking = await _write(session, fact, known, report, now=now)
            adopted += [booking] if booking else []
    for booking in adopted:
        if booking.status not in FREES_SLOT:
            await _occupy(session, booking, report, now=now)
    if adopted:
        report.list("taken over from a neighbour:", (f"{one.code} {one.status.value}" for one in adopted))


async def _write(
    session: AsyncSession, fact: BookingChanged, known: Booking | None, report: Report, *, now: datetime
) -> Booking | None:
    booking = _heard(fact, known, now)
    if not await restoring.has_places(session, booking):
        report.say(f"NOT taken over: {booking.code}, whose hub or room is not known here any more")
        return None
    if known is None:
        await restoring.add(session, booking)
    else:
        booking = caught_up(known, booking)
        await occupancy.free_slots_of(session, [booking.id])
        await bookings.save(session, booking)
        await bookings.save_move(session, booking)
    await _keep_verdicts(session, booking, fact, now=now)
    return booking


async def _keep_verdicts(session: AsyncSession, booking: Booking, fact: BookingChanged, *, now: datetime) -> None:
    """What was decided about a payment is not decided again when billing tells of it."""
    decided = {one.payment_id for one in booking.payments if one.verdict}
    for item in fact.payments:
        if item.payment_id not in decided:
            paid = booking.gross_cents if item.verdict == "accepted" else 0
            await bookings.save_payment(
                session, booking.id, Payment(item.payment_id, 0, paid, 0, item.verdict), now=now
            )


async def _occupy(session: AsyncSession, booking: Booking, report: Report, *, now: datetime) -> None:
    """Take its place; where somebody else has it, the booking that came from outside is called off and paid back."""
    found = await places.get_places(session, [line.resource_id for line in booking.lines])
    await occupancy.lock_leaves(session, leaves_of(found.values()))
    try:
        if await take_slot(session, claims(wants(booking.lines, found)), now=now):
            return
    except LinesOverlap:
        pass
    report.say(f"CANCELLED: {booking.code}, whose place is taken here")
    current = (await bookings.lock_bookings(session, [booking.id]))[0]
    ended = cancelled_meanwhile(current, now, 0)
    await record(session, ended) if ended else None


# ---------------------------------------------------------------- what the payment provider knows


async def _cancel(session: AsyncSession, gone: GivenBack, report: Report, *, now: datetime) -> None:
    found: Sequence[Booking] = await bookings.lock_bookings(session, [gone.booking_id])
    for booking in found:
        ended = cancelled_meanwhile(booking, now, gone.fee_cents)
        if ended is not None:
            await record(session, ended)
            report.say(f"cancelled in the lost window (its money went back then): {booking.code}")
        elif booking.status not in FREES_SLOT:
            report.say(f"LOOK AT: {booking.code} is {booking.status.value} here, and its money went back")
