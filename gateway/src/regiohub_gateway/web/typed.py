"""What somebody typed into a form that came too late: kept in their own browser for as long as a login may take.

Nothing of it may stand in an address, and the gateway keeps no row for who is not logged in.
"""

import base64
import json
from collections.abc import Mapping
from typing import TypeVar

from fastapi import Request
from fastapi.responses import Response

from regiohub_gateway.visitor import TYPED

_FOR_S = 900
_LONGEST = 120
"""As much as a field of these takes; with four bytes a letter the cookie stays below what browsers keep (4 KB)."""
R = TypeVar("R", bound=Response)
FIELDS: Mapping[str, tuple[str, ...]] = {
    "/bookings/{booking_id}/pay": ("name", "street", "postcode", "city", "country"),
}
"""The fields that each route's form keeps; what an address may carry is in ``returns``."""


def keep(response: Response, request: Request, fields: Mapping[str, str]) -> None:
    """Keep what a form held that was sent, if its route keeps anything."""
    names = FIELDS.get(request.scope["route"].path, ()) if fields else ()
    kept = {name: fields[name][:_LONGEST] for name in names if name in fields}
    if kept:
        data = {"path": request.url.path, "fields": kept}
        value = base64.urlsafe_b64encode(json.dumps(data, ensure_ascii=False).encode()).decode()
        response.set_cookie(TYPED, value, max_age=_FOR_S, secure=True, httponly=True, samesite="lax")


def kept(request: Request) -> dict[str, str]:
    """Return what was kept for this page; nothing if it is for another one or cannot be read."""
    try:
        found = json.loads(base64.urlsafe_b64decode(request.cookies.get(TYPED, "")))
        path, fields = found["path"], found["fields"]
        if path != request.url.path:
            return {}
        names = FIELDS[request.scope["route"].path]
        return {name: value for name in names if isinstance(value := fields.get(name), str)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def forget(response: R) -> R:
    """Drop it with this answer: a form was taken, and what it said is known from now on."""
    response.set_cookie(TYPED, "", max_age=0, secure=True, httponly=True, samesite="lax")
    return response
