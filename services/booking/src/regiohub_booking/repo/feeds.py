"""Calendar feeds: whose they are, and what stands in them."""

from datetime import datetime

from regiohub_booking.domain.booking import Booking
from regiohub_booking.repo.bookings import BOOKING, whole_bookings
from regiohub_booking.repo.statement import On, Row, Statement, fetch, run

_PUT = Statement(
    "INSERT INTO calendar_feed (sub, token_digest, created_at) VALUES (:sub, :digest, :now) "
    "ON CONFLICT (sub) DO UPDATE SET token_digest = excluded.token_digest, created_at = excluded.created_at"
)
_FIND = Statement("SELECT created_at FROM calendar_feed WHERE sub = :sub")
_OWNER = Statement("SELECT sub FROM calendar_feed WHERE token_digest = :digest")
_DROP = Statement("DELETE FROM calendar_feed WHERE sub = :sub")
# Only what was once confirmed: a hold that nobody paid never was an appointment.
_BOOKINGS = Statement(
    f"{BOOKING} WHERE b.sub = :sub AND b.confirmed_at IS NOT NULL AND b.ends_at > :since "
    "ORDER BY b.starts_at DESC, b.id DESC LIMIT :limit"
)
_HUBS = Statement(
    "SELECT slug, name, street, postcode, city, time_zone FROM hub WHERE slug = ANY(CAST(:slugs AS text[]))"
)


async def put_feed(on: On, *, sub: str, digest: bytes, now: datetime) -> None:
    """Give the member a feed under this digest; an earlier address leads nowhere from now on."""
    await run(on, _PUT, sub=sub, digest=digest, now=now)


async def find_feed(on: On, sub: str) -> datetime | None:
    """Return since when the member's present address exists."""
    rows = await fetch(on, _FIND, sub=sub)
    return rows[0]["created_at"] if rows else None


async def find_owner(on: On, digest: bytes) -> str | None:
    """Return whose feed it is."""
    rows = await fetch(on, _OWNER, digest=digest)
    return str(rows[0]["sub"]) if rows else None


async def drop_feed(on: On, sub: str) -> None:
    """Forget the address."""
    await run(on, _DROP, sub=sub)


async def list_for_feed(on: On, *, sub: str, since: datetime, limit: int) -> list[Booking]:
    """Return the member's bookings that ended after ``since`` or are to come, the latest first."""
    return await whole_bookings(on, await fetch(on, _BOOKINGS, sub=sub, since=since, limit=limit))


async def hubs_of(on: On, bookings: list[Booking]) -> dict[str, Row]:
    """Return name, address and zone of the bookings' hubs by slug."""
    rows = await fetch(on, _HUBS, slugs=sorted({booking.hub for booking in bookings}))
    return {row["slug"]: row for row in rows}
