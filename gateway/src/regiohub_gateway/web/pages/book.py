"""From a free slot to a hold: the price with its derivation, then one button."""

from datetime import datetime, timedelta

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.web import moments
from regiohub_gateway.web.api import Api, Refused, api_of
from regiohub_gateway.web.forms import known_id, read_form
from regiohub_gateway.web.pages.bookings import minutes_left
from regiohub_gateway.web.pages.public import Search, read_search
from regiohub_gateway.web.reads import HubOffers, Json, list_verdicts, offers_by_hub
from regiohub_gateway.web.render import go, page
from regiohub_shared.clock import now
from regiohub_shared.problem import BadRequest, Problem, TooManyRequests

router = APIRouter(include_in_schema=False)


@router.get("/book")
async def book_page(request: Request) -> Response:
    """A room and a time: whether it is free, and what it costs; who names no time sees the next free one."""
    api, search = api_of(request), read_search(request)
    resource = await api.get("booking", f"/v1/resources/{known_id(request.query_params.get('resource', ''))}")
    if not {"date", "time"} & request.query_params.keys():
        search = await _first_search(api, resource, search)
    return await _show(request, api, resource, search, None)


@router.post("/book")
async def book(request: Request) -> Response:
    """Hold the slot; free of charge means booked."""
    form, api = await read_form(request), api_of(request)
    resource_id = known_id(form.values.get("resource", ""))
    start, end = _slot(form.values.get("start", ""), form.values.get("end", ""))
    line = {"resource_id": resource_id, "start": start.isoformat(), "end": end.isoformat()}
    try:
        headers = {"idempotency-key": form.key()}
        booking = (await api.send("POST", "booking", "/v1/bookings", body={"lines": [line]}, headers=headers)).data
    except TooManyRequests as limit:
        return await _too_many(request, api, int(limit.params["retry_after_s"]))
    except Refused as refused:
        if refused.status == 401:
            raise
        if refused.type == "too-many-holds":
            return await _too_many(request, api, None)
        resource = await api.get("booking", f"/v1/resources/{resource_id}")
        search = _search(resource, start, end)
        return await _show(request, api, resource, search, refused)
    rest = "/pay" if booking["status"] == "held" else "?booked=1"
    return go(request, f"/bookings/{booking['id']}{rest}")


async def _too_many(request: Request, api: Api, hour_over_s: int | None) -> Response:
    """What can be done: pay or give back what is open. Another slot would be refused just the same."""
    own = await api.items("booking", "/v1/bookings", limit=100)
    holds = [(one, left) for one in own if one["status"] == "held" and (left := minutes_left(one))]
    wait_s = hour_over_s or min((60 * left for _, left in holds), default=60)
    until = now() + timedelta(seconds=hour_over_s) if hour_over_s else None
    response = page(request, "holds", status=429, holds=holds, until=until, minutes=-(-wait_s // 60))
    response.headers["Retry-After"] = str(wait_s)
    return response


def _search(resource: Json, start: datetime, end: datetime) -> Search:
    minutes = moments.minutes_between(start, end)
    return Search(resource["hub"], start.date().isoformat(), start.strftime("%H:%M"), minutes, start)


async def _first_search(api: Api, resource: Json, search: Search) -> Search:
    slots = await _later(api, resource, search, None)
    return _search(resource, moments.parse(slots[0]["start"]), moments.parse(slots[0]["end"])) if slots else search


async def _show(request: Request, api: Api, resource: Json, search: Search, refused: Refused | None) -> Response:
    hub = await api.get("booking", f"/v1/hubs/{resource['hub']}")
    found, why = HubOffers(hub, []), ""
    if search.start and search.end:
        found = (await offers_by_hub(api, [hub], search.start, search.end))[0]
        why = await _refusal(api, resource, search)
    own = (
        None if refused else next((offer for offer in found.offers or [] if offer.resource_id == resource["id"]), None)
    )
    taken = not own and (refused.type if refused else why) == "slot-taken"
    mine = await _own_booking(api, resource["id"], search) if taken else None
    others = [offer for offer in found.offers or [] if offer.resource_id != resource["id"]]
    later = [] if own else await _later(api, resource, search, refused)
    times = await _times(api, resource, search)
    status = refused.status if refused else 200 if own else 422 if search.error else 409
    return page(
        request, "book", status=status,
        resource=resource, hub=hub, search=search, offer=own, others=others, later=later, refused=refused, why=why,
        times=times, mine=mine,
    )  # fmt: skip


async def _own_booking(api: Api, resource_id: str, search: Search) -> Json | None:
    """Return the visitor's own booking that takes this room at this time: nobody else was faster then."""
    if api.visitor is None or not search.start or not search.end:
        return None
    try:
        found: list[Json] = await api.items("booking", "/v1/bookings")
    except (Refused, Problem):
        return None
    alive = (one for one in found if one["status"] in {"held", "confirmed", "checked_in"})
    return next((one for one in alive if _takes(one, resource_id, search.start, search.end)), None)


def _takes(booking: Json, resource_id: str, start: datetime, end: datetime) -> bool:
    lines = (line for line in booking["lines"] if line["resource_id"] == resource_id)
    return any(moments.parse(line["start"]) < end and start < moments.parse(line["end"]) for line in lines)


async def _refusal(api: Api, resource: Json, search: Search) -> str:
    """Return the name of the rule that refuses this room at this time, or nothing."""
    assert search.start is not None and search.end is not None  # noqa: PT018, S101 - narrows the type
    verdicts = await list_verdicts(api, search.start, search.end, resource["hub"])
    return next((v["refusal"] or "" for v in verdicts if v["resource_id"] == resource["id"]), "not-bookable")


async def _later(api: Api, resource: Json, search: Search, refused: Refused | None) -> list[Json]:
    """Return the next slots that would work, as long as asked or the nearest length that the room offers."""
    if refused and refused.params.get("alternatives"):
        slots: list[Json] = refused.params["alternatives"]
        return slots
    if not search.start:
        return []
    path = f"/v1/resources/{resource['id']}/next-free"
    return await _slots(api, path, resource, search, after=search.start.isoformat())


async def _times(api: Api, resource: Json, search: Search) -> list[Json]:
    """Return all free slots of the room on that day."""
    if not search.start:
        return []
    return await _slots(api, f"/v1/resources/{resource['id']}/slots", resource, search, date=search.date)


async def _slots(api: Api, path: str, resource: Json, search: Search, **asked: str) -> list[Json]:
    """Return slots as long as wanted; where there is none (a day may be too short for it), those of an hour."""
    shortest, longest = resource["min_minutes"], resource["max_minutes"]
    wanted, hour = (max(shortest, min(minutes, longest)) for minutes in (search.minutes, 60))
    try:
        found = await api.items("booking", path, minutes=wanted, **asked)
        return found or (await api.items("booking", path, minutes=hour, **asked) if hour < wanted else [])
    except Refused:
        return []


def _slot(start: str, end: str) -> tuple[datetime, datetime]:
    """Return the hidden fields' moments; they come from our own page."""
    try:
        return moments.read_moment(start), moments.read_moment(end)
    except ValueError:
        raise BadRequest("start or end is no time") from None
