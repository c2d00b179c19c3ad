"""Hubs, their doors and their readers."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.domain.readers import HubNotFound, ReaderNotFound
from regiohub_access.domain.windows import Site
from regiohub_access.tables import Door, DoorResource, Hub, Reader


@dataclass(frozen=True, slots=True)
class DoorPlan:
    """A door as the county configures it."""

    number: int
    name: str
    is_outer: bool
    resource_ids: frozenset[UUID]


async def ensure_hub(session: AsyncSession, slug: str) -> None:
    """Make the hub with default margins and no doors if it is new: facts may come before the county's set-up."""
    fresh = {"margin_minutes": 10, "version": 0, "epoch": 1}
    zero = dict.fromkeys(("change_sequence", "deny_sequence", "pins_sequence", "event_number", "chain_checked"), 0)
    await session.execute(insert(Hub).values(slug=slug, **fresh, **zero).on_conflict_do_nothing())


async def lock_hub(session: AsyncSession, slug: str) -> Hub:
    """Return the hub's row, locked until the transaction ends. Grants are locked before their hub, never after."""
    query = (
        select(Hub).where(Hub.slug == slug).with_for_update(key_share=True).execution_options(populate_existing=True)
    )
    return (await session.exec(query)).one()


async def get_hub(session: AsyncSession, slug: str) -> Hub:
    """Return the hub; raise :class:`HubNotFound`."""
    found = (await session.exec(select(Hub).where(Hub.slug == slug))).one_or_none()
    if found is None:
        raise HubNotFound
    return found


async def list_hubs(session: AsyncSession) -> list[Hub]:
    """Return all hubs by slug."""
    return list((await session.exec(select(Hub).order_by(col(Hub.slug)))).all())


async def wake_readers(session: AsyncSession, slug: str) -> None:
    """Let the hub's waiting readers look again."""
    await session.execute(update(Hub).where(col(Hub.slug) == slug).values(change_sequence=Hub.change_sequence + 1))


async def list_doors(session: AsyncSession, hub: str) -> list[DoorPlan]:
    """Return the hub's doors by number."""
    doors = (await session.exec(select(Door).where(Door.hub == hub).order_by(col(Door.number)))).all()
    serves: dict[int, set[UUID]] = defaultdict(set)
    for row in (await session.exec(select(DoorResource).where(DoorResource.hub == hub))).all():
        serves[row.number].add(row.resource_id)
    return [DoorPlan(d.number, d.name, d.is_outer, frozenset(serves[d.number])) for d in doors]


async def replace_doors(session: AsyncSession, hub: str, doors: Iterable[DoorPlan]) -> None:
    """Put these doors in place of all that the hub had."""
    await session.execute(delete(Door).where(col(Door.hub) == hub))
    for door in doors:
        session.add(Door(hub=hub, number=door.number, name=door.name, is_outer=door.is_outer))
        await session.flush()
        session.add_all(DoorResource(hub=hub, number=door.number, resource_id=r) for r in door.resource_ids)
    await session.flush()


def site(hub: Hub, doors: Iterable[DoorPlan]) -> Site:
    """Return what the domain needs to know of a hub."""
    inner: dict[UUID, set[int]] = defaultdict(set)
    for door in doors:
        for resource_id in door.resource_ids:
            inner[resource_id].add(door.number)
    return Site(
        margin=timedelta(minutes=hub.margin_minutes),
        outer=frozenset(door.number for door in doors if door.is_outer),
        inner={resource_id: frozenset(numbers) for resource_id, numbers in inner.items()},
    )


async def load_site(session: AsyncSession, slug: str) -> Site:
    """Return margin and doors of a hub that has a row."""
    return site(await get_hub(session, slug), await list_doors(session, slug))


async def get_reader(session: AsyncSession, reader_id: str, *, lock: bool = False) -> Reader:
    """Return the reader; raise :class:`ReaderNotFound`."""
    query = select(Reader).where(Reader.id == reader_id)
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    found = (await session.exec(query)).one_or_none()
    if found is None:
        raise ReaderNotFound
    return found


async def put_reader(session: AsyncSession, reader_id: str, *, hub: str, now: datetime) -> Reader:
    """Return the reader of this id, made if it is new (at the given hub), locked."""
    made = insert(Reader).values(id=reader_id, hub=hub, created_at=now, log_sequence=0)
    await session.execute(made.on_conflict_do_nothing())
    return await get_reader(session, reader_id, lock=True)


async def list_all_readers(session: AsyncSession) -> list[Reader]:
    """Return the readers of all hubs."""
    return list((await session.exec(select(Reader).order_by(col(Reader.id)))).all())


async def list_readers(session: AsyncSession, hub: str) -> list[Reader]:
    """Return the hub's readers by id."""
    return list((await session.exec(select(Reader).where(Reader.hub == hub).order_by(col(Reader.id)))).all())
