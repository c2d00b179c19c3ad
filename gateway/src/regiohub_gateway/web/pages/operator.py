"""For people who run a hub: the day, rooms and prices, hours, closures, readers."""

import asyncio
from datetime import date, time

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.visitor import Visitor
from regiohub_gateway.web import moments
from regiohub_gateway.web.api import Answer, Api, Refused, api_of
from regiohub_gateway.web.forms import Form, known_id, known_slug, read_form, visitor_of
from regiohub_gateway.web.pages.bookings import send_cancel
from regiohub_gateway.web.reads import Json, list_hubs
from regiohub_gateway.web.render import go, page
from regiohub_shared.clock import now
from regiohub_shared.problem import Forbidden, NotFound, Unavailable

router = APIRouter(prefix="/operator", include_in_schema=False)
WEEKDAYS = range(1, 8)


def _operator(request: Request, hub: str = "") -> Visitor:
    """Return who runs this hub (or any); services check again."""
    visitor = visitor_of(request)
    runs_all = "county-admin" in visitor.roles
    if not (runs_all or (visitor.hubs and hub in ({""} | visitor.hubs))):
        raise Forbidden
    return visitor


@router.get("")
async def hubs_page(request: Request) -> Response:
    """The hubs that this person runs; one hub opens at once."""
    visitor = _operator(request)
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
    _operator(request, hub)
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
    _operator(request, hub)
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
    _operator(request, hub)
    return await _cancel(request, hub, known_id(booking_id), None)


@router.post("/{hub}/bookings/{booking_id}/cancel")
async def cancel(request: Request, hub: str, booking_id: str) -> Response:
    """Cancel with a full refund."""
    hub, booking_id, form = known_slug(hub), known_id(booking_id), await read_form(request)
    _operator(request, hub)
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


@router.get("/{hub}/rooms")
async def rooms_page(request: Request, hub: str) -> Response:
    """All rooms and desks of a hub."""
    hub = known_slug(hub)
    _operator(request, hub)
    api = api_of(request)
    place, resources = await asyncio.gather(
        api.get("booking", f"/v1/hubs/{hub}"), api.items("booking", f"/v1/hubs/{hub}/resources")
    )
    return page(request, "operator/rooms", hub=place, resources=resources, tab="rooms")


@router.get("/{hub}/rooms/{resource_id}")
async def room_page(request: Request, hub: str, resource_id: str) -> Response:
    """One room's name, price and rules."""
    hub = known_slug(hub)
    _operator(request, hub)
    found = await api_of(request).send("GET", "booking", f"/v1/resources/{known_id(resource_id)}")
    return await _room(request, hub, found, None, None)


@router.post("/{hub}/rooms/{resource_id}")
async def change_room(request: Request, hub: str, resource_id: str) -> Response:
    """Change it; bookings keep the price that they were made at."""
    hub, resource_id, form = known_slug(hub), known_id(resource_id), await read_form(request)
    _operator(request, hub)
    api, path = api_of(request), f"/v1/resources/{resource_id}"
    changes = _room_changes(form)
    refused: Refused | None = None
    if not form.errors:
        try:
            await api.send("PATCH", "booking", path, body=changes, headers={"if-match": form.etag()})
        except Refused as why:
            refused = _for_page(why)
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
    _operator(request, hub)
    return await _hours(request, hub, None, None)


@router.post("/{hub}/hours")
async def change_hours(request: Request, hub: str) -> Response:
    """Replace the week."""
    hub, form = known_slug(hub), await read_form(request)
    _operator(request, hub)
    week = _week(form)
    refused: Refused | None = None
    if not form.errors:
        try:
            path = f"/v1/hubs/{hub}/opening-hours"
            await api_of(request).send(
                "PUT", "booking", path, body={"opening_hours": week}, headers={"if-match": form.etag()}
            )
        except Refused as why:
            refused = _for_page(why)
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


@router.get("/{hub}/closures")
async def closures_page(request: Request, hub: str) -> Response:
    """Times without bookings."""
    hub = known_slug(hub)
    _operator(request, hub)
    return await _closures(request, hub, None, None)


@router.post("/{hub}/closures")
async def close(request: Request, hub: str) -> Response:
    """Close a room or the hub; bookings in the way are named first, and cancelled only when told so."""
    hub, form = known_slug(hub), await read_form(request)
    _operator(request, hub)
    body = _closure(form)
    refused: Refused | None = None
    if not form.errors:
        try:
            headers = {"idempotency-key": form.key()}
            await api_of(request).send("POST", "booking", f"/v1/hubs/{hub}/closures", body=body, headers=headers)
        except Refused as why:
            refused = _for_page(why)
        else:
            return go(request, f"/operator/{hub}/closures")
    return await _closures(request, hub, form, refused)


@router.post("/{hub}/closures/{closure_id}/delete")
async def reopen(request: Request, hub: str, closure_id: str) -> Response:
    """Take a closure back."""
    hub = known_slug(hub)
    await read_form(request)
    _operator(request, hub)
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


@router.get("/{hub}/readers")
async def readers_page(request: Request, hub: str) -> Response:
    """Readers with their last sync, and what happened at the doors."""
    hub = known_slug(hub)
    _operator(request, hub)
    api = api_of(request)
    place = await api.get("booking", f"/v1/hubs/{hub}")
    readers, events = await asyncio.gather(_of_access(api, hub, "readers"), _of_access(api, hub, "door-events"))
    return page(request, "operator/readers", hub=place, readers=readers, events=events, tab="readers")


async def _of_access(api: Api, hub: str, what: str) -> list[Json] | None:
    """Return a list, or None while access is away."""
    try:
        found = await api.get("access", f"/v1/hubs/{hub}/{what}")
    except Unavailable:
        return None
    items: list[Json] = found["items"] if isinstance(found, dict) else found
    return items


def _for_page(refused: Refused) -> Refused:
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
