"""Reading closures."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.tables import Closure


async def list_coming(session: AsyncSession, hub: str, *, now: datetime) -> Sequence[Closure]:
    """Return running and coming closures of a hub."""
    query = select(Closure).where(Closure.hub == hub, col(Closure.ends_at) > now).order_by(col(Closure.starts_at))
    return (await session.exec(query)).all()


async def find_hub(session: AsyncSession, closure_id: UUID) -> str | None:
    """Return the hub of a closure."""
    return (await session.exec(select(Closure.hub).where(Closure.id == closure_id))).one_or_none()


async def lock(session: AsyncSession, closure_id: UUID) -> Closure | None:
    """Return the closure, its row taken."""
    return await session.get(Closure, closure_id, with_for_update=True)
