"""Where the login leads back to: a page's own address, and for a form that came too late the page it stands on."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from fastapi import Request
from starlette.exceptions import HTTPException

from regiohub_gateway.web import moments
from regiohub_gateway.web.forms import known_id
from regiohub_gateway.web.render import UNSENT, language_of, link, slot_query
from regiohub_shared.problem import NotFound

_CLOSURE = ("resource", "start_date", "start_time", "end_date", "end_time", "reason")
_PAGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "/book": ("/book", ()),
    "/bookings/{booking_id}/pay": ("/bookings/{booking_id}/pay", ()),
    "/bookings/{booking_id}/cancel": ("/bookings/{booking_id}/cancel", ()),
    "/operator/{hub}/bookings/{booking_id}/check-in": ("/operator/{hub}", ("date",)),
    "/operator/{hub}/bookings/{booking_id}/cancel": ("/operator/{hub}/bookings/{booking_id}/cancel", ()),
    "/operator/{hub}/rooms/{resource_id}": ("/operator/{hub}/rooms/{resource_id}", ()),
    "/operator/{hub}/hours": ("/operator/{hub}/hours", ()),
    "/operator/{hub}/closures": ("/operator/{hub}/closures", _CLOSURE),
    "/operator/{hub}/closures/{closure_id}/delete": ("/operator/{hub}/closures", ()),
    "/finance/{operator}/exports": ("/finance/{operator}", ()),
    "/finance/{operator}/clearing/{case_id}": ("/finance/{operator}", ()),
    "/county/deliveries/{service}": ("/county/deliveries", ()),
}
"""The page that each route's form stands on, and which of the form's fields that page takes from its address."""
_LONGEST = 300
"""What the login keeps of an address; of a longer one it keeps nothing."""


def way_back(request: Request, fields: Mapping[str, str]) -> str:
    """Return the page to come back to, in its language; ``fields`` are those of a form that was sent."""
    if request.method == "POST":
        return _page_of_form(request, fields)
    query = f"?{request.url.query}" if request.url.query else ""
    return link(language_of(request), request.scope["raw_path"].decode("ascii")) + query


def _page_of_form(request: Request, fields: Mapping[str, str]) -> str:
    """Return the form's page with what it takes over; the rest has to be entered again."""
    route: str = request.scope["route"].path
    page, names = _PAGES[route]
    path = link(language_of(request), page.format(**{k: quote(v, safe="") for k, v in request.path_params.items()}))
    kept = _slot(fields) if route == "/book" else urlencode({name: fields[name] for name in names if name in fields})
    if route == "/book" and not kept:
        path = link(language_of(request), "/find")
    full = f"{path}?{kept}&{UNSENT}=1"
    return full if kept and len(full) <= _LONGEST else f"{path}?{UNSENT}=1"


async def fields_of(request: Request) -> dict[str, str]:
    """Return the fields that a form sent, files left out; nothing if it cannot be read. Can be asked once."""
    try:
        data = await request.form(max_files=0, max_fields=200)
    except HTTPException:
        return {}
    return {name: value for name, value in data.multi_items() if isinstance(value, str)}


def _slot(fields: Mapping[str, str]) -> str:
    """Return the slot that was chosen, as the page's address names it; nothing if there was none."""
    try:
        start, end = (moments.read_moment(fields.get(name, "")) for name in ("start", "end"))
        return slot_query(start, end, resource=known_id(fields.get("resource", "")))
    except (ValueError, NotFound):
        return ""
