"""A visit to each of the gateway's own pages: with the form filled in, if it is one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from regiohub_gateway.web import moments
from tests.service.billing.world import BUYER
from tests.service.booking.world import tomorrow
from tests.service.matrix.scene import CASES, Scene, Thing


@dataclass
class Visit:
    """A path, and the fields of a form that is sent there."""

    path: str
    fields: dict[str, str] | None = None


Maker = Callable[[Thing], Visit]


def thing_of(scene: Scene, word: str) -> Thing:
    """Return the object of that name; ``crossed`` stands in my hub's path, but belongs to the hub abroad."""
    if word == "crossed":
        return replace(scene.things["abroad"], hub=scene.things["mine"].hub)
    return scene.things.get(word, scene.things["mine"])


def _to(path: str) -> Maker:
    return lambda t: Visit(path.format(t=t))


def _form(path: str, **fields: str) -> Maker:
    return lambda t: Visit(path.format(t=t), {name: value.format(t=t) for name, value in fields.items()})


def _close_case(t: Thing) -> Visit:
    return Visit(f"/finance/{t.town}/clearing/{CASES[t.town]}", {"note": "Geklärt"})


def _book(t: Thing) -> Visit:
    start = tomorrow(10, days=31)
    end = start + timedelta(hours=1)
    return Visit("/book", {"resource": str(t.resource), "start": start.isoformat(), "end": end.isoformat()})


def _quote(t: Thing) -> Visit:
    start = tomorrow(10, days=31).astimezone(moments.ZONE)
    return Visit(f"/book?resource={t.resource}&date={start.date()}&time={start:%H:%M}&minutes=60")


def _pay(t: Thing) -> Visit:
    return Visit(f"/bookings/{t.held['id']}/pay", dict(BUYER))


ROOM = {
    "name": "Neu", "description": "", "price": "5,00", "min_minutes": "30", "max_minutes": "600",
    "buffer_before_minutes": "0", "buffer_after_minutes": "0", "is_active": "1", "etag": '"1"',
}  # fmt: skip
CLOSURE = {
    "resource": "all", "reason": "Wartung", "start_date": "2035-01-08", "start_time": "08:00",
    "end_date": "2035-01-08", "end_time": "18:00",
}  # fmt: skip
ETAG = '"{t.booking[version]}"'


def _move(t: Thing) -> Visit:
    start = tomorrow(14, days=31).astimezone(moments.ZONE)
    fields = {"resource": str(t.resource), "date": start.date().isoformat(), "time": f"{start:%H:%M}"}
    return Visit(f"/bookings/{t.booking['id']}/move", fields | {"etag": ETAG.format(t=t)})


VISITS: dict[str, Maker] = {
    "GET /openapi.json": _to("/openapi.json"),
    "GET /docs": _to("/docs"),
    "GET /docs/assets": _to("/docs/assets/swagger-ui.css"),
    "GET /healthz": _to("/healthz"),
    "GET /readyz": _to("/readyz"),
    "GET /metrics": _to("/metrics"),
    "GET /auth/login": _to("/auth/login"),
    "GET /auth/register": _to("/auth/register"),
    "GET /auth/passkey": _to("/auth/passkey"),
    "GET /auth/callback": _to("/auth/callback?code=x&state=y"),
    "GET /auth/session": _to("/auth/session"),
    "POST /auth/logout": _form("/auth/logout"),
    "POST /auth/backchannel-logout": _form("/auth/backchannel-logout", logout_token="x"),
    "GET /": _to("/"),
    "GET /hubs/{slug}": _to("/hubs/{t.hub}"),
    "GET /find": _to("/find"),
    "GET /book": _quote,
    "POST /book": _book,
    "GET /account": _to("/account"),
    "GET /bookings": _to("/bookings"),
    "GET /bookings/{booking_id}": _to("/bookings/{t.booking[id]}"),
    "GET /bookings/{booking_id}/pay": _to("/bookings/{t.held[id]}/pay"),
    "POST /bookings/{booking_id}/pay": _pay,
    "GET /bookings/{booking_id}/payment": _to("/bookings/{t.held[id]}/payment"),
    "GET /bookings/{booking_id}/cancel": _to("/bookings/{t.booking[id]}/cancel"),
    "POST /bookings/{booking_id}/cancel": _form("/bookings/{t.booking[id]}/cancel", etag=ETAG),
    "GET /bookings/{booking_id}/move": _to("/bookings/{t.booking[id]}/move"),
    "POST /bookings/{booking_id}/move": _move,
    "GET /bookings/calendar": _to("/bookings/calendar"),
    "POST /bookings/calendar": _form("/bookings/calendar"),
    "POST /bookings/calendar/revoke": _form("/bookings/calendar/revoke"),
    "GET /key/worker.js": _to("/key/worker.js"),
    "GET /key/{booking_id}": _to("/key/{t.booking[id]}"),
    "GET /operator": _to("/operator"),
    "GET /operator/{hub}": _to("/operator/{t.hub}"),
    "POST /operator/{hub}/bookings/{booking_id}/check-in": _form(
        "/operator/{t.hub}/bookings/{t.booking[id]}/check-in", date="2035-01-08"
    ),
    "GET /operator/{hub}/bookings/{booking_id}/cancel": _to("/operator/{t.hub}/bookings/{t.booking[id]}/cancel"),
    "POST /operator/{hub}/bookings/{booking_id}/cancel": _form(
        "/operator/{t.hub}/bookings/{t.booking[id]}/cancel", etag=ETAG
    ),
    "GET /operator/{hub}/readers": _to("/operator/{t.hub}/readers"),
    # No reader of the scene is connected, so whoever may do it is told so.
    "POST /operator/{hub}/open": _form("/operator/{t.hub}/open", door="1", reason="Ohne Telefon vor der Tür"),
    "GET /operator/{hub}/rooms": _to("/operator/{t.hub}/rooms"),
    "GET /operator/{hub}/rooms/{resource_id}": _to("/operator/{t.hub}/rooms/{t.resource}"),
    "POST /operator/{hub}/rooms/{resource_id}": _form("/operator/{t.hub}/rooms/{t.resource}", **ROOM),
    "GET /operator/{hub}/hours": _to("/operator/{t.hub}/hours"),
    "POST /operator/{hub}/hours": _form("/operator/{t.hub}/hours", opens_1="08:00", closes_1="18:00", etag='"1"'),
    "GET /operator/{hub}/closures": _to("/operator/{t.hub}/closures"),
    "POST /operator/{hub}/closures": _form("/operator/{t.hub}/closures", **CLOSURE),
    "POST /operator/{hub}/closures/{closure_id}/delete": _form("/operator/{t.hub}/closures/{t.closure}/delete"),
    "GET /finance": _to("/finance"),
    "GET /finance/{operator}": _to("/finance/{t.town}"),
    "POST /finance/{operator}/exports": _form("/finance/{t.town}/exports"),
    "POST /finance/{operator}/clearing/{case_id}": _close_case,
    "GET /finance/{operator}/exports/{export_id}": _to("/finance/{t.town}/exports/{t.batch}"),
    "GET /county/deliveries": _to("/county/deliveries"),
    "POST /county/deliveries/{service}": _form("/county/deliveries/booking"),
    "GET /lizenzen": _to("/lizenzen"),
    "GET /leichte-sprache": _to("/leichte-sprache"),
    "GET /barrierefreiheit": _to("/barrierefreiheit"),
    "GET /datenschutz": _to("/datenschutz"),
    "GET /impressum": _to("/impressum"),
    "GET /problems": _to("/problems"),
    "GET /problems/{name}": _to("/problems/slot-taken"),
    "GET /api-docs": _to("/api-docs"),
    "GET /static": _to("/static/app.css"),
}
