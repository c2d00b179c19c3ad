"""What must be true of access's rows, whatever happened; each query returns one text per row that breaks it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

CHECKS = {
    "no PIN of a revoked grant": (
        "SELECT 'booking ' || g.booking_id FROM pin p JOIN \"grant\" g ON g.id = p.grant_id WHERE g.status <> 'active'"
    ),
    "no live pass of a revoked grant": (
        "SELECT 'booking ' || g.booking_id FROM pass p JOIN \"grant\" g ON g.id = p.grant_id "
        "WHERE g.status = 'revoked' AND p.revoked_at IS NULL AND p.ends_at > g.revoked_at + interval '1 minute'"
    ),
    "every revocation is on its hub's deny-list": (
        "SELECT 'hub ' || hub || ': pass ' || encode(id, 'hex') FROM pass p WHERE revoked_at IS NOT NULL "
        "AND NOT EXISTS (SELECT FROM deny_entry d WHERE d.hub = p.hub AND d.pass_id = p.id)"
    ),
}
_GRANTS = text(
    'SELECT g.booking_id, g.status FROM "grant" g JOIN grant_line l ON l.grant_id = g.id '
    "WHERE g.erased_at IS NULL GROUP BY g.booking_id, g.status HAVING max(l.ends_at) > :since"
)


async def statuses_ending_after(session: AsyncSession, since: datetime) -> dict[UUID, str]:
    """Return the status of each booking's grant whose last line ends after then; erased ones are left out."""
    return {row.booking_id: row.status for row in (await session.execute(_GRANTS, {"since": since})).all()}
