"""What a hub's operator does: day list, check-in, rooms, hours, closures."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from regiohub_booking.api.deps import (
    CursorQuery,
    InvalidCursor,
    LimitQuery,
    OperatorDep,
    read_start_and_id,
    write_cursor,
)
from regiohub_booking.api.schemas.bookings import BookingPublic, HubBookingList, HubBookingPublic
from regiohub_booking.api.schemas.common import Day
from regiohub_booking.api.schemas.places import (
    ClosureCreate,
    ClosureList,
    ClosurePublic,
    HoursPut,
    HubPublic,
    ResourcePatch,
    ResourcePublic,
)
from regiohub_booking.domain.hours import HoursOverlap, NonexistentLocalTime, check_reading, day_slot
from regiohub_booking.domain.price import PriceTooLow
from regiohub_booking.domain.rules import TooEarly
from regiohub_booking.domain.slot import EndBeforeStart, Slot
from regiohub_booking.domain.states import IllegalTransition
from regiohub_booking.repo import bookings, closures, places
from regiohub_booking.usecases.change import check_in_by_hand
from regiohub_booking.usecases.closure import (
    ClosureConflicts,
    ClosureInThePast,
    ClosureOverBegun,
    ClosureOverUse,
    create_closure,
    delete_closure,
    require_operator,
)
from regiohub_booking.usecases.setup import patch_resource, put_hours
from regiohub_shared.clock import now, real_now
from regiohub_shared.db.database import SessionDep
from regiohub_shared.idempotency import (
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    RequestInFlight,
    Stored,
    attempt,
    find_stored,
    require_key,
    store,
)
from regiohub_shared.problem import Malformed, NotFound, PreconditionFailed, PreconditionRequired
from regiohub_shared.web.errors import problems
from regiohub_shared.web.etag import InvalidIfMatch, VersionDep, tag
from regiohub_shared.web.paging import link_next

router = APIRouter(tags=["operator"])
_CHANGE = problems(NotFound, PreconditionFailed, PreconditionRequired, InvalidIfMatch)
# No line is longer than a resource may allow (31 days), and that bounds how far back a day list has to look for one;
# a booking itself may have begun long before.
_LONGEST_LINE = timedelta(days=32)


@router.get("/v1/hubs/{slug}/bookings", summary="A hub's day list", responses=problems(NotFound, InvalidCursor))
async def list_hub_bookings(
    *,
    slug: str,
    request: Request,
    response: Response,
    session: SessionDep,
    caller: OperatorDep,
    day: Annotated[Day, Query(alias="date")],
    limit: LimitQuery = 100,
    cursor: CursorQuery = None,
) -> HubBookingList:
    """All bookings with a line on the day, with the members' names, in order of their first line there."""
    hub = await places.get_hub(session, slug)
    require_operator(caller, slug)
    whole = day_slot(day, ZoneInfo(hub.time_zone))
    found = await bookings.list_of_hub(
        session, hub=slug, day=whole, earliest=whole.start - _LONGEST_LINE, after=read_start_and_id(cursor),
        limit=limit + 1,
    )  # fmt: skip
    last = found[limit - 1][0] if len(found) > limit else None
    following = write_cursor(last.first_in(whole).isoformat(), str(last.id)) if last else None
    link_next(request, response, following)
    items = [HubBookingPublic.of(booking, member_name=name) for booking, name in found[:limit]]
    return HubBookingList(items=items, next=following)


@router.post(
    "/v1/bookings/{booking_id}/check-in",
    summary="Check in by hand",
    responses=problems(NotFound, IllegalTransition, TooEarly),
)
async def check_in(booking_id: UUID, session: SessionDep, caller: OperatorDep, response: Response) -> BookingPublic:
    """For members without phone, from an hour before the start (409 `too-early` with `earliest`).

    A second time changes nothing. A check-in by mistake is not taken back: cancel the booking instead (full refund).
    """
    booking = await check_in_by_hand(session, principal=caller, booking_id=booking_id, now=now())
    tag(response, booking.version)
    return BookingPublic.of(booking)


class EmptyPatch(Malformed):
    """Nothing to change, or a member that cannot be null."""

    type, title = "empty-patch", "Send at least one member with a value"


class DurationUpsideDown(Malformed):
    """The shortest booking would be longer than the longest."""

    type, title = "duration-upside-down", "min_minutes must not exceed max_minutes"


@router.patch(
    "/v1/resources/{resource_id}",
    summary="Edit a room",
    responses=_CHANGE | problems(EmptyPatch, DurationUpsideDown, HoursOverlap, PriceTooLow),
)
async def edit_resource(
    *,
    resource_id: UUID,
    change: ResourcePatch,
    session: SessionDep,
    caller: OperatorDep,
    version: VersionDep,
    response: Response,
) -> ResourcePublic:
    """Name, description, price, rules, own hours or the switch; bookings that exist keep their price."""
    values = change.model_dump(exclude_unset=True)
    if not values or None in values.values():
        raise EmptyPatch
    values.pop("opening_hours", None)
    week = None if change.opening_hours is None else [opening.opening() for opening in change.opening_hours]
    row = await places.get_place_row(session, resource_id)
    merged = dict(row) | values
    if merged["min_minutes"] > merged["max_minutes"]:
        raise DurationUpsideDown
    await patch_resource(session, principal=caller, resource_id=resource_id, values=values, week=week, version=version)
    row = await places.get_place_row(session, resource_id)
    tag(response, row["version"])
    return ResourcePublic.of(row)


@router.put("/v1/hubs/{slug}/opening-hours", summary="Set weekly hours", responses=_CHANGE | problems(HoursOverlap))
async def set_hours(
    *, slug: str, change: HoursPut, session: SessionDep, caller: OperatorDep, version: VersionDep, response: Response
) -> HubPublic:
    """The whole week anew; bookings that exist stay. Resources with own hours keep theirs."""
    week = [opening.opening() for opening in change.opening_hours]
    hub = await put_hours(session, principal=caller, slug=slug, week=week, version=version)
    tag(response, hub.version)
    return HubPublic.of(
        hub, await places.list_week(session, slug), (await places.operator_names(session))[hub.operator]
    )


@router.get("/v1/hubs/{slug}/closures", summary="List closures", responses=problems(NotFound))
async def list_hub_closures(slug: str, session: SessionDep, caller: OperatorDep) -> ClosureList:
    """Running and coming ones."""
    await places.get_hub(session, slug)
    require_operator(caller, slug)
    found = await closures.list_coming(session, slug, now=now())
    return ClosureList(items=[ClosurePublic.of(closure) for closure in found], next=None)


class ClosureTarget(Malformed):
    """Either one resource or the whole hub."""

    type, title = "closure-target", "Send resource_id, or all = true, not both"


_CLOSE = problems(
    NotFound, ClosureConflicts, ClosureOverUse, ClosureOverBegun, ClosureInThePast, ClosureTarget, EndBeforeStart,
    NonexistentLocalTime, IdempotencyKeyMissing, IdempotencyKeyReused, RequestInFlight,
)  # fmt: skip


@router.post(
    "/v1/hubs/{slug}/closures", summary="Close a room or the hub", status_code=201, response_model=ClosurePublic,
    responses=_CLOSE,
)  # fmt: skip
async def close(
    slug: str, wish: ClosureCreate, session: SessionDep, caller: OperatorDep, key: Annotated[str, Depends(require_key)]
) -> Response:
    """Bookings in the way are listed (409), or cancelled and refunded with `cancel_conflicting`, all in one go."""
    if wish.all is (wish.resource_id is not None):
        raise ClosureTarget
    route = f"POST /v1/hubs/{slug}/closures"
    wanted = attempt(sub=caller.sub, route=route, key=key, body=wish.model_dump(mode="json"))
    stored = await find_stored(session, wanted)
    if stored is None:
        stored = Stored(201, await _close(session, slug, wish, caller))
        await store(session, wanted, stored, now=real_now())
    return JSONResponse(stored.body, status_code=stored.status)


async def _close(session: SessionDep, slug: str, wish: ClosureCreate, caller: OperatorDep) -> Any:
    zone = ZoneInfo((await places.get_hub(session, slug)).time_zone)
    check_reading(wish.start, zone)
    check_reading(wish.end, zone)
    closure = await create_closure(
        session, principal=caller, hub=slug, resource_id=wish.resource_id, slot=Slot(wish.start, wish.end),
        reason=wish.reason, cancel_conflicting=wish.cancel_conflicting, now=now(),
    )  # fmt: skip
    return ClosurePublic.of(closure).model_dump(mode="json")


@router.delete("/v1/closures/{closure_id}", summary="Lift a closure", status_code=204, responses=problems(NotFound))
async def lift_closure(closure_id: UUID, session: SessionDep, caller: OperatorDep) -> None:
    """Open again."""
    await delete_closure(session, principal=caller, closure_id=closure_id)
