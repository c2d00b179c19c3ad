"""Times without bookings, for a room or the whole hub."""

import asyncio
from datetime import date, time

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.web import moments
from regiohub_gateway.web.api import Refused, api_of
from regiohub_gateway.web.forms import Form, known_id, known_slug, read_form
from regiohub_gateway.web.pages.operator import for_form, operator_of
from regiohub_gateway.web.reads import Json
from regiohub_gateway.web.render import go, page

router = APIRouter(prefix="/operator", include_in_schema=False)


@router.get("/{hub}/closures")
async def closures_page(request: Request, hub: str) -> Response:
    """Times without bookings."""
    hub = known_slug(hub)
    operator_of(request, hub)
    return await _closures(request, hub, None, None)


@router.post("/{hub}/closures")
async def close(request: Request, hub: str) -> Response:
    """Close a room or the hub; bookings in the way are named first, and cancelled only when told so."""
    hub, form = known_slug(hub), await read_form(request)
    operator_of(request, hub)
    body = _closure(form)
    refused: Refused | None = None
    if not form.errors:
        try:
            headers = {"idempotency-key": form.key()}
            await api_of(request).send("POST", "booking", f"/v1/hubs/{hub}/closures", body=body, headers=headers)
        except Refused as why:
            refused = for_form(why)
        else:
            return go(request, f"/operator/{hub}/closures")
    return await _closures(request, hub, form, refused)


@router.post("/{hub}/closures/{closure_id}/delete")
async def reopen(request: Request, hub: str, closure_id: str) -> Response:
    """Take a closure back."""
    hub = known_slug(hub)
    await read_form(request)
    operator_of(request, hub)
    try:
        await api_of(request).send("DELETE", "booking", f"/v1/closures/{known_id(closure_id)}")
    except Refused as refused:
        if refused.status != 404:
            raise
    return go(request, f"/operator/{hub}/closures")


def _closure(form: Form) -> Json:
    """Return the closure that a form describes."""
    resource = form.values.get("resource", "all")
    body: Json = {"reason": form.text("reason", longest=200), "cancel_conflicting": form.has("cancel_conflicting")}
    body |= {"all": True} if resource == "all" else {"resource_id": known_id(resource)}
    for name in ("start", "end"):
        day, clock = form.day(f"{name}_date"), form.clock(f"{name}_time")
        if day and clock:
            body[name] = _closure_time(form, name, day, clock)
    if not form.errors and body["start"] >= body["end"]:
        form.errors["end_time"] = "form.order"
    return body


def _closure_time(form: Form, name: str, day: date, clock: time) -> str:
    try:
        return moments.local(day, clock).isoformat()
    except moments.NoSuchTime:
        form.errors[f"{name}_time"] = "find.no_such_time"
    except moments.TwoSuchTimes as two:
        # The wider reading: a closure begins at the first and ends at the second.
        return two.choices[0 if name == "start" else 1].isoformat()
    return ""


async def _closures(request: Request, hub: str, form: Form | None, refused: Refused | None) -> Response:
    api = api_of(request)
    place, resources, closures = await asyncio.gather(
        api.get("booking", f"/v1/hubs/{hub}"),
        api.items("booking", f"/v1/hubs/{hub}/resources"),
        api.items("booking", f"/v1/hubs/{hub}/closures"),
    )
    names = {resource["id"]: resource["name"] for resource in resources}
    conflicts = refused.params.get("bookings", []) if refused else []
    status = refused.status if refused else 422 if form and form.errors else 200
    return page(
        request, "operator/closures", status=status,
        hub=place, resources=resources, names=names, closures=closures, form=form, refused=refused,
        conflicts=conflicts, tab="closures",
    )  # fmt: skip
