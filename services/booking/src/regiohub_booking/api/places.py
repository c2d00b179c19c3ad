"""Hubs, resources and what is free: public, no login needed."""

from datetime import date, datetime, time
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from regiohub_booking.api.schemas.bookings import (
    Availability,
    AvailabilityItem,
    HubFreeList,
    HubFreePublic,
    SlotList,
    SlotPublic,
)
from regiohub_booking.api.schemas.common import Day, Kind, Moment, WallTime
from regiohub_booking.api.schemas.places import HubList, HubPublic, ResourceList, ResourcePublic
from regiohub_booking.domain.hours import AmbiguousLocalTime, NonexistentLocalTime, check_reading, to_utc
from regiohub_booking.domain.rules import TooLong, TooShort
from regiohub_booking.domain.slot import EndBeforeStart, Slot
from regiohub_booking.repo import places
from regiohub_booking.usecases import availability
from regiohub_shared.clock import now
from regiohub_shared.db.database import SessionDep
from regiohub_shared.problem import Malformed, NotFound
from regiohub_shared.web.errors import problems
from regiohub_shared.web.etag import tag

router = APIRouter(tags=["places"])
Minutes = Annotated[int, Query(ge=5, le=44640, description="Length of the slot; the resource's longest at most")]
HubSlug = Annotated[str, Query(max_length=40, pattern=r"^[a-z0-9-]+$")]


@router.get("/v1/hubs", summary="List the hubs")
async def list_hubs(session: SessionDep) -> HubList:
    """All hubs with address and weekly hours."""
    found = await places.list_hubs(session)
    names = await places.operator_names(session)
    items = [HubPublic.of(hub, await places.list_week(session, hub.slug), names[hub.operator]) for hub in found]
    return HubList(items=items, next=None)


@router.get("/v1/hubs/{slug}", summary="Show a hub", responses=problems(NotFound))
async def get_hub(slug: str, session: SessionDep, response: Response) -> HubPublic:
    """One hub; the ETag is needed to change it."""
    hub = await places.get_hub(session, slug)
    tag(response, hub.version)
    return HubPublic.of(
        hub, await places.list_week(session, slug), (await places.operator_names(session))[hub.operator]
    )


@router.get("/v1/hubs/{slug}/resources", summary="List a hub's resources", responses=problems(NotFound))
async def list_resources(slug: str, session: SessionDep) -> ResourceList:
    """All resources, also those that are switched off."""
    await places.get_hub(session, slug)
    rows = await places.list_place_rows(session, hub=slug)
    return ResourceList(items=[ResourcePublic.of(row) for row in rows], next=None)


@router.get("/v1/resources/{resource_id}", summary="Show a resource", responses=problems(NotFound))
async def get_resource(resource_id: UUID, session: SessionDep, response: Response) -> ResourcePublic:
    """One resource; the ETag is needed to change it."""
    row = await places.get_place_row(session, resource_id)
    tag(response, row["version"])
    return ResourcePublic.of(row)


class SlotMissing(Malformed):
    """Neither start and end nor date, from and to."""

    type, title = "slot-missing", "Send start and end, or date, from and to"


def _asked_slot(
    moments: tuple[datetime | None, datetime | None], wall: tuple[date | None, time | None, time | None], zone: ZoneInfo
) -> Slot:
    """Return the slot of either way of asking; wall time is the hub's and may not exist or exist twice."""
    start, end = moments
    if start is not None and end is not None:
        check_reading(start, zone)
        check_reading(end, zone)
        return Slot(start, end)
    day, from_, to = wall
    if day is None or from_ is None or to is None:
        raise SlotMissing
    return Slot(to_utc(day, from_, zone), to_utc(day, to, zone))


_SLOT_PROBLEMS = problems(NotFound, EndBeforeStart, NonexistentLocalTime, AmbiguousLocalTime, SlotMissing)


@router.get("/v1/availability", summary="What is free at that time?", responses=_SLOT_PROBLEMS)
async def get_availability(
    *,
    session: SessionDep,
    hub: HubSlug | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    day: Annotated[Day | None, Query(alias="date")] = None,
    from_: Annotated[WallTime | None, Query(alias="from")] = None,
    to: WallTime | None = None,
) -> Availability:
    """Ask with ``start`` and ``end`` (with offset), or with wall time of the hub: ``date``, ``from``, ``to``.

    Each resource comes with its price, or with the name of the rule that refuses it.
    """
    zone = ZoneInfo((await places.get_hub(session, hub)).time_zone if hub else "Europe/Berlin")
    slot = _asked_slot((start, end), (day, from_, to), zone)
    found = await availability.judge_slot(session, hub=hub, slot=slot, now=now())
    items = sorted((AvailabilityItem.of(verdict) for verdict in found), key=lambda item: not item.is_free)
    return Availability(start=slot.start.astimezone(zone), end=slot.end.astimezone(zone), items=items, next=None)


FitMinutes = Annotated[int, Query(ge=5, le=1440, description="Length of the slot, fitted to what a resource offers")]


class LengthsUpsideDown(Malformed):
    """The length that would do is longer than the wanted one, so nothing could ever be found."""

    type, title = "lengths-upside-down", "at_least must not exceed minutes"


@router.get("/v1/next-free", summary="What is free first in each hub?", responses=problems(NotFound, LengthsUpsideDown))
async def list_first_free(
    *,
    session: SessionDep,
    hub: HubSlug | None = None,
    kind: Kind | None = None,
    after: Moment | None = None,
    minutes: FitMinutes = 120,
    at_least: Annotated[int | None, Query(ge=5, le=1440, description="Shorter will do, down to this length")] = None,
) -> HubFreeList:
    """The first slot at or after ``after`` (default: now) within two weeks, with all resources free for it.

    The slot is shortened to a closing time or the next booking where ``at_least`` allows it.
    """
    if at_least and at_least > minutes:
        raise LengthsUpsideDown
    if hub:
        await places.get_hub(session, hub)
    moment: AwareDatetime = now()
    found = await availability.first_free(
        session, hub=hub, kind=kind, after=after or moment, minutes=minutes, at_least=at_least or minutes, now=moment
    )
    return HubFreeList(items=[HubFreePublic.of(one) for one in found], next=None)


_LENGTH_PROBLEMS = problems(NotFound, TooShort, TooLong)


@router.get("/v1/resources/{resource_id}/slots", summary="Free slots on a day", responses=_LENGTH_PROBLEMS)
async def list_slots(
    resource_id: UUID, session: SessionDep, day: Annotated[Day, Query(alias="date")], minutes: Minutes = 60
) -> SlotList:
    """Every free start on the raster on that day of the hub's calendar; the length is fitted to the raster: rounded up, or down to the longest."""
    offers = await availability.free_slots(session, resource_id=resource_id, day=day, minutes=minutes, now=now())
    return SlotList(items=[SlotPublic.of(offer) for offer in offers], next=None)


@router.get("/v1/resources/{resource_id}/next-free", summary="Next free slots", responses=_LENGTH_PROBLEMS)
async def list_next_free(
    resource_id: UUID, session: SessionDep, after: Moment | None = None, minutes: Minutes = 60
) -> SlotList:
    """The next three free slots after ``after`` (default: now), as far as bookings reach and within 490 days."""
    asked: AwareDatetime = after or now()
    offers = await availability.next_free(session, resource_id=resource_id, after=asked, minutes=minutes, now=now())
    return SlotList(items=[SlotPublic.of(offer) for offer in offers], next=None)
