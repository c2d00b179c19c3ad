"""What only a restore asks of the bookings: all at once, and rows that were lost written again."""

from datetime import datetime
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.domain.booking import Booking
from regiohub_booking.repo.bookings import BOOKING, whole_bookings
from regiohub_booking.repo.statement import Statement, fetch, run

_PAGE = 500
_ENDING_AFTER = Statement(
    f"{BOOKING} WHERE b.ends_at > :since AND (CAST(:after AS uuid) IS NULL OR b.id > :after) ORDER BY b.id LIMIT :limit"
)
_HIGHEST = Statement(
    "SELECT coalesce((SELECT max(version) FROM booking), 0) AS booking, "
    "coalesce((SELECT max(version) FROM payment_verdict), 0) AS billing"
)
_LEAD = Statement("UPDATE booking SET version = :floor")
_IDS = Statement("SELECT id FROM booking WHERE id = ANY(CAST(:ids AS uuid[]))")
_PLACES = Statement(
    "SELECT (SELECT count(*) FROM hub WHERE slug = :hub) AS hubs, "
    "(SELECT count(*) FROM resource WHERE hub = :hub AND id = ANY(CAST(:ids AS uuid[]))) AS resources"
)
_ADD = Statement(
    "INSERT INTO booking (id, code, sub, hub, operator, status, version, gross_cents, fee_cents, starts_at, ends_at, "
    "created_at, held_at, hold_until, confirmed_at, cancelled_at) VALUES (:id, :code, :sub, :hub, :operator, :status, "
    ":version, :gross_cents, :fee_cents, :starts_at, :ends_at, :created_at, :held_at, :hold_until, :confirmed_at, "
    ":cancelled_at)"
)
_ADD_LINE = Statement(
    "INSERT INTO line (id, booking_id, position, resource_id, resource_name, starts_at, ends_at, gross_cents, "
    "tax_code, derivation) VALUES (:id, :booking_id, :position, :resource_id, :resource_name, :starts_at, :ends_at, "
    ":gross_cents, :tax_code, '[]')"
)


async def highest_versions(session: AsyncSession) -> dict[str, int]:
    """Return the highest version of a booking given here, and the highest of a payment heard from billing."""
    return {name: int(value) for name, value in (await fetch(session, _HIGHEST))[0].items()}


async def ending_after(session: AsyncSession, since: datetime) -> list[Booking]:
    """Return all bookings that end after then, whatever became of them."""
    found: list[Booking] = []
    after: UUID | None = None
    while True:
        page = await whole_bookings(session, await fetch(session, _ENDING_AFTER, since=since, after=after, limit=_PAGE))
        found += page
        if len(page) < _PAGE:
            return found
        after = page[-1].id


async def lead(session: AsyncSession, floor: int) -> None:
    """Give every booking a version that nobody has heard."""
    await run(session, _LEAD, floor=floor)


async def which_exist(session: AsyncSession, ids: list[UUID]) -> set[UUID]:
    """Return those of the ids that are bookings here."""
    return {row["id"] for row in await fetch(session, _IDS, ids=ids)}


async def has_places(session: AsyncSession, booking: Booking) -> bool:
    """Say whether hub and resources of a booking that came from outside are known here."""
    ids = {line.resource_id for line in booking.lines}
    (row,) = await fetch(session, _PLACES, hub=booking.hub, ids=list(ids))
    return bool(row["hubs"] == 1 and row["resources"] == len(ids))


async def add(session: AsyncSession, booking: Booking) -> None:
    """Write a booking that the restore lost; how its price was derived is not known outside."""
    names = (
        "id", "code", "sub", "hub", "operator", "version", "gross_cents", "fee_cents", "starts_at", "ends_at",
        "created_at", "held_at", "hold_until", "confirmed_at", "cancelled_at",
    )  # fmt: skip
    await run(session, _ADD, status=booking.status.value, **{name: getattr(booking, name) for name in names})
    for position, line in enumerate(booking.lines):
        await run(
            session, _ADD_LINE, id=line.id, booking_id=booking.id, position=position, resource_id=line.resource_id,
            resource_name=line.resource_name, starts_at=line.slot.start, ends_at=line.slot.end,
            gross_cents=line.quote.gross_cents, tax_code=line.quote.tax_code,
        )  # fmt: skip
