"""A person's data: all of it on request, and its end."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.repo import commands, events, grants, passes, places
from regiohub_access.tables import Command, DoorEventRow, Grant, Pass
from regiohub_access.usecases.facts import revoke


@dataclass(frozen=True, slots=True)
class SubjectData:
    """What access knows of one person: times and doors, no names."""

    grants: list[Grant]
    passes: list[Pass]
    events: list[DoorEventRow]
    commands: list[Command]


async def export_subject(session: AsyncSession, *, sub: str) -> SubjectData:
    """Return the person's grants, passes (without the signed bytes) and door events."""
    owned = await grants.list_of_subject(session, sub)
    issued = await passes.list_of_grants(session, [grant.id for grant in owned])
    ordered = await commands.list_of_subject(session, sub)
    return SubjectData(owned, issued, await events.list_events_of(session, owned, issued), ordered)


async def erase_subject(session: AsyncSession, *, sub: str, now: datetime) -> int:
    """Close the person's grants and cut what ties them and their door events to the person; return how many.

    Door events stay for their 30 or 90 days, naming passes that belong to nobody any more. A later fact about such
    a booking changes nothing.
    """
    owned = await grants.lock_of_subject(session, sub)
    ids: list[UUID] = [grant.id for grant in owned]
    for grant in owned:
        await revoke(session, grant, now=now)
        grant.sub, grant.erased_at = None, now
        session.add(grant)
        await places.wake_readers(session, grant.hub)
    await session.flush()
    await passes.forget_passes(session, ids)
    await commands.forget_subject(session, sub)
    return len(ids)
