"""An operator's rooms with prices and rules, and the hub's week."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.web.api import Answer, Refused, api_of
from regiohub_gateway.web.forms import Form, known_id, known_slug, read_form
from regiohub_gateway.web.pages.operator import for_form, operator_of
from regiohub_gateway.web.reads import Json
from regiohub_gateway.web.render import go, page
from regiohub_gateway.web.week import MoreOpenings, fits, is_edited, read_week, show_week, shown
from regiohub_shared.problem import NotFound

router = APIRouter(prefix="/operator", include_in_schema=False)


@router.get("/{hub}/rooms")
async def rooms_page(request: Request, hub: str) -> Response:
    """All rooms and desks of a hub."""
    hub = known_slug(hub)
    operator_of(request, hub)
    api = api_of(request)
    place, resources = await asyncio.gather(
        api.get("booking", f"/v1/hubs/{hub}"), api.items("booking", f"/v1/hubs/{hub}/resources")
    )
    saved = next((room for room in resources if room["id"] == request.query_params.get("saved")), None)
    return page(request, "operator/rooms", hub=place, resources=resources, saved=saved, tab="rooms")


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
    stored = await api.send("GET", "booking", path)
    # Against another version it says nothing; booking then answers that somebody was faster.
    is_same = stored.etag == form.etag()
    if is_same and form.values.get("hours") == "hub" and is_edited(stored.data["opening_hours"], form):
        form.errors["hours"] = "form.hours_of_hub"
    refused: Refused | None = None
    if not form.errors:
        try:
            await api.send("PATCH", "booking", path, body=changes, headers={"if-match": form.etag()})
        except Refused as why:
            refused = for_form(why)
        else:
            return go(request, f"/operator/{hub}/rooms?saved={resource_id}")
    return await _room(request, hub, await api.send("GET", "booking", path), _kept(form, refused), refused)


def _room_changes(form: Form) -> Json:
    return _hours_changes(form) | {
        "name": form.text("name", longest=120),
        "description": form.lines("description", longest=1000),
        "cents_per_hour": form.cents("price"),
        "min_minutes": form.whole("min_minutes", low=5, high=44640),
        "max_minutes": form.whole("max_minutes", low=5, high=44640),
        "buffer_before_minutes": form.whole("buffer_before_minutes", low=0, high=1440),
        "buffer_after_minutes": form.whole("buffer_after_minutes", low=0, high=1440),
        "is_active": form.has("is_active"),
    }


def _hours_changes(form: Form) -> Json:
    """Return the room's own hours, none for those of the hub, or nothing at all: what the form cannot show stays."""
    wanted = form.values.get("hours", "keep")
    if wanted == "hub":
        return {"opening_hours": []}
    if wanted != "own":
        return {}
    week = read_week(form)
    if not week and not form.errors:
        form.errors["hours"] = "form.no_hours"
    return {"opening_hours": week}


async def _room(request: Request, hub: str, found: Answer, form: Form | None, refused: Refused | None) -> Response:
    place = await api_of(request).get("booking", f"/v1/hubs/{hub}")
    if found.data["hub"] != hub:
        raise NotFound
    status = refused.status if refused else 422 if form and form.errors else 200
    openings = found.data["opening_hours"]
    return page(
        request, "operator/room", status=status,
        hub=place, room=found.data, etag=found.etag, form=form, refused=refused, tab="rooms",
        week=show_week(shown(openings), form),
        can_edit_week=fits(openings) or not found.data["has_own_hours"],
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
    api, week = api_of(request), read_week(form)
    if not fits((await api.get("booking", f"/v1/hubs/{hub}"))["opening_hours"]):
        raise MoreOpenings
    refused: Refused | None = None
    if not form.errors:
        try:
            path = f"/v1/hubs/{hub}/opening-hours"
            await api.send("PUT", "booking", path, body={"opening_hours": week}, headers={"if-match": form.etag()})
        except Refused as why:
            refused = for_form(why)
        else:
            return go(request, f"/operator/{hub}/hours?saved=1")
    return await _hours(request, hub, _kept(form, refused), refused)


async def _hours(request: Request, hub: str, form: Form | None, refused: Refused | None) -> Response:
    found = await api_of(request).send("GET", "booking", f"/v1/hubs/{hub}")
    openings = found.data["opening_hours"]
    status = refused.status if refused else 422 if form and form.errors else 200
    return page(
        request, "operator/hours", status=status,
        hub=found.data, etag=found.etag, week=show_week(openings, form) if fits(openings) else None, form=form,
        refused=refused, tab="hours", saved="saved" in request.query_params,
    )  # fmt: skip


def _kept(form: Form | None, refused: Refused | None) -> Form | None:
    """Return what was sent, unless somebody else was faster: then the page shows what they stored."""
    return None if refused and refused.status == 412 else form
