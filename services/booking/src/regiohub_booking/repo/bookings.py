"""Reading and saving bookings, and who may see them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from regiohub_booking.domain.booking import Booking, Line, Payment
from regiohub_booking.domain.price import Quote, Step
from regiohub_booking.domain.slot import Slot
from regiohub_booking.domain.states import Status
from regiohub_booking.repo.statement import On, Row, Statement, fetch, parsed, run
from regiohub_shared.auth.principal import Principal
from regiohub_shared.ids import new_id
from regiohub_shared.problem import NotFound

_LINES = Statement(
    "SELECT id, booking_id, resource_id, resource_name, starts_at, ends_at, gross_cents, tax_code, derivation "
    "FROM line WHERE booking_id = ANY(CAST(:ids AS uuid[])) ORDER BY booking_id, position"
)
_PAYMENTS = Statement(
    "SELECT payment_id, booking_id, version, paid_cents, refunded_cents, verdict "
    "FROM payment_verdict WHERE booking_id = ANY(CAST(:ids AS uuid[])) ORDER BY payment_id"
)
_BOOKING = "SELECT b.*, h.name AS hub_name FROM booking b JOIN hub h ON h.slug = b.hub"
_ONE = Statement(f"{_BOOKING} WHERE b.id = :id")
_LOCKED = Statement(f"{_BOOKING} WHERE b.id = ANY(CAST(:ids AS uuid[])) ORDER BY b.id FOR UPDATE OF b")
_LAPSED = Statement(
    f"{_BOOKING} WHERE b.status IN ('held', 'requested') AND b.hold_until <= :now "
    "ORDER BY b.hold_until LIMIT :limit FOR UPDATE OF b SKIP LOCKED"
)
_OVER = Statement(
    f"{_BOOKING} WHERE b.status IN ('confirmed', 'checked_in') AND b.ends_at <= :now "
    "ORDER BY b.ends_at LIMIT :limit FOR UPDATE OF b SKIP LOCKED"
)
_OWN = Statement(
    f"{_BOOKING} WHERE b.sub = :sub AND (CAST(:before AS uuid) IS NULL OR b.id < :before) "
    "ORDER BY b.id DESC LIMIT :limit"
)
# By line, not by the booking's outer span: between two lines of a series the booking is not there.
_OF_HUB = Statement(
    """
WITH present AS (
    SELECT l.booking_id, min(l.starts_at) AS starts_at
    FROM resource r JOIN line l ON l.resource_id = r.id
    WHERE r.hub = :hub AND l.starts_at < :end AND l.ends_at > :start AND l.starts_at > :earliest
    GROUP BY l.booking_id)
SELECT b.*, h.name AS hub_name, m.name AS member_name
FROM present p JOIN booking b ON b.id = p.booking_id JOIN hub h ON h.slug = b.hub LEFT JOIN member m ON m.sub = b.sub
WHERE CAST(:after AS uuid) IS NULL OR (p.starts_at, b.id) > (CAST(:after_start AS timestamptz), :after)
ORDER BY p.starts_at, b.id LIMIT :limit
"""
)
_SAVE = Statement(
    "UPDATE booking SET status = :status, version = :version, fee_cents = :fee_cents, held_at = :held_at, "
    "hold_until = :hold_until, confirmed_at = :confirmed_at, cancelled_at = :cancelled_at, "
    "cancelled_by = :cancelled_by, expired_at = :expired_at, checked_in_at = :checked_in_at, "
    "completed_at = :completed_at WHERE id = :id"
)
_SAVE_PAYMENT = Statement(
    "INSERT INTO payment_verdict (payment_id, booking_id, version, paid_cents, refunded_cents, verdict, decided_at) "
    "VALUES (:payment_id, :booking_id, :version, :paid_cents, :refunded_cents, :verdict, :decided_at) "
    "ON CONFLICT (payment_id) DO UPDATE SET version = excluded.version, paid_cents = excluded.paid_cents, "
    "refunded_cents = excluded.refunded_cents, verdict = excluded.verdict, "
    "decided_at = coalesce(payment_verdict.decided_at, excluded.decided_at)"
)
_MAIL = Statement(
    "INSERT INTO mail_job (id, booking_id, kind, sequence, attempts, next_at, last_error) "
    "VALUES (:id, :booking_id, :kind, :sequence, 0, :now, '') ON CONFLICT DO NOTHING"
)
_STAMPS = (
    "held_at", "hold_until", "confirmed_at", "cancelled_at", "cancelled_by", "expired_at", "checked_in_at",
    "completed_at",
)  # fmt: skip
_FIXED = (
    "id", "code", "sub", "hub", "hub_name", "operator", "version", "gross_cents", "fee_cents", "starts_at", "ends_at", "created_at",
)  # fmt: skip


def is_visible(principal: Principal, booking: Booking) -> bool:
    """The one rule: members see their own, operators those of their hubs, county admins all."""
    return booking.sub == principal.sub or principal.is_operator_of(booking.hub)


def _line(row: Row) -> Line:
    steps = tuple(Step(**step) for step in parsed(row["derivation"]))
    slot = Slot(row["starts_at"], row["ends_at"])
    price = Quote(row["gross_cents"], row["tax_code"], steps)
    return Line(row["id"], row["resource_id"], row["resource_name"], slot, price)


def _payment(row: Row) -> Payment:
    return Payment(row["payment_id"], row["version"], row["paid_cents"], row["refunded_cents"], row["verdict"])


def _grouped(rows: Iterable[Row]) -> dict[UUID, list[Row]]:
    groups: dict[UUID, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["booking_id"], []).append(row)
    return groups


async def _whole(on: On, rows: Sequence[Row]) -> list[Booking]:
    """Complete booking rows with lines and payments, in the given order."""
    if not rows:
        return []
    ids = [row["id"] for row in rows]
    lines = _grouped(await fetch(on, _LINES, ids=ids))
    payments = _grouped(await fetch(on, _PAYMENTS, ids=ids))
    return [
        Booking(
            status=Status(row["status"]),
            lines=tuple(map(_line, lines.get(row["id"], ()))),
            payments=tuple(map(_payment, payments.get(row["id"], ()))),
            **{name: row[name] for name in (*_FIXED, *_STAMPS)},
        )
        for row in rows
    ]


async def find_booking(on: On, booking_id: UUID) -> Booking | None:
    """Return the booking without a lock."""
    found = await _whole(on, await fetch(on, _ONE, id=booking_id))
    return found[0] if found else None


async def get_visible(on: On, booking_id: UUID, principal: Principal) -> Booking:
    """Return the booking if the caller may see it; :class:`NotFound` says the same for absent and foreign ones."""
    booking = await find_booking(on, booking_id)
    if booking is None or not is_visible(principal, booking):
        raise NotFound("There is no such booking.")
    return booking


async def get_visible_locked(on: On, booking_id: UUID, principal: Principal) -> Booking:
    """The same with the row locked: a decision about a booking starts here."""
    found = await lock_bookings(on, [booking_id])
    if not found or not is_visible(principal, found[0]):
        raise NotFound("There is no such booking.")
    return found[0]


async def lock_bookings(on: On, ids: Iterable[UUID]) -> list[Booking]:
    """Lock the given bookings in the order of their ids and return them."""
    return await _whole(on, await fetch(on, _LOCKED, ids=sorted(ids)))


async def lock_lapsed(on: On, *, now: datetime, limit: int) -> list[Booking]:
    """Lock holds whose time is over; rows that someone else works on are left out."""
    return await _whole(on, await fetch(on, _LAPSED, now=now, limit=limit))


async def lock_over(on: On, *, now: datetime, limit: int) -> list[Booking]:
    """Lock confirmed and checked-in bookings whose last slot has ended."""
    return await _whole(on, await fetch(on, _OVER, now=now, limit=limit))


async def list_own(on: On, *, sub: str, before: UUID | None, limit: int) -> list[Booking]:
    """Return a member's bookings, newest first, older than the cursor."""
    return await _whole(on, await fetch(on, _OWN, sub=sub, before=before, limit=limit))


async def list_of_hub(
    on: On, *, hub: str, day: Slot, earliest: datetime, after: tuple[datetime, UUID] | None, limit: int
) -> list[tuple[Booking, str | None]]:
    """Return bookings with a line on ``day`` and the members' names, in order of their first line there.

    ``earliest`` bounds how far back that line can have begun, so that the cost does not grow with the past.
    """
    start, last = after or (None, None)
    rows = await fetch(
        on,
        _OF_HUB,
        hub=hub,
        start=day.start,
        end=day.end,
        earliest=earliest,
        after=last,
        after_start=start,
        limit=limit,
    )
    return list(zip(await _whole(on, rows), [row["member_name"] for row in rows], strict=True))


async def save(on: On, booking: Booking) -> None:
    """Write what an event changed; the row is locked by the caller."""
    values: dict[str, Any] = {name: getattr(booking, name) for name in _STAMPS}
    await run(
        on, _SAVE, id=booking.id, status=booking.status.value, version=booking.version, fee_cents=booking.fee_cents,
        **values,
    )  # fmt: skip


async def save_payment(on: On, booking_id: UUID, payment: Payment, *, now: datetime) -> None:
    """Write the newest state of a payment; the first decision's time stays."""
    await run(
        on, _SAVE_PAYMENT, payment_id=payment.payment_id, booking_id=booking_id, version=payment.version,
        paid_cents=payment.paid_cents, refunded_cents=payment.refunded_cents, verdict=payment.verdict,
        decided_at=now if payment.verdict else None,
    )  # fmt: skip


async def queue_mail(on: On, booking: Booking, kind: str, *, now: datetime) -> None:
    """Ask the worker for a mail, once per booking and kind; ``now`` is real time."""
    await run(on, _MAIL, id=new_id(), booking_id=booking.id, kind=kind, sequence=booking.version, now=now)
