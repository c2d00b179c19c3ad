"""Door events: appended in the chain of their hub, read by operators and by the person concerned."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, text, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.domain.chain import DoorEvent, genesis, link
from regiohub_access.repo.places import lock_hub
from regiohub_access.tables import ChainLink, DoorEventRow, Grant, Hub, Pass

PAGE = 100


async def known_sequences(session: AsyncSession, reader_id: str, log: str, sequences: Sequence[int]) -> frozenset[int]:
    """Return which of these events of the reader's chain are stored."""
    query = select(DoorEventRow.reader_sequence).where(
        DoorEventRow.reader_id == reader_id,
        DoorEventRow.reader_log == log,
        col(DoorEventRow.reader_sequence).in_(sequences),
    )
    return frozenset((await session.exec(query)).all())


async def append(session: AsyncSession, hub: str, events: Iterable[DoorEvent]) -> None:
    """Store events (their numbers are given here) at the end of the hub's chain."""
    row = await lock_hub(session, hub)
    head = row.event_hash or genesis(hub)
    for event in events:
        row.event_number += 1
        placed = _numbered(event, row.event_number)
        head = link(head, placed)
        session.add(DoorEventRow(**{name: getattr(placed, name) for name in DoorEvent.__dataclass_fields__}))
        session.add(ChainLink(hub=hub, number=placed.number, hash=head))
    row.event_hash = head
    session.add(row)
    await session.flush()


def _numbered(event: DoorEvent, number: int) -> DoorEvent:
    members = {name: getattr(event, name) for name in DoorEvent.__dataclass_fields__}
    return DoorEvent(**members | {"number": number})


def as_event(row: DoorEventRow) -> DoorEvent:
    """Return the domain's value of a stored event."""
    return DoorEvent(**{name: getattr(row, name) for name in DoorEvent.__dataclass_fields__})


async def list_events(session: AsyncSession, hub: str, *, before: int | None) -> list[DoorEventRow]:
    """Return up to ``PAGE`` + 1 events of the hub, the newest first."""
    query = select(DoorEventRow).where(DoorEventRow.hub == hub).order_by(col(DoorEventRow.number).desc())
    if before is not None:
        query = query.where(DoorEventRow.number < before)
    return list((await session.exec(query.limit(PAGE + 1))).all())


async def stretch(session: AsyncSession, hub: str, numbers: range) -> tuple[list[DoorEvent], dict[int, bytes]]:
    """Return this part of the hub's chain: the events left of it, in order, and the hashes with the one before."""
    rows = select(DoorEventRow).where(
        DoorEventRow.hub == hub, DoorEventRow.number >= numbers.start, DoorEventRow.number < numbers.stop
    )
    links = select(ChainLink.number, ChainLink.hash).where(
        ChainLink.hub == hub, ChainLink.number >= numbers.start - 1, ChainLink.number < numbers.stop
    )
    found = (await session.exec(rows.order_by(col(DoorEventRow.number)))).all()
    return [as_event(row) for row in found], dict((await session.exec(links)).all())


async def note_checked(session: AsyncSession, hub: str, *, upto: int, broken: int | None) -> None:
    """Remember how far the chain was checked and the first event that does not fit."""
    values = {"chain_checked": upto, "chain_broken": broken}
    await session.execute(update(Hub).where(col(Hub.slug) == hub).values(**values))


async def broken_chains(session: AsyncSession) -> dict[str, int]:
    """Return the first event that does not fit, by hub; empty if all is well."""
    query = select(Hub.slug, Hub.chain_broken).where(col(Hub.chain_broken).is_not(None))
    return {slug: number for slug, number in (await session.exec(query)).all() if number is not None}


async def grants_of_passes(session: AsyncSession, hub: str, pass_ids: Iterable[bytes]) -> dict[bytes, UUID]:
    """Return the grant of each pass of this hub."""
    query = select(Pass.id, Pass.grant_id).where(Pass.hub == hub, col(Pass.id).in_(list(pass_ids)))
    return dict((await session.exec(query)).all())


async def list_events_of(session: AsyncSession, grants: Sequence[Grant], passes: Sequence[Pass]) -> list[DoorEventRow]:
    """Return the events that these grants' passes and PINs caused, in order of time."""
    by_pin = [col(DoorEventRow.credential).startswith(f"{grant.id}.") for grant in grants]
    by_pass = col(DoorEventRow.credential).in_([each.id.hex() for each in passes])
    query = select(DoorEventRow).where(or_(by_pass, *by_pin)).order_by(col(DoorEventRow.at))
    return list((await session.exec(query)).all())


_PURGE = text("SELECT purge_door_events(:now, :allowed, :denied)")


async def purge(session: AsyncSession, *, now: datetime, allowed_days: int, denied_days: int) -> int:
    """Delete events past their time by the owner's function; their hashes stay. Return how many went."""
    values = {"now": now, "allowed": allowed_days, "denied": denied_days}
    return int((await session.execute(_PURGE, values)).scalar_one())
