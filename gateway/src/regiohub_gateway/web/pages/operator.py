"""For people who run a hub: its day, check-in and cancelling by hand."""

import asyncio
from datetime import date

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.visitor import Visitor
from regiohub_gateway.web import moments
from regiohub_gateway.web.api import Refused, api_of
from regiohub_gateway.web.forms import known_id, known_slug, read_form, visitor_of
from regiohub_gateway.web.pages.bookings import send_cancel
from regiohub_gateway.web.reads import list_hubs
from regiohub_gateway.web.render import go, page
from regiohub_shared.clock import now
from regiohub_shared.problem import Forbidden

router = APIRouter(prefix="/operator", include_in_schema=False)


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
    return await _day(request, hub, None)


async def _day(request: Request, hub: str, refused: Refused | None) -> Response:
    api, day = api_of(request), _day_of(request.query_params.get("date", ""))
    place, bookings = await asyncio.gather(
        api.get("booking", f"/v1/hubs/{hub}"), api.items("booking", f"/v1/hubs/{hub}/bookings", date=day.isoformat())
    )
    rows = sorted(bookings, key=lambda booking: booking["lines"][0]["start"])
    return page(
        request, "operator/day", status=refused.status if refused else 200,
        hub=place, day_shown=day, before=_shift(day, -1), following=_shift(day, 1), bookings=rows, refused=refused, tab="day",
    )  # fmt: skip


@router.post("/{hub}/bookings/{booking_id}/check-in")
async def check_in(request: Request, hub: str, booking_id: str) -> Response:
    """Somebody came without opening the door themselves."""
    hub, form = known_slug(hub), await read_form(request)
    operator_of(request, hub)
    try:
        headers = {"idempotency-key": form.key()}
        await api_of(request).send("POST", "booking", f"/v1/bookings/{known_id(booking_id)}/check-in", headers=headers)
    except Refused as refused:
        if refused.status not in {409, 412}:
            raise
        return await _day(request, hub, refused)
    return go(request, f"/operator/{hub}?date={_day_of(form.values.get('date', '')).isoformat()}")


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
    return go(request, f"/operator/{hub}")


async def _cancel(request: Request, hub: str, booking_id: str, refused: Refused | None) -> Response:
    found = await api_of(request).send("GET", "booking", f"/v1/bookings/{booking_id}")
    alive = found.data["status"] in {"requested", "held", "confirmed", "checked_in"}
    return page(
        request, "cancel", status=refused.status if refused else 200,
        booking=found.data, etag=found.etag, refused=refused, can_cancel=alive,
        action=f"/operator/{hub}/bookings/{booking_id}/cancel", back=f"/operator/{hub}",
    )  # fmt: skip


def for_form(refused: Refused) -> Refused:
    """Return refusals that the form can show; others are pages of their own."""
    if refused.status in {401, 403, 404}:
        raise refused
    return refused


def _day_of(value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        return now().astimezone(moments.ZONE).date()


def _shift(day: date, days: int) -> date:
    return date.fromordinal(day.toordinal() + days)
