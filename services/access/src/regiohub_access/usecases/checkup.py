"""Whether access's rows are what they must be: chains, PINs, and grants that equal booking's bookings."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.domain.windows import desired
from regiohub_access.repo import checkup, places
from regiohub_access.usecases.chain import STRETCH, check_chain
from regiohub_shared.contracts.witness import Witness
from regiohub_shared.doctor import Finding


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
    grants = await checkup.statuses_ending_after(session, booking.since)
    wrong = list(_differences(booking, grants, now))
    known = {fact.booking_id for fact in booking.bookings}
    wrong += [
        f"booking {booking_id}: a grant, and no such booking"
        for booking_id, status in grants.items()
        if booking_id not in known and status == "active"
    ]
    return Finding("grants equal booking's bookings", tuple(wrong), note=f"{len(known)} bookings compared")


def _differences(booking: Witness, grants: Mapping[UUID, str], now: datetime) -> Iterable[str]:
    for fact in booking.bookings:
        wanted, found = desired(fact.status), grants.get(fact.booking_id)
        is_over = max(line.end for line in fact.lines) <= now - timedelta(minutes=1)
        if (wanted == "active" and found != "active" and not is_over) or (wanted == "revoked" and found == "active"):
            yield f"booking {fact.code}: {fact.status}, and its grant is {found or 'missing'}"
