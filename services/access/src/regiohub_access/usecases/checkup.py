"""Whether access's rows are what they must be: chains, PINs, and grants that equal booking's bookings."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.domain.windows import desired
from regiohub_access.repo import places
from regiohub_access.usecases.chain import STRETCH, check_chain
from regiohub_shared.contracts.witness import Witness
from regiohub_shared.doctor import Finding

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
    'SELECT g.booking_id, g.status, max(l.ends_at) AS ends_at FROM "grant" g JOIN grant_line l ON l.grant_id = g.id '
    "WHERE g.erased_at IS NULL GROUP BY g.booking_id, g.status HAVING max(l.ends_at) > :since"
)


async def check_events(session: AsyncSession, *, kept_days: int, now: datetime) -> Finding:
    """The chain of door events of each hub fits."""
    wrong = []
    for hub in await places.list_hubs(session):
        for after in range(0, hub.event_number, STRETCH):
            bad = await check_chain(session, hub.slug, after=after, kept_days=kept_days, now=now)
            wrong += [f"hub {hub.slug}: event {number}" for number in bad]
    return Finding("the chains of door events fit", tuple(wrong))


async def check_grants(session: AsyncSession, booking: Witness, *, now: datetime) -> Finding:
    """Every confirmed booking that is not over has one active grant, every ended one none. ``now``: business time."""
    rows = (await session.execute(_GRANTS, {"since": booking.since})).all()
    grants = {row.booking_id: row.status for row in rows}
    wrong = list(_differences(booking, grants, now))
    known = {fact.booking_id for fact in booking.bookings}
    wrong += [
        f"booking {row.booking_id}: a grant, and no such booking"
        for row in rows
        if row.booking_id not in known and row.status == "active"
    ]
    return Finding("grants equal booking's bookings", tuple(wrong), note=f"{len(known)} bookings compared")


def _differences(booking: Witness, grants: dict[object, str], now: datetime) -> Iterable[str]:
    for fact in booking.bookings:
        wanted, found = desired(fact.status), grants.get(fact.booking_id)
        is_over = max(line.end for line in fact.lines) <= now - timedelta(minutes=1)
        if (wanted == "active" and found != "active" and not is_over) or (wanted == "revoked" and found == "active"):
            yield f"booking {fact.code}: {fact.status}, and its grant is {found or 'missing'}"
