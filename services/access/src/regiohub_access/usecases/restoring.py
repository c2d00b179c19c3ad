"""After a restore: grants follow booking's bookings, readers take everything anew, doors of lost bookings close.

One transaction as the schema's owner, while no program runs and no reader gets through.
"""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.repo import restoring
from regiohub_access.repo.sealing import Vault
from regiohub_access.usecases.facts import follow_booking, revoke
from regiohub_access.usecases.openings import tell_opening
from regiohub_shared.clock import real_now
from regiohub_shared.contracts.witness import Witness
from regiohub_shared.db.epoch import floor_of, raise_epoch
from regiohub_shared.restore import Report, Restored


async def witness(session: AsyncSession, since: datetime) -> Witness:
    """Return what access knows now."""
    known = await restoring.bookings_ending_after(session, since)
    return Witness(
        service="access", since=since, highest=await restoring.highest_versions(session), known_bookings=tuple(known)
    )


async def reconcile(session: AsyncSession, restored: Restored, report: Report, *, vault: Vault, now: datetime) -> None:
    """Bring the restored grants to what booking says; raises ``RuntimeError`` without booking's word.

    ``now`` is business time.
    """
    booking = restored.of("booking")
    if booking is None:
        raise RuntimeError("access follows booking: give booking's witness, made after its own reconcile")
    own = (await restoring.highest_versions(session))["access"]
    epoch = await raise_epoch(
        session, backup_at=restored.backup_at, heard=[own, *restored.heard_from("access")], now=real_now()
    )
    hubs = await restoring.lead(session, floor_of(epoch), moment=int(real_now().timestamp()))
    for fact in booking.bookings:
        await follow_booking(session, fact=fact, vault=vault, now=now)
    closed = await _close_unknown(session, booking, now=now)
    for grant in await restoring.lock_opened(session, restored.since):
        await tell_opening(session, grant)
    report.say(f"epoch {epoch}; {len(hubs)} hubs send their readers doors, PINs and revocations anew")
    report.list("doors closed, since booking knows no such booking:", closed)
    report.say(
        "passes that were fetched in the lost window cannot be named, so they open until they end (24 h at most); "
        "door events from then come again from the readers, as far as their memory goes"
    )


async def _close_unknown(session: AsyncSession, booking: Witness, *, now: datetime) -> list[str]:
    """Revoke what opens a door for a booking that booking does not have."""
    told = {fact.booking_id for fact in booking.bookings}
    known = await restoring.bookings_ending_after(session, booking.since)
    grants = await restoring.lock_live(session, [booking_id for booking_id in known if booking_id not in told])
    for grant in grants:
        await revoke(session, grant, now=now)
    return [f"booking {grant.booking_id}" for grant in grants]
