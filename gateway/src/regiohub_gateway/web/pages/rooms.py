"""An operator's rooms with prices and rules, and the hub's week."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.web.api import Answer, Refused, api_of
from regiohub_gateway.web.forms import Form, known_id, known_slug, read_form
from regiohub_gateway.web.pages.operator import for_form, operator_of
from regiohub_gateway.web.reads import Json
from regiohub_gateway.web.render import go, page
from regiohub_shared.problem import NotFound

router = APIRouter(prefix="/operator", include_in_schema=False)
WEEKDAYS = range(1, 8)


@router.get("/{hub}/rooms")
async def rooms_page(request: Request, hub: str) -> Response:
    """All rooms and desks of a hub."""
    hub = known_slug(hub)
    operator_of(request, hub)
    api = api_of(request)
    place, resources = await asyncio.gather(
        api.get("booking", f"/v1/hubs/{hub}"), api.items("booking", f"/v1/hubs/{hub}/resources")
    )
    return page(request, "operator/rooms", hub=place, resources=resources, tab="rooms")


@router.get("/{hub}/rooms/{resource_id}")
async def room_page(request: Request, hub: str, resource_id: str) -> Response:
    """One room's name, price and rules."""
    hub = known_slug(hub)
    operator_of(request, hub)
    found = await api_of(request).send("GET", "booking", f"/v1/resources/{known_id(resource_id)}")
    return await _room(request, hub, found, None, None)


@router.post("/{hub}/rooms/{resource_id}")
async def change_room(request: Request, hub: str, resource_id: str) -> Response:
    """Change it; bookings keep the price that they were made at."""
    hub, resource_id, form = known_slug(hub), known_id(resource_id), await read_form(request)
    operator_of(request, hub)
    api, path = api_of(request), f"/v1/resources/{resource_id}"
    changes = _room_changes(form)
    refused: Refused | None = None
    if not form.errors:
        try:
            await api.send("PATCH", "booking", path, body=changes, headers={"if-match": form.etag()})
        except Refused as why:
            refused = for_form(why)
        else:
            return go(request, f"/operator/{hub}/rooms")
    return await _room(request, hub, await api.send("GET", "booking", path), form, refused)


def _room_changes(form: Form) -> Json:
    return {
        "name": form.text("name", longest=120),
        "description": form.text("description", longest=500, required=False),
        "cents_per_hour": form.cents("price"),
        "min_minutes": form.whole("min_minutes", low=5, high=44640),
        "max_minutes": form.whole("max_minutes", low=5, high=44640),
        "buffer_before_minutes": form.whole("buffer_before_minutes", low=0, high=1440),
        "buffer_after_minutes": form.whole("buffer_after_minutes", low=0, high=1440),
        "is_active": form.has("is_active"),
    }


async def _room(request: Request, hub: str, found: Answer, form: Form | None, refused: Refused | None) -> Response:
    place = await api_of(request).get("booking", f"/v1/hubs/{hub}")
    if found.data["hub"] != hub:
        raise NotFound
    status = refused.status if refused else 422 if form and form.errors else 200
    return page(
        request, "operator/room", status=status,
        hub=place, room=found.data, etag=found.etag, form=form, refused=refused, tab="rooms",
    )  # fmt: skip


@router.get("/{hub}/hours")
async def hours_page(request: Request, hub: str) -> Response:
    """Opening hours of the week."""
    hub = known_slug(hub)
    operator_of(request, hub)
    return await _hours(request, hub, None, None)


@router.post("/{hub}/hours")
async def change_hours(request: Request, hub: str) -> Response:
    """Replace the week."""
    hub, form = known_slug(hub), await read_form(request)
    operator_of(request, hub)
    week = _week(form)
    refused: Refused | None = None
    if not form.errors:
        try:
            path = f"/v1/hubs/{hub}/opening-hours"
            await api_of(request).send(
                "PUT", "booking", path, body={"opening_hours": week}, headers={"if-match": form.etag()}
            )
        except Refused as why:
            refused = for_form(why)
        else:
            return go(request, f"/operator/{hub}/hours?saved=1")
    return await _hours(request, hub, form, refused)


def _week(form: Form) -> list[Json]:
    """Return the openings; a day without times is closed. ``24:00`` is the end of a day."""
    week = []
    for weekday in WEEKDAYS:
        opens, closes = (form.values.get(f"{name}_{weekday}", "").strip() for name in ("opens", "closes"))
        if not opens and not closes:
            continue
        low, high = _minutes(opens), _minutes(closes)
        if low is None or high is None or low >= high:
            form.errors[f"opens_{weekday}"] = "form.hours"
            continue
        week.append({"weekday": weekday, "opens": _clock(low), "closes": _clock(high)})
    return week


def _minutes(clock: str) -> int | None:
    hours, _, minutes = clock.partition(":")
    if not (hours.isascii() and hours.isdigit() and minutes.isascii() and minutes.isdigit() and len(minutes) == 2):
        return None
    total = int(hours) * 60 + int(minutes)
    return total if total <= 1440 and int(minutes) < 60 else None


async def _hours(request: Request, hub: str, form: Form | None, refused: Refused | None) -> Response:
    found = await api_of(request).send("GET", "booking", f"/v1/hubs/{hub}")
    status = refused.status if refused else 422 if form and form.errors else 200
    return page(
        request, "operator/hours", status=status,
        hub=found.data, etag=found.etag, week=_shown_week(found.data, form), form=form, refused=refused, tab="hours",
        saved="saved" in request.query_params,
    )  # fmt: skip


def _shown_week(hub: Json, form: Form | None) -> dict[int, tuple[str, str]]:
    shown = dict.fromkeys(WEEKDAYS, ("", ""))
    for opening in hub["opening_hours"]:
        shown[opening["weekday"]] = (opening["opens"], opening["closes"])
    if form:
        shown = {day: (form.values.get(f"opens_{day}", ""), form.values.get(f"closes_{day}", "")) for day in WEEKDAYS}
    return shown


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
