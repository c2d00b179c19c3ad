"""For people who run a hub: its day, check-in and cancelling by hand, its readers."""

import asyncio
from datetime import date, datetime, timedelta

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.visitor import Visitor
from regiohub_gateway.web import moments
from regiohub_gateway.web.api import Api, Refused, api_of
from regiohub_gateway.web.forms import known_id, known_slug, read_form, visitor_of
from regiohub_gateway.web.pages.bookings import send_cancel
from regiohub_gateway.web.reads import Json, bookings_of_pins, list_hubs
from regiohub_gateway.web.render import go, page
from regiohub_shared.clock import now
from regiohub_shared.problem import Forbidden, Unavailable

router = APIRouter(prefix="/operator", include_in_schema=False)
_CHECK_IN_MARGIN = timedelta(minutes=60)
"""So long before the start booking checks in by hand."""


def operator_of(request: Request, hub: str = "") -> Visitor:
    """Return who runs this hub (or any); services check again."""
    visitor = visitor_of(request)
    runs_all = "county-admin" in visitor.roles
    if not (runs_all or (visitor.hubs and hub in ({""} | visitor.hubs))):
        raise Forbidden
    return visitor


@router.get("")
async def hubs_page(request: Request) -> Response:
    """The hubs that this person runs; one hub opens at once."""
    visitor = operator_of(request)
    hubs = [
        hub
        for hub in await list_hubs(api_of(request))
        if hub["slug"] in visitor.hubs or "county-admin" in visitor.roles
    ]
    if len(hubs) == 1:
        return go(request, f"/operator/{hubs[0]['slug']}")
    return page(request, "operator/hubs", hubs=hubs)


@router.get("/{hub}")
async def day_page(request: Request, hub: str) -> Response:
    """All bookings of a day."""
    hub = known_slug(hub)
    operator_of(request, hub)
    return await _day(request, hub, _day_of(request.query_params.get("date", "")), None)


async def _day(request: Request, hub: str, day: date, refused: Refused | None) -> Response:
    api = api_of(request)
    place, rows = await asyncio.gather(
        api.get("booking", f"/v1/hubs/{hub}"), api.items("booking", f"/v1/hubs/{hub}/bookings", date=day.isoformat())
    )
    done = next((booking for booking in rows if booking["id"] == request.query_params.get("done")), None)
    return page(
        request, "operator/day", status=refused.status if refused else 200,
        hub=place, day_shown=day, before=_shift(day, -1), following=_shift(day, 1), bookings=rows, done=done,
        refused=refused, tab="day", can_check_in=lambda booking: may_check_in(booking, now()),
    )  # fmt: skip


def may_check_in(booking: Json, at: datetime) -> bool:
    """Return whether the button makes sense: somebody can be there; booking decides."""
    start, end = moments.parse(booking["starts_at"]), moments.parse(booking["ends_at"])
    return booking["status"] == "confirmed" and start - _CHECK_IN_MARGIN <= at < end


@router.post("/{hub}/bookings/{booking_id}/check-in")
async def check_in(request: Request, hub: str, booking_id: str) -> Response:
    """Somebody came without opening the door themselves."""
    hub, booking_id, form = known_slug(hub), known_id(booking_id), await read_form(request)
    operator_of(request, hub)
    day = _day_of(form.values.get("date", ""))
    try:
        await api_of(request).send("POST", "booking", f"/v1/bookings/{booking_id}/check-in")
    except Refused as refused:
        if refused.status not in {409, 412}:
            raise
        return await _day(request, hub, day, refused)
    return go(request, f"/operator/{hub}?date={day.isoformat()}&done={booking_id}")


@router.get("/{hub}/bookings/{booking_id}/cancel")
async def cancel_page(request: Request, hub: str, booking_id: str) -> Response:
    """Ask before cancelling somebody else's booking."""
    hub = known_slug(hub)
    operator_of(request, hub)
    return await _cancel(request, hub, known_id(booking_id), None)


@router.post("/{hub}/bookings/{booking_id}/cancel")
async def cancel(request: Request, hub: str, booking_id: str) -> Response:
    """Cancel with a full refund."""
    hub, booking_id, form = known_slug(hub), known_id(booking_id), await read_form(request)
    operator_of(request, hub)
    try:
        await send_cancel(api_of(request), booking_id, form)
    except Refused as refused:
        if refused.status not in {409, 412}:
            raise
        return await _cancel(request, hub, booking_id, refused)
    return go(request, f"/operator/{hub}?date={_day_of(form.values.get('date', '')).isoformat()}&done={booking_id}")


async def _cancel(request: Request, hub: str, booking_id: str, refused: Refused | None) -> Response:
    found = await api_of(request).send("GET", "booking", f"/v1/bookings/{booking_id}")
    alive = found.data["status"] in {"requested", "held", "confirmed", "checked_in"}
    return page(
        request, "cancel", status=refused.status if refused else 200,
        booking=found.data, etag=found.etag, refused=refused, can_cancel=alive,
        action=f"/operator/{hub}/bookings/{booking_id}/cancel", back=f"/operator/{hub}",
    )  # fmt: skip


@router.get("/{hub}/readers")
async def readers_page(request: Request, hub: str) -> Response:
    """Readers with their last sync, and what happened at the doors."""
    hub = known_slug(hub)
    operator_of(request, hub)
    api = api_of(request)
    place = await api.get("booking", f"/v1/hubs/{hub}")
    lists = (("readers", "items"), ("door-events", "items"), ("doors", "doors"))
    readers, events, doors = await asyncio.gather(*(_of_access(api, hub, what, key) for what, key in lists))
    return page(
        request, "operator/readers",
        hub=place, readers=readers, events=events, door_names={door["number"]: door["name"] for door in doors or []},
        bookings=await bookings_of_pins(api, hub, [pin for reader in readers or [] for pin in reader["pins"]]),
        tab="readers",
    )  # fmt: skip


async def _of_access(api: Api, hub: str, what: str, key: str) -> list[Json] | None:
    """Return a list, or None while access is away."""
    try:
        found = await api.get("access", f"/v1/hubs/{hub}/{what}")
    except Unavailable:
        return None
    items: list[Json] = found[key]
    return items


def for_form(refused: Refused) -> Refused:
    """Return refusals that the form can show; others are pages of their own."""
    if refused.status in {401, 403, 404}:
        raise refused
    return refused


def _day_of(value: str) -> date:
    try:
        return moments.read_day(value)
    except ValueError:
        return now().astimezone(moments.ZONE).date()


def _shift(day: date, days: int) -> date:
    return date.fromordinal(day.toordinal() + days)
