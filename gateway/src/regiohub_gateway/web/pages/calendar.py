"""The member's calendar address: made or renewed, shown once, revoked."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.web.api import api_of
from regiohub_gateway.web.forms import read_form
from regiohub_gateway.web.pages.bookings import show_list
from regiohub_gateway.web.render import go

router = APIRouter(include_in_schema=False)


@router.get("/bookings/calendar")
async def calendar_page(request: Request) -> Response:
    """Where a reload or the other language leads after the address was shown: it cannot be shown again."""
    return go(request, "/bookings")


@router.post("/bookings/calendar")
async def renew(request: Request) -> Response:
    """Make a new address and show it in this very answer: in a redirect it would stand in histories and logs."""
    await read_form(request)
    api = api_of(request)
    made = (await api.send("POST", "booking", "/v1/calendar-feed")).data
    return show_list(request, await api.items("booking", "/v1/bookings"), made, made["url"])


@router.post("/bookings/calendar/revoke")
async def revoke(request: Request) -> Response:
    """The address leads nowhere from now on."""
    await read_form(request)
    await api_of(request).send("DELETE", "booking", "/v1/calendar-feed")
    return go(request, "/bookings")
