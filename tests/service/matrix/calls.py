"""A valid request for each route of the services: what it gets depends on nothing but who asks."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from regiohub_access.reader import wire
from regiohub_shared.clock import now
from tests.service.access.world import Phone
from tests.service.billing.world import BUYER, SELLER
from tests.service.booking.world import ALWAYS, OFFICE_HOURS, resource, tomorrow
from tests.service.matrix.scene import CASES, Scene, Thing, signature


@dataclass
class Call:
    """One request but for its method and its caller."""

    path: str
    params: dict[str, Any] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


Maker = Callable[[Scene, str, Thing], Call]
"""Scene, the word in the table's column ``object``, and the object of that name."""


def _at(path: str, **params: Any) -> Maker:
    """A path whose parts are filled in from the object: ``{t.hub}``."""
    return lambda _scene, _word, t: Call(path.format(t=t), params={k: str(v).format(t=t) for k, v in params.items()})


def _key(call: Call) -> Call:
    call.headers["Idempotency-Key"] = str(uuid4())
    return call


def _match(call: Call, version: int) -> Call:
    call.headers["If-Match"] = f'"{version}"'
    return call


def _envelope(kind: str, data: dict[str, Any]) -> Call:
    body = {
        "id": str(uuid4()), "source": "/test", "type": kind, "subject": "x", "time": now().isoformat(), "sequence": 9,
        "data": data,
    }  # fmt: skip
    return Call("/internal/events", json=body)


def _payment(_scene: Scene, _word: str, t: Thing) -> Call:
    data = {
        "payment_id": str(uuid4()), "booking_id": t.held["id"], "sub": t.sub, "operator": t.town, "version": 9,
        "amount_cents": 400, "paid_cents": 400, "refunded_cents": 0, "currency": "EUR", "paid_at": now().isoformat(),
    }  # fmt: skip
    return _envelope("regiohub.payment.changed", data)


def _door(_scene: Scene, _word: str, t: Thing) -> Call:
    data = {"grant_id": t.grant, "booking_id": t.booking["id"], "version": 9, "first_opened_at": now().isoformat()}
    return _envelope("regiohub.door.opened", data)


def _booking_fact(scene: Scene, _word: str, t: Thing) -> Call:
    """A later version of the booking than the one known."""
    letter = scene.street.letters("booking>access", t.booking)[-1]
    data = json.loads(letter.content)["data"]
    return _envelope("regiohub.booking.changed", data | {"version": 99, "status": "cancelled"})


def _book(_scene: Scene, _word: str, t: Thing) -> Call:
    start = tomorrow(10, days=30)
    line = {
        "resource_id": str(t.resource), "start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat(),
    }  # fmt: skip
    return _key(Call("/v1/bookings", json={"lines": [line]}))


def _close(_scene: Scene, _word: str, t: Thing) -> Call:
    start = tomorrow(10, days=40)
    body = {
        "resource_id": str(t.resource), "reason": "Wartung", "start": start.isoformat(),
        "end": (start + timedelta(hours=1)).isoformat(),
    }  # fmt: skip
    return _key(Call(f"/v1/hubs/{t.hub}/closures", json=body))


def _put_hub(_scene: Scene, _word: str, t: Thing) -> Call:
    body = {"operator": t.town, "name": "Neu", "opening_hours": ALWAYS}
    return _match(Call(f"/v1/hubs/{t.hub}", json=body), 1)


def _sync(_scene: Scene, _word: str, t: Thing) -> Call:
    body = wire.SyncRequest("0123456789abcdef", (), 0, wire.Have(), (), 0).to_json()
    return Call(f"/v1/readers/{t.reader}/sync", json=body)


def _put_doors(_scene: Scene, _word: str, t: Thing) -> Call:
    return _match(Call(f"/v1/hubs/{t.hub}/doors", json={"doors": [{"number": 7, "name": "Hof", "outer": True}]}), 1)


def _pass(_scene: Scene, _word: str, t: Thing) -> Call:
    return Call(f"/v1/grants/{t.grant}/passes", json=Phone().asks(t.grant))


def _pay(_scene: Scene, _word: str, t: Thing) -> Call:
    return _key(Call("/v1/payments", json={"booking_id": t.held["id"], "buyer": BUYER}))


def _webhook(scene: Scene, word: str, _t: Thing) -> Call:
    signed = signature(scene.event) if word != "forged" else "x"
    return Call("/v1/webhooks/stripe", content=scene.event, headers={"Stripe-Signature": signed})


def _export(_scene: Scene, _word: str, t: Thing) -> Call:
    return _key(Call("/v1/exports", json={"operator": t.town, "productive": False}))


def _resolve(_scene: Scene, word: str, t: Thing) -> Call:
    case = CASES["" if word == "nobody" else t.town]
    return Call(f"/v1/clearing/{case}/resolve", json={"note": "Geklärt"})


def _subject(_scene: Scene, word: str, t: Thing) -> Call:
    return Call(f"/internal/subjects/{'nobody' if word == 'nobody' else t.sub}")


_EVERY_SERVICE: dict[str, Maker] = {
    "GET /openapi.json": _at("/openapi.json"),
    "GET /docs": _at("/docs"),
    "GET /docs/assets": _at("/docs/assets/swagger-ui.css"),
    "GET /healthz": _at("/healthz"),
    "GET /readyz": _at("/readyz"),
    "GET /metrics": _at("/metrics"),
    "GET /v1/dead-letters": _at("/v1/dead-letters"),
    "POST /v1/dead-letters/replay": lambda _s, _w, _t: Call("/v1/dead-letters/replay", json={}),
    "GET /internal/subjects/{sub}": _subject,
    "DELETE /internal/subjects/{sub}": _subject,
}
BOOKING: dict[str, Maker] = _EVERY_SERVICE | {
    "GET /v1/hubs": _at("/v1/hubs"),
    "GET /v1/hubs/{slug}": _at("/v1/hubs/{t.hub}"),
    "GET /v1/hubs/{slug}/resources": _at("/v1/hubs/{t.hub}/resources"),
    "GET /v1/resources/{resource_id}": _at("/v1/resources/{t.resource}"),
    "GET /v1/availability": _at(
        "/v1/availability", hub="{t.hub}", date=tomorrow(9).date(), **{"from": "09:00", "to": "10:00"}
    ),
    "GET /v1/next-free": _at("/v1/next-free", hub="{t.hub}"),
    "GET /v1/resources/{resource_id}/slots": _at("/v1/resources/{t.resource}/slots", date=tomorrow(9).date()),
    "GET /v1/resources/{resource_id}/next-free": _at("/v1/resources/{t.resource}/next-free"),
    "POST /v1/bookings": _book,
    "GET /v1/bookings": _at("/v1/bookings"),
    "GET /v1/bookings/{booking_id}": _at("/v1/bookings/{t.booking[id]}"),
    "POST /v1/bookings/{booking_id}/cancel": lambda _s, _w, t: _match(
        Call(f"/v1/bookings/{t.booking['id']}/cancel"), t.booking["version"]
    ),
    "GET /v1/hubs/{slug}/bookings": _at("/v1/hubs/{t.hub}/bookings", date=tomorrow(9).date()),
    "POST /v1/bookings/{booking_id}/check-in": _at("/v1/bookings/{t.booking[id]}/check-in"),
    "PATCH /v1/resources/{resource_id}": lambda _s, _w, t: _match(
        Call(f"/v1/resources/{t.resource}", json={"cents_per_hour": 500}), 1
    ),
    "PUT /v1/hubs/{slug}/opening-hours": lambda _s, _w, t: _match(
        Call(f"/v1/hubs/{t.hub}/opening-hours", json={"opening_hours": OFFICE_HOURS}), 1
    ),
    "GET /v1/hubs/{slug}/closures": _at("/v1/hubs/{t.hub}/closures"),
    "POST /v1/hubs/{slug}/closures": _close,
    "DELETE /v1/closures/{closure_id}": _at("/v1/closures/{t.closure}"),
    "PUT /v1/operators/{slug}": lambda _s, _w, t: _match(Call(f"/v1/operators/{t.town}", json={"name": "Neu"}), 1),
    "PUT /v1/hubs/{slug}": _put_hub,
    "PUT /v1/resources/{resource_id}": lambda _s, _w, t: _match(
        Call(f"/v1/resources/{t.resource}", json=resource("Neu", hub=t.hub)), 1
    ),
    "GET /v1/dead-mails": _at("/v1/dead-mails"),
    "POST /v1/dead-mails/replay": lambda _s, _w, _t: Call("/v1/dead-mails/replay", json={}),
    "GET /internal/bookings/{booking_id}": _at("/internal/bookings/{t.booking[id]}"),
    "POST /internal/events": lambda scene, word, t: (_payment if word == "payment" else _door)(scene, word, t),
}
ACCESS: dict[str, Maker] = _EVERY_SERVICE | {
    "GET /v1/grants": _at("/v1/grants", booking_id="{t.booking[id]}"),
    "GET /v1/grants/{grant_id}": _at("/v1/grants/{t.grant}"),
    "POST /v1/grants/{grant_id}/passes": _pass,
    "POST /v1/readers/{reader_id}/sync": _sync,
    "PUT /v1/readers/{reader_id}": lambda _s, _w, t: Call(f"/v1/readers/new-{t.hub}", json={"hub": t.hub}),
    "GET /v1/hubs/{slug}/readers": _at("/v1/hubs/{t.hub}/readers"),
    "GET /v1/hubs/{slug}/door-events": _at("/v1/hubs/{t.hub}/door-events"),
    "GET /v1/hubs/{slug}/doors": _at("/v1/hubs/{t.hub}/doors"),
    "PUT /v1/hubs/{slug}/doors": _put_doors,
    "POST /internal/events": _booking_fact,
}
BILLING: dict[str, Maker] = _EVERY_SERVICE | {
    "POST /v1/payments": _pay,
    "GET /v1/payments": _at("/v1/payments", booking_id="{t.booking[id]}"),
    "GET /v1/documents": _at("/v1/documents", booking_id="{t.booking[id]}"),
    "GET /v1/documents/{document_id}": _at("/v1/documents/{t.document}"),
    "POST /v1/webhooks/stripe": _webhook,
    "GET /v1/exports/preview": _at("/v1/exports/preview", operator="{t.town}"),
    "POST /v1/exports": _export,
    "GET /v1/exports": _at("/v1/exports", operator="{t.town}"),
    "GET /v1/exports/{export_id}": _at("/v1/exports/{t.batch}"),
    "GET /v1/exports/{export_id}/file": _at("/v1/exports/{t.batch}/file"),
    "GET /v1/clearing": lambda _s, word, t: Call("/v1/clearing", params={} if word == "all" else {"operator": t.town}),
    "POST /v1/clearing/{case_id}/resolve": _resolve,
    "GET /v1/sellers/{operator}": _at("/v1/sellers/{t.town}"),
    "PUT /v1/sellers/{operator}": lambda _s, _w, t: _match(
        Call(f"/v1/sellers/{t.town}", json=SELLER | {"name": "Neu"}), 1
    ),
    "POST /internal/events": _booking_fact,
}
CALLS = {"booking": BOOKING, "access": ACCESS, "billing": BILLING}
