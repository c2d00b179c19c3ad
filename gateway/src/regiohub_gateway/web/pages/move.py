"""Move a booking: another time or room of the same hub, as long as the price stays."""

import asyncio
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.web import moments
from regiohub_gateway.web.api import Api, Refused, api_of
from regiohub_gateway.web.forms import Form, known_id, read_form, visitor_of
from regiohub_gateway.web.reads import Json, own_booking
from regiohub_gateway.web.render import go, page
from regiohub_shared.clock import now
from regiohub_shared.problem import NotFound

router = APIRouter(include_in_schema=False)
_SHOWN = ("line", "resource", "date", "time", "fold")


def can_move(booking: Json) -> bool:
    """Return whether the button makes sense; booking decides."""
    return booking["status"] == "confirmed" and moments.parse(booking["starts_at"]) > now()


@router.get("/bookings/{booking_id}/move")
async def move_page(request: Request, booking_id: str) -> Response:
    """The booking as it is, and where it could go: the address may name line, resource, date and time."""
    visitor_of(request)
    query = {name: request.query_params[name] for name in _SHOWN if name in request.query_params}
    return await _show(request, api_of(request), known_id(booking_id), Form(values=query, lists={}), None)


@router.post("/bookings/{booking_id}/move")
async def move(request: Request, booking_id: str) -> Response:
    """Move; refused means that nothing has changed, and says what would work."""
    form, api, booking_id = await read_form(request), api_of(request), known_id(booking_id)
    line = _line(await api.get("booking", f"/v1/bookings/{booking_id}"), form)
    resource = known_id(form.values.get("resource", ""))
    start, choices = _start(form)
    if start is None:
        return await _show(request, api, booking_id, form, None, choices=choices)
    wish = {
        "line_id": line["id"], "resource_id": resource, "start": start.isoformat(),
        "end": moments.after(start, _minutes(line)).isoformat(),
    }  # fmt: skip
    try:
        path, headers = f"/v1/bookings/{booking_id}/move", {"if-match": form.etag()}
        await api.send("POST", "booking", path, body={"lines": [wish]}, headers=headers)
    except Refused as refused:
        if refused.status not in {409, 412, 422}:
            raise
        mine = await _own_other(api, booking_id, wish) if refused.type == "slot-taken" else None
        return await _show(request, api, booking_id, form, refused, mine=mine)
    return go(request, f"/bookings/{booking_id}?moved=1")


async def _show(
    request: Request,
    api: Api,
    booking_id: str,
    form: Form,
    refused: Refused | None,
    *,
    choices: tuple[datetime, ...] = (),
    mine: Json | None = None,
) -> Response:
    found = await api.send("GET", "booking", f"/v1/bookings/{booking_id}")
    booking, line = found.data, _line(found.data, form)
    hub, resources = await asyncio.gather(
        api.get("booking", f"/v1/hubs/{booking['hub']}"), api.items("booking", f"/v1/hubs/{booking['hub']}/resources")
    )
    status = refused.status if refused else 422 if form.errors else 200
    return page(
        request, "move", status=status,
        booking=booking, etag=found.etag, line=line, minutes=_minutes(line), hub=hub, form=form, refused=refused,
        resources=[(one["id"], one["name"]) for one in resources if one["is_active"] or one["id"] == line["resource_id"]],
        shown=_shown(line, form), choices=choices, can_move=can_move(booking), offers=_offers(refused), mine=mine,
    )  # fmt: skip


async def _own_other(api: Api, booking_id: str, wish: Json) -> Json | None:
    """Return another booking of the visitor that takes this place then: nobody else was faster."""
    start, end = moments.parse(wish["start"]), moments.parse(wish["end"])
    return await own_booking(api, wish["resource_id"], start, end, but=booking_id)


def _line(booking: Json, form: Form) -> Json:
    """Return the line that moves: the only one, or the one that the form names."""
    lines: list[Json] = booking["lines"]
    wanted = form.values.get("line") or lines[0]["id"]
    found = next((line for line in lines if line["id"] == wanted), None)
    if found is None:
        raise NotFound
    return found


def _minutes(line: Json) -> int:
    return int((moments.parse(line["end"]) - moments.parse(line["start"])).total_seconds() // 60)


def _shown(line: Json, form: Form) -> dict[str, str]:
    """Return what the fields hold: what was sent, else the line as it is."""
    start = moments.parse(line["start"])
    now_there = {"resource": line["resource_id"], "date": start.date().isoformat(), "time": start.strftime("%H:%M")}
    return now_there | {name: value for name, value in form.values.items() if name in now_there}


def _start(form: Form) -> tuple[datetime | None, tuple[datetime, ...]]:
    """Return the moment that is meant, or both readings of a local time that the clocks show twice."""
    day, clock = form.day("date"), form.clock("time")
    if day is None or clock is None:
        return None, ()
    try:
        return moments.local(day, clock), ()
    except moments.NoSuchTime:
        form.errors["time"] = "find.no_such_time"
    except moments.TwoSuchTimes as two:
        if form.values.get("fold") in {"0", "1"}:
            return two.choices[int(form.values["fold"])], ()
        form.errors["time"] = "find.two_such_times"
        return None, two.choices
    return None, ()


def _offers(refused: Refused | None) -> list[dict[str, Any]]:
    """Return slots at the same price, the same room first."""
    if refused is None:
        return []
    found: list[dict[str, Any]] = [*refused.params.get("alternatives", []), *refused.params.get("resources", [])]
    return found[:8]
