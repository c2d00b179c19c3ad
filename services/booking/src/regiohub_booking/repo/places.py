"""Reading and writing operators, hubs, resources, hours."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import inspect
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.domain.booking import Place
from regiohub_booking.domain.hours import Opening
from regiohub_booking.domain.rules import Rules
from regiohub_booking.repo.statement import On, Row, Statement, fetch
from regiohub_booking.tables import Hub, OpeningHours, Operator, Resource, ResourcePart
from regiohub_shared.ids import new_id
from regiohub_shared.problem import NotFound

PLACE_COLUMNS = """
    r.*, h.operator, h.name AS hub_name, h.time_zone,
    (SELECT array_agg(p.part_id ORDER BY p.part_id) FROM resource_part p WHERE p.resource_id = r.id) AS parts,
    (SELECT array_agg(ARRAY[o.weekday, o.opens, o.closes] ORDER BY o.weekday, o.opens)
       FROM opening_hours o WHERE o.resource_id = r.id) AS own_week,
    (SELECT array_agg(ARRAY[o.weekday, o.opens, o.closes] ORDER BY o.weekday, o.opens)
       FROM opening_hours o WHERE o.hub = r.hub AND o.resource_id IS NULL) AS hub_week
"""
_BY_IDS = Statement(
    f"SELECT {PLACE_COLUMNS} FROM resource r JOIN hub h ON h.slug = r.hub WHERE r.id = ANY(CAST(:ids AS uuid[]))"
)
_BY_HUB = Statement(
    f"SELECT {PLACE_COLUMNS} FROM resource r JOIN hub h ON h.slug = r.hub "
    "WHERE CAST(:hub AS text) IS NULL OR r.hub = :hub ORDER BY r.hub, r.position, r.name, r.id"
)


def place_from(row: Row) -> Place:
    """Build the domain's view of a resource; its own hours replace those of the hub."""
    week = tuple(Opening(*day) for day in row["own_week"] or row["hub_week"] or ())
    return Place(
        id=row["id"], hub=row["hub"], hub_name=row["hub_name"], operator=row["operator"], name=row["name"], zone=ZoneInfo(row["time_zone"]),
        cents_per_hour=row["cents_per_hour"], tax_code=row["tax_code"],
        rules=Rules(row["granularity_minutes"], row["min_minutes"], row["max_minutes"], row["horizon_days"]),
        before=timedelta(minutes=row["buffer_before_minutes"]), after=timedelta(minutes=row["buffer_after_minutes"]),
        leaves=tuple(row["parts"] or (row["id"],)), week=week, is_active=row["is_active"], version=row["version"],
    )  # fmt: skip


async def list_place_rows(on: On, *, hub: str | None = None) -> list[Row]:
    """Return rows for resources of one hub, or of all."""
    return await fetch(on, _BY_HUB, hub=hub)


async def get_places(on: On, ids: Iterable[UUID]) -> dict[UUID, Place]:
    """Return the places by id; raises :class:`NotFound` naming the first unknown id."""
    wanted = list(dict.fromkeys(ids))
    found = {row["id"]: place_from(row) for row in await fetch(on, _BY_IDS, ids=wanted)}
    for one in wanted:
        if one not in found:
            raise NotFound(f"There is no resource {one}.", resource_id=str(one))
    return found


async def get_place_row(on: On, resource_id: UUID) -> Row:
    """Return one resource's row; raises :class:`NotFound`."""
    rows = await fetch(on, _BY_IDS, ids=[resource_id])
    if not rows:
        raise NotFound(f"There is no resource {resource_id}.", resource_id=str(resource_id))
    return rows[0]


async def list_hubs(session: AsyncSession) -> Sequence[Hub]:
    """Return all hubs by name."""
    return (await session.exec(select(Hub).order_by(Hub.name))).all()


async def operator_names(session: AsyncSession) -> dict[str, str]:
    """Return the name of each operator by its slug; they are few."""
    return {row.slug: row.name for row in (await session.exec(select(Operator))).all()}


async def get_hub(session: AsyncSession, slug: str, *, lock: bool = False) -> Hub:
    """Return the hub; ``lock`` takes the row for a change (it never blocks a booking's foreign key).

    Raises :class:`NotFound`.
    """
    query = select(Hub).where(Hub.slug == slug)
    hub = (await session.exec(query.with_for_update(key_share=True) if lock else query)).one_or_none()
    if hub is None:
        raise NotFound(f"There is no hub {slug}.", hub=slug)
    return hub


async def add_first(session: AsyncSession, row: Hub | Operator | Resource) -> bool:
    """Insert unless someone has just done so; False if they had, and then the next read sees their row.

    Waits for another insert of the same key, so that two equal PUTs at once are the same as two in a row.
    """
    insert = pg_insert(type(row)).values(row.model_dump()).on_conflict_do_nothing()
    key = next(iter(inspect(type(row)).primary_key))
    return (await session.execute(insert.returning(key))).first() is not None


async def get_operator(session: AsyncSession, slug: str) -> Operator:
    """Return the operator, its row taken for a change; raises :class:`NotFound`."""
    query = select(Operator).where(Operator.slug == slug).with_for_update(key_share=True)
    found = (await session.exec(query)).one_or_none()
    if found is None:
        raise NotFound(f"There is no operator {slug}.", operator=slug)
    return found


async def get_resource(session: AsyncSession, resource_id: UUID) -> Resource:
    """Return the resource, its row taken for a change; raises :class:`NotFound`."""
    query = select(Resource).where(Resource.id == resource_id).with_for_update(key_share=True)
    found = (await session.exec(query)).one_or_none()
    if found is None:
        raise NotFound(f"There is no resource {resource_id}.", resource_id=str(resource_id))
    return found


async def list_week(session: AsyncSession, hub: str, resource_id: UUID | None = None) -> list[Opening]:
    """Return the weekly hours of the hub itself or of one resource, sorted."""
    query = select(OpeningHours).where(OpeningHours.hub == hub, col(OpeningHours.resource_id) == resource_id)
    return sorted(Opening(row.weekday, row.opens, row.closes) for row in await session.exec(query))


async def replace_week(session: AsyncSession, hub: str, resource_id: UUID | None, week: Iterable[Opening]) -> None:
    """Write the weekly hours anew."""
    scope = (col(OpeningHours.hub) == hub, col(OpeningHours.resource_id) == resource_id)
    await session.exec(delete(OpeningHours).where(*scope))
    for day in week:
        session.add(
            OpeningHours(
                id=new_id(), hub=hub, resource_id=resource_id, weekday=day.weekday, opens=day.opens, closes=day.closes
            )
        )
    await session.flush()


async def replace_parts(session: AsyncSession, resource_id: UUID, parts: Iterable[UUID]) -> None:
    """Write which leaves a whole consists of."""
    await session.exec(delete(ResourcePart).where(col(ResourcePart.resource_id) == resource_id))
    for part in parts:
        session.add(ResourcePart(resource_id=resource_id, part_id=part))
    await session.flush()


async def list_parts(session: AsyncSession, resource_ids: Iterable[UUID]) -> dict[UUID, set[UUID]]:
    """Return the leaves of each given resource that is a whole."""
    query = select(ResourcePart).where(col(ResourcePart.resource_id).in_(list(resource_ids)))
    found: dict[UUID, set[UUID]] = {}
    for row in await session.exec(query):
        found.setdefault(row.resource_id, set()).add(row.part_id)
    return found


async def is_part(session: AsyncSession, resource_id: UUID) -> bool:
    """Whether the resource is a leaf of some whole."""
    query = select(ResourcePart.part_id).where(ResourcePart.part_id == resource_id).limit(1)
    return (await session.exec(query)).first() is not None


async def list_leaf_ids(session: AsyncSession, hub: str) -> list[UUID]:
    """Return all leaves of a hub, sorted."""
    wholes = select(ResourcePart.resource_id)
    query = select(Resource.id).where(Resource.hub == hub, col(Resource.id).not_in(wholes)).order_by(col(Resource.id))
    return list((await session.exec(query)).all())


def apply(row: Any, values: Mapping[str, Any]) -> bool:
    """Set attributes that differ; return whether any did."""
    changed = False
    for key, value in values.items():
        if getattr(row, key) != value:
            setattr(row, key, value)
            changed = True
    return changed
