"""Take a slot outside the way in: all its rows or none, once more after lapsed holds in the way are gone."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.domain.booking import Place
from regiohub_booking.domain.occupancy import Claim
from regiohub_booking.repo import occupancy
from regiohub_booking.repo.statement import savepoint
from regiohub_booking.usecases.facts import clear_lapsed


class _Short(Exception):
    """A row was in the way: rolls back to the savepoint, and rows that made room are there again."""


def leaves_of(found: Iterable[Place]) -> set[UUID]:
    """Return what has to be locked for these resources."""
    return {leaf for place in found for leaf in place.leaves}


async def take_slot(session: AsyncSession, wanted: Sequence[Claim], *, now: datetime, own: UUID | None = None) -> bool:
    """Insert the rows; False if something else is in the way. The caller holds the leaves.

    The rows of ``own``, a booking that moves, make room first.
    """
    if await _try(session, wanted, own):
        return True
    return await clear_lapsed(session, wanted, now=now, own=own) and await _try(session, wanted, own)


async def _try(session: AsyncSession, wanted: Sequence[Claim], own: UUID | None) -> bool:
    try:
        async with savepoint(session):
            await _swap(session, wanted, own)
    except _Short:
        return False
    return True


async def _swap(session: AsyncSession, wanted: Sequence[Claim], own: UUID | None) -> None:
    """Delete, then insert as a statement of its own: an UPDATE would meet the own old rows."""
    if own:
        await occupancy.free_slots_of(session, [own])
    if not await occupancy.insert_claims(session, wanted):
        raise _Short
