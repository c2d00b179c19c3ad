"""Open a door from afar, with a reason; readers with their last sync, and what happened at the doors."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.web.api import Api, Refused, api_of
from regiohub_gateway.web.forms import Form, known_slug, read_form
from regiohub_gateway.web.pages.operator import for_form, operator_of
from regiohub_gateway.web.reads import Json, bookings_of_pins
from regiohub_gateway.web.render import go, page
from regiohub_shared.problem import Unavailable

router = APIRouter(prefix="/operator", include_in_schema=False)
_SHOWN = 20
_SHORTEST = 3


@router.get("/{hub}/readers")
async def readers_page(request: Request, hub: str) -> Response:
    """Readers, commands and door events."""
    hub = known_slug(hub)
    operator_of(request, hub)
    return await _show(request, hub, None, None)


@router.post("/{hub}/open")
async def open_door(request: Request, hub: str) -> Response:
    """Order it; the form's key is the command's id, so that a form sent twice opens once."""
    hub, form = known_slug(hub), await read_form(request)
    operator_of(request, hub)
    door, reason = form.whole("door", low=1, high=65535), form.text("reason", longest=200)
    if 0 < len(reason) < _SHORTEST:
        form.errors["reason"] = "form.required"
    if form.errors:
        return await _show(request, hub, form, None)
    try:
        path, body = f"/v1/hubs/{hub}/commands/{form.key()}", {"door": door, "reason": reason}
        await api_of(request).send("PUT", "access", path, body=body)
    except Refused as refused:
        return await _show(request, hub, form, for_form(refused))
    return go(request, f"/operator/{hub}/readers#commands")


async def _show(request: Request, hub: str, form: Form | None, refused: Refused | None) -> Response:
    api = api_of(request)
    place = await api.get("booking", f"/v1/hubs/{hub}")
    readers, events, commands, doors = await asyncio.gather(
        *(_of_access(api, hub, what) for what in ("readers", "door-events", "commands", "doors"))
    )
    status = refused.status if refused else 422 if form and form.errors else 200
    return page(
        request, "operator/readers", status=status,
        hub=place, readers=readers, events=events, commands=(commands or [])[:_SHOWN], doors=doors or [],
        options=[(door["number"], f"{door['number']} – {door['name']}") for door in doors or []],
        names={door["number"]: door["name"] for door in doors or []}, form=form, refused=refused,
        bookings=await bookings_of_pins(api, hub, [pin for reader in readers or [] for pin in reader["pins"]]),
        tab="readers",
    )  # fmt: skip


async def _of_access(api: Api, hub: str, what: str) -> list[Json] | None:
    """Return a list, or None while access is away or has never heard of the hub's doors."""
    try:
        found = await api.find("access", f"/v1/hubs/{hub}/{what}")
    except Unavailable:
        return None
    if isinstance(found, dict):
        found = found["doors" if what == "doors" else "items"]
    items: list[Json] | None = found
    return items
