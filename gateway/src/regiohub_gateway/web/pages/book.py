"""From a free slot to a hold: the price with its derivation, then one button."""

from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.web import moments
from regiohub_gateway.web.api import Api, Refused, api_of
from regiohub_gateway.web.forms import known_id, read_form
from regiohub_gateway.web.pages.public import Search, read_search
from regiohub_gateway.web.reads import HubOffers, Json, list_verdicts, offers_by_hub
from regiohub_gateway.web.render import go, page
from regiohub_shared.problem import BadRequest

router = APIRouter(include_in_schema=False)


@router.get("/book")
async def book_page(request: Request) -> Response:
    """A room and a time: whether it is free, and what it costs."""
    api, search = api_of(request), read_search(request)
    resource = await api.get("booking", f"/v1/resources/{known_id(request.query_params.get('resource', ''))}")
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
    except Refused as refused:
        if refused.status == 401:
            raise
        resource = await api.get("booking", f"/v1/resources/{resource_id}")
        minutes = int((end - start).total_seconds() // 60)
        search = Search(resource["hub"], start.date().isoformat(), start.strftime("%H:%M"), minutes, start)
        return await _show(request, api, resource, search, refused)
    rest = "/pay" if booking["status"] == "held" else ""
    return go(request, f"/bookings/{booking['id']}{rest}")


async def _show(request: Request, api: Api, resource: Json, search: Search, refused: Refused | None) -> Response:
    hub = await api.get("booking", f"/v1/hubs/{resource['hub']}")
    found, why = HubOffers(hub, []), ""
    if search.start and search.end:
        found = (await offers_by_hub(api, [hub], search.start, search.end))[0]
        why = await _refusal(api, resource, search)
    own = (
        None if refused else next((offer for offer in found.offers or [] if offer.resource_id == resource["id"]), None)
    )
    others = [offer for offer in found.offers or [] if offer.resource_id != resource["id"]]
    later = [] if own else await _later(api, resource, search, refused)
    status = refused.status if refused else 200 if own else 422 if search.error else 409
    return page(
        request, "book", status=status,
        resource=resource, hub=hub, search=search, offer=own, others=others, later=later, refused=refused, why=why,
    )  # fmt: skip


async def _refusal(api: Api, resource: Json, search: Search) -> str:
    """Return the name of the rule that refuses this room at this time, or nothing."""
    assert search.start is not None and search.end is not None  # noqa: PT018, S101 - narrows the type
    verdicts = await list_verdicts(api, search.start, search.end, resource["hub"])
    return next((v["refusal"] or "" for v in verdicts if v["resource_id"] == resource["id"]), "not-bookable")


async def _later(api: Api, resource: Json, search: Search, refused: Refused | None) -> list[Json]:
    """Return the next slots of that length that would work."""
    if refused and refused.params.get("alternatives"):
        slots: list[Json] = refused.params["alternatives"]
        return slots
    if not search.start:
        return []
    path = f"/v1/resources/{resource['id']}/next-free"
    try:
        return await api.items("booking", path, after=search.start.isoformat(), minutes=search.minutes)
    except Refused:
        return []


def _slot(start: str, end: str) -> tuple[datetime, datetime]:
    """Return the hidden fields' moments; they come from our own page."""
    try:
        return moments.parse(start), moments.parse(end)
    except ValueError:
        raise BadRequest("start or end is no time") from None
