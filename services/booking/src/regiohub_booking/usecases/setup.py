"""Operators, hubs, resources, hours: put by the county, mended by the hub's operator."""

from collections.abc import Container, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.domain.hours import Opening, check_week
from regiohub_booking.domain.price import check_rate
from regiohub_booking.domain.slot import Slot
from regiohub_booking.repo import occupancy, places
from regiohub_booking.tables import Hub, Operator, Resource
from regiohub_booking.usecases.change import check_version
from regiohub_booking.usecases.closure import close_new_leaf, require_operator
from regiohub_booking.usecases.facts import end_lapsed
from regiohub_shared.auth.principal import Principal
from regiohub_shared.problem import Conflict, PreconditionFailed, PreconditionRequired

_FAR = timedelta(days=3650)


class InvalidParts(Conflict):
    """Parts are leaves of the same hub; a part has no parts, a whole is nobody's part."""

    type, title = "invalid-parts", "These parts do not fit"


class PartsInUse(Conflict):
    """Bookings or closures are still to come on leaves that would change."""

    type, title = "parts-in-use", "The parts cannot change while bookings or closures are to come"


class HubIsFixed(Conflict):
    """A resource stays in its hub, a hub with its operator: documents were issued for it."""

    type, title = "hub-is-fixed", "This cannot move"


def _check_match(current: int, wanted: Container[int] | None) -> None:
    """An existing thing changes only for someone who saw its newest version."""
    if wanted is None:
        raise PreconditionRequired("It exists already; send If-Match with its version.", version=current)
    check_version(current, wanted)


def _check_new(wanted: Container[int] | None) -> None:
    """Who saw a version means something that exists; making it anew is not what they want."""
    if wanted is not None:
        raise PreconditionFailed("It does not exist yet; send no If-Match.")


async def put_operator(
    session: AsyncSession, *, slug: str, values: Mapping[str, Any], version: Container[int] | None
) -> Operator:
    """Create or replace; repeating the same content changes nothing and needs no version."""
    made = Operator(slug=slug, **values)
    if await places.add_first(session, made):
        _check_new(version)
        return made
    found = await places.get_operator(session, slug)
    if any(getattr(found, key) != value for key, value in values.items()):
        _check_match(found.version, version)
        places.apply(found, {**values, "version": found.version + 1})
    await session.flush()
    return found


async def put_hub(
    session: AsyncSession,
    *,
    slug: str,
    values: Mapping[str, Any],
    week: Iterable[Opening],
    version: Container[int] | None,
) -> Hub:
    """Create or replace a hub with its weekly hours. Raises ``NotFound`` for an unknown operator."""
    wanted = sorted(week)
    check_week(wanted)
    await places.get_operator(session, values["operator"])
    made = Hub(slug=slug, **values)
    if await places.add_first(session, made):
        _check_new(version)
        await places.replace_week(session, slug, None, wanted)
        return made
    found = await places.get_hub(session, slug, lock=True)
    if found.operator != values["operator"]:
        raise HubIsFixed("A hub stays with its operator.")
    changed = any(getattr(found, key) != value for key, value in values.items())
    if changed or await places.list_week(session, slug) != wanted:
        _check_match(found.version, version)
        places.apply(found, {**values, "version": found.version + 1})
        await places.replace_week(session, slug, None, wanted)
    await session.flush()
    return found


async def put_hours(
    session: AsyncSession, *, principal: Principal, slug: str, week: Iterable[Opening], version: Container[int]
) -> Hub:
    """Replace the weekly hours of a hub; bookings that exist stay as they are."""
    wanted = sorted(week)
    hub = await places.get_hub(session, slug, lock=True)
    require_operator(principal, slug)
    check_week(wanted)
    check_version(hub.version, version)
    places.apply(hub, {"version": hub.version + 1})
    await places.replace_week(session, slug, None, wanted)
    return hub


async def patch_resource(
    session: AsyncSession,
    *,
    principal: Principal,
    resource_id: UUID,
    values: Mapping[str, Any],
    week: Iterable[Opening] | None,
    version: Container[int],
) -> Resource:
    """Change name, description, price, rules, own hours or the switch; prices of bookings are frozen.

    ``week`` None keeps the hours, an empty one falls back to those of the hub.
    """
    found = await places.get_resource(session, resource_id)
    require_operator(principal, found.hub)
    check_version(found.version, version)
    if values.get("cents_per_hour", found.cents_per_hour) != found.cents_per_hour:
        check_rate(values["cents_per_hour"])
    changed = places.apply(found, values)
    if week is not None:
        wanted = sorted(week)
        check_week(wanted)
        changed = changed or await places.list_week(session, found.hub, resource_id) != wanted
        await places.replace_week(session, found.hub, resource_id, wanted)
    if changed:
        places.apply(found, {"version": found.version + 1})
    await session.flush()
    return found


async def put_resource(
    session: AsyncSession,
    *,
    resource_id: UUID,
    values: Mapping[str, Any],
    parts: Iterable[UUID],
    week: Iterable[Opening],
    version: Container[int] | None,
    now: datetime,
) -> Resource:
    """Create or replace a resource with parts and own hours (none: the hub's).

    Raises ``NotFound`` for an unknown hub, ``PriceTooLow``, :class:`HubIsFixed`, :class:`InvalidParts`, :class:`PartsInUse`.
    """
    wanted_week, wanted_parts = sorted(week), set(parts)
    check_week(wanted_week)
    check_rate(values["cents_per_hour"])
    hub: str = values["hub"]
    # One change of a hub's resources at a time: two would build parts of parts, or slip past a closure of the hub.
    await places.get_hub(session, hub, lock=True)
    await _check_parts(session, resource_id, hub, wanted_parts)
    made = Resource(id=resource_id, **values)
    if await places.add_first(session, made):
        _check_new(version)
        return await _furnish(session, made, parts=wanted_parts, week=wanted_week, now=now)
    found = await places.get_resource(session, resource_id)
    if found.hub != hub:
        raise HubIsFixed("A resource stays in its hub.")
    old_parts = (await places.list_parts(session, [resource_id])).get(resource_id, set())
    changed = any(getattr(found, key) != value for key, value in values.items())
    if changed or old_parts != wanted_parts or await places.list_week(session, hub, resource_id) != wanted_week:
        _check_match(found.version, version)
        await _change_parts(session, resource_id, old_parts, wanted_parts, now)
        await places.replace_week(session, hub, resource_id, wanted_week)
        places.apply(found, {**values, "version": found.version + 1})
        await session.flush()
    return found


async def _furnish(
    session: AsyncSession, made: Resource, *, parts: set[UUID], week: list[Opening], now: datetime
) -> Resource:
    """Give a new resource its parts and hours, and a new leaf the closures of its hub."""
    await places.replace_parts(session, made.id, parts)
    await places.replace_week(session, made.hub, made.id, week)
    if not parts:
        await close_new_leaf(session, hub=made.hub, resource_id=made.id, now=now)
    return made


async def _check_parts(session: AsyncSession, resource_id: UUID, hub: str, parts: set[UUID]) -> None:
    if not parts:
        return
    found = await places.get_places(session, parts)
    if resource_id in parts or any(place.hub != hub for place in found.values()):
        raise InvalidParts("Parts are other resources of the same hub.")
    if any(place.leaves != (place.id,) for place in found.values()):
        raise InvalidParts("A part has no parts of its own; list its leaves.")
    if await places.is_part(session, resource_id):
        raise InvalidParts("It is a part of another resource itself.")


async def _change_parts(
    session: AsyncSession, resource_id: UUID, old: set[UUID], new: set[UUID], now: datetime
) -> None:
    """Change what a whole consists of while nobody can book it; rows of coming bookings would point elsewhere."""
    if old == new:
        return
    leaves = sorted((old or {resource_id}) | (new or {resource_id}))
    await occupancy.lock_leaves(session, leaves)
    ahead = Slot(now, now + _FAR)
    # A lapsed hold is in nobody's way but could still be paid for: it ends before its rows point elsewhere.
    await end_lapsed(session, await occupancy.lock_booked(session, leaves, ahead), now=now)
    busy = await occupancy.list_busy(session, leaves, ahead, now=now)
    if busy:
        raise PartsInUse("Wait for the last booking or lift the closure first.")
    await places.replace_parts(session, resource_id, new)
