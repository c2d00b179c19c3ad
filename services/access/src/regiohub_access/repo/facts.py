"""Facts that were delivered or received long ago."""

from datetime import datetime

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

_FORGET = [
    text("DELETE FROM outbox_delivery WHERE delivered_at < :before"),
    text(
        "DELETE FROM outbox o WHERE occurred_at < :before "
        "AND NOT EXISTS (SELECT 1 FROM outbox_delivery d WHERE d.outbox_id = o.id)"
    ),
    text("DELETE FROM inbox WHERE received_at < :before"),
]


async def forget_delivered(session: AsyncSession, *, before: datetime) -> None:
    """Delete delivered facts and remembered event ids; a late repeat is harmless, since grants skip old versions."""
    for statement in _FORGET:
        await session.execute(statement, {"before": before})
