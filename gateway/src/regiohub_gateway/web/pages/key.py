"""The door key: a page of its own that keeps working without a network, and the worker that keeps it.

What opens the door comes from access alone; booking only adds the names of hub and rooms.
"""

import asyncio
from dataclasses import replace
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from regiohub_gateway.web.api import Api, Refused, api_of, is_away
from regiohub_gateway.web.forms import known_id, visitor_of
from regiohub_gateway.web.reads import Json, find_grant
from regiohub_gateway.web.render import page
from regiohub_shared.problem import NotFound, Unavailable

router = APIRouter(include_in_schema=False)
_WORKER = Path(__file__).parents[1] / "static" / "key-worker.js"
_NAMES_WITHIN_S = 2.0


@router.get("/key/worker.js")
async def worker() -> Response:
    """The service worker stands below ``/key/``, so that it rules these pages and no other."""
    return FileResponse(_WORKER, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


@router.get("/key/{booking_id}")
async def key_page(request: Request, booking_id: str) -> Response:
    """QR code and PIN of one booking; 503 while access is away, so that the kept page stays."""
    visitor_of(request)
    api, booking_id = api_of(request), known_id(booking_id)
    grant, names = await asyncio.gather(find_grant(api, booking_id), _names_of(api, booking_id))
    if isinstance(names, Exception) and (grant is None or not is_away(names)):
        raise names
    booking, hub = (None, None) if isinstance(names, Exception) else names
    if booking and not booking["is_own"]:
        raise NotFound
    return page(request, "key", booking_id=booking_id, booking=booking, hub=hub, grant=grant)


async def _names_of(api: Api, booking_id: str) -> tuple[Json, Json] | Exception:
    """Return booking and hub, or why booking did not tell."""
    quick = replace(api, read_s=_NAMES_WITHIN_S)
    try:
        booking = await quick.get("booking", f"/v1/bookings/{booking_id}")
        return booking, await quick.get("booking", f"/v1/hubs/{booking['hub']}")
    except (Refused, Unavailable) as error:
        return error
