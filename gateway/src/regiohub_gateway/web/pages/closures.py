"""Times without bookings, for a room or the whole hub."""

import asyncio
from datetime import date, datetime, time
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.web import moments
from regiohub_gateway.web.api import Refused, api_of
from regiohub_gateway.web.forms import Form, known_id, known_slug, read_form
from regiohub_gateway.web.pages.operator import for_form, operator_of
from regiohub_gateway.web.reads import Json
from regiohub_gateway.web.render import go, page

router = APIRouter(prefix="/operator", include_in_schema=False)
_FIELDS = ("resource", "start_date", "start_time", "end_date", "end_time", "reason")


@router.get("/{hub}/closures")
async def closures_page(request: Request, hub: str) -> Response:
    """Times without bookings; the address may fill the form beforehand."""
    hub = known_slug(hub)
    operator_of(request, hub)
    given = {name: request.query_params[name] for name in _FIELDS if name in request.query_params}
    return await _closures(request, hub, Form(given, {}), None)


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
            made = await api_of(request).send("POST", "booking", f"/v1/hubs/{hub}/closures", body=body, headers=headers)
        except Refused as why:
            refused = for_form(why)
        else:
            return go(request, f"/operator/{hub}/closures?saved={made.data['id']}")
    return await _closures(request, hub, form, refused)


@router.post("/{hub}/closures/{closure_id}/delete")
async def reopen(request: Request, hub: str, closure_id: str) -> Response:
    """Take a closure back; the form then holds the same again, for whoever did it by mistake."""
    hub, form = known_slug(hub), await read_form(request)
    operator_of(request, hub)
    try:
        await api_of(request).send("DELETE", "booking", f"/v1/closures/{known_id(closure_id)}")
    except Refused as refused:
        if refused.status != 404:
            raise
    again = {name: form.values[name] for name in _FIELDS if name in form.values}
    return go(request, f"/operator/{hub}/closures?{urlencode({'lifted': '1'} | again)}")


def _closure(form: Form) -> Json:
    """Return the closure that a form describes."""
    resource = form.values.get("resource", "all")
    body: Json = {"reason": form.text("reason", longest=120), "cancel_conflicting": form.has("cancel_conflicting")}
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


async def _closures(request: Request, hub: str, form: Form, refused: Refused | None) -> Response:
    api = api_of(request)
    place, resources, closures = await asyncio.gather(
        api.get("booking", f"/v1/hubs/{hub}"),
        api.items("booking", f"/v1/hubs/{hub}/resources"),
        api.items("booking", f"/v1/hubs/{hub}/closures"),
    )
    names = {resource["id"]: resource["name"] for resource in resources}
    saved = next((closure for closure in closures if closure["id"] == request.query_params.get("saved")), None)
    return page(
        request, "operator/closures", status=refused.status if refused else 422 if form.errors else 200,
        hub=place, names=names, closures=closures, form=form, refused=refused, in_the_way=_in_the_way(form, refused),
        saved=saved, lifted="lifted" in request.query_params, tab="closures",
    )  # fmt: skip


def _in_the_way(form: Form, refused: Refused | None) -> Json:
    """Return the bookings in a closure's time; while somebody is there, the closure can begin after them.

    ``title`` names the text above them. ``by_hand``: a closure cannot cancel them, an operator may.
    """
    bookings: list[Json] = refused.params.get("bookings", []) if refused else []
    title = {"closure-over-use": "in_use", "closure-over-begun": "begun"}.get(refused.type if refused else "", "")
    ends = [moments.parse(line["end"]) for one in bookings for line in one["lines"]]
    later = _later(form, max(ends)) if title == "in_use" and ends else ""
    return {"bookings": bookings, "title": title or "conflicts", "by_hand": bool(title), "later": later}


def _later(form: Form, start: datetime) -> str:
    """Return the address of the same form with a later start, or nothing if the closure would be over by then."""
    values = form.values | {"start_date": start.date().isoformat(), "start_time": f"{start:%H:%M}"}
    end = f"{values.get('end_date', '')} {values.get('end_time', '')}"
    if end <= f"{start:%Y-%m-%d %H:%M}":
        return ""
    return urlencode({name: values[name] for name in _FIELDS if name in values})
