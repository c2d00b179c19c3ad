"""The door key: a page of its own that keeps working without a network, and the worker that keeps it."""

import asyncio
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from regiohub_gateway.web.api import api_of
from regiohub_gateway.web.forms import known_id, visitor_of
from regiohub_gateway.web.reads import grant_of
from regiohub_gateway.web.render import page

router = APIRouter(include_in_schema=False)
_WORKER = Path(__file__).parents[1] / "static" / "key-worker.js"


@router.get("/key/worker.js")
async def worker() -> Response:
    """The service worker stands below ``/key/``, so that it rules these pages and no other."""
    return FileResponse(_WORKER, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


@router.get("/key/{booking_id}")
async def key_page(request: Request, booking_id: str) -> Response:
    """QR code and PIN of one booking."""
    visitor_of(request)
    api, booking_id = api_of(request), known_id(booking_id)
    booking, grant = await asyncio.gather(api.get("booking", f"/v1/bookings/{booking_id}"), grant_of(api, booking_id))
    hub = await api.get("booking", f"/v1/hubs/{booking['hub']}")
    return page(request, "key", booking=booking, hub=hub, grant=grant)
