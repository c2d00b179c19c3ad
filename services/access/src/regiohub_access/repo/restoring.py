"""What only a restore asks of grants and hubs: all at once."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.tables import Grant

_HIGHEST = text('SELECT coalesce(max(version), 0) AS booking, coalesce(max(opened_version), 0) AS access FROM "grant"')
_BOOKINGS = text(
    'SELECT g.booking_id FROM "grant" g WHERE EXISTS '
    "(SELECT 1 FROM grant_line l WHERE l.grant_id = g.id AND l.ends_at > :since) ORDER BY 1"
)
_LEAD_GRANTS = text('UPDATE "grant" SET opened_version = :floor')
# Readers cannot be asked what they hold: the time of the restore lies above every epoch that they can have got.
_LEAD_HUBS = text(
    "UPDATE hub SET epoch = greatest(epoch + 1, :moment), change_sequence = change_sequence + 1 RETURNING slug"
)


async def highest_versions(session: AsyncSession) -> dict[str, int]:
    """Return the highest version of a grant's opening given here, and the highest of a booking heard."""
    return {name: int(value) for name, value in (await session.execute(_HIGHEST)).mappings().one().items()}


async def bookings_ending_after(session: AsyncSession, since: datetime) -> list[UUID]:
    """Return the bookings that have a grant with a line that ends after then."""
    return list((await session.execute(_BOOKINGS, {"since": since})).scalars())


async def lead(session: AsyncSession, floor: int, *, moment: int) -> list[str]:
    """Raise the versions of all grants and the epochs of all hubs; return the hubs. ``moment``: real time, seconds."""
    await session.execute(_LEAD_GRANTS, {"floor": floor})
    return list((await session.execute(_LEAD_HUBS, {"moment": moment})).scalars())


async def lock_live(session: AsyncSession, bookings: list[UUID]) -> list[Grant]:
    """Lock the active grants of these bookings."""
    query = select(Grant).where(col(Grant.booking_id).in_(bookings), Grant.status == "active")
    query = query.order_by(col(Grant.id)).with_for_update(key_share=True)
    return list((await session.exec(query.execution_options(populate_existing=True))).all())


async def lock_opened(session: AsyncSession, since: datetime) -> list[Grant]:
    """Lock the grants that have opened a door since then."""
    query = select(Grant).where(col(Grant.first_opened_at) > since).order_by(col(Grant.id))
    query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return list((await session.exec(query)).all())
