"""``/internal/*`` of every service: only the clients that are named there, with role and audience."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from regiohub_shared.auth.principal import SERVICE
from regiohub_shared.clock import now
from tests.contract.contracts import FACTS
from tests.support.tokens import bearer, claims_for, sign
from tests.support.world_street import Street, transport_to

BOOKING, ACCESS, BILLING, PRIVACY = (f"regiohub-{name}" for name in ("booking", "access", "billing", "privacy"))
CLIENTS = (BOOKING, ACCESS, BILLING, PRIVACY, "regiohub-gateway", "regiohub-seed", "reader-bendorf", "admin-cli", "")
ALLOWED = {
    ("booking", "GET", "/internal/bookings/{booking_id}"): {ACCESS, BILLING},
    ("booking", "GET", "/internal/subjects/{sub}"): {PRIVACY},
    ("booking", "DELETE", "/internal/subjects/{sub}"): {PRIVACY},
    ("booking", "POST", "/internal/events"): {ACCESS, BILLING},
    ("access", "GET", "/internal/subjects/{sub}"): {PRIVACY},
    ("access", "DELETE", "/internal/subjects/{sub}"): {PRIVACY},
    ("access", "POST", "/internal/events"): {BOOKING},
    ("billing", "GET", "/internal/subjects/{sub}"): {PRIVACY},
    ("billing", "DELETE", "/internal/subjects/{sub}"): {PRIVACY},
    ("billing", "POST", "/internal/events"): {BOOKING},
}
PRODUCERS = {
    ("booking", "regiohub.payment.changed"): BILLING,
    ("booking", "regiohub.door.opened"): ACCESS,
    ("access", "regiohub.booking.changed"): BOOKING,
    ("billing", "regiohub.booking.changed"): BOOKING,
}


def internal_routes(app: FastAPI) -> set[tuple[str, str]]:
    return {
        (method, route.path)
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
        if route.path and route.path.startswith("/internal") and method != "HEAD"
    }


def envelope(kind: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "id": str(uuid4()), "source": "/x", "type": kind, "subject": "x", "time": now().isoformat(), "sequence": 1,
        "data": data or {},
    }  # fmt: skip


def apps(town: Street) -> dict[str, FastAPI]:
    return {"booking": town.booking.app, "access": town.access.app, "billing": town.billing.app}


async def call(app: FastAPI, method: str, path: str, headers: dict[str, str]) -> int:
    address = path.format(booking_id=uuid4(), sub="nobody")
    body = envelope("regiohub.nothing.happened") if method == "POST" else None
    async with httpx.AsyncClient(transport=transport_to(app), base_url="http://x") as client:
        return (await client.request(method, address, json=body, headers=headers)).status_code


async def test_only_the_named_clients_come_in(town: Street):
    found = {(name, *route) for name, app in apps(town).items() for route in internal_routes(app)}
    assert found == set(ALLOWED)
    for (name, method, path), clients in ALLOWED.items():
        app, where = apps(town)[name], (name, method, path)
        for azp in CLIENTS:
            status = await call(app, method, path, bearer("service", SERVICE, azp=azp))
            assert (status == 403) is (azp not in clients), (*where, azp, status)
        for azp in clients:
            roles = ("member", "hub-operator", "finance", "county-finance", "county-admin", "lock-device")
            people = bearer("x", *roles, azp=azp, hubs=["bendorf"], operators=["stadt-bendorf"])
            assert await call(app, method, path, people) == 403, (*where, azp, "without the role")
            others = {f"regiohub-{other}" for other in apps(town)} - {f"regiohub-{name}"}
            token = sign(claims_for("service", SERVICE, azp=azp, audiences=others))
            assert await call(app, method, path, {"Authorization": f"Bearer {token}"}) == 401, (*where, azp, "audience")
        assert await call(app, method, path, {}) == 401, where


@pytest.mark.parametrize("model", FACTS, ids=lambda model: model.__name__)
async def test_a_fact_is_taken_from_its_producer_only(town: Street, model):
    """Also where the other client may deliver facts of its own."""
    for name, app in apps(town).items():
        async with httpx.AsyncClient(transport=transport_to(app), base_url="http://x") as client:
            for azp in (BOOKING, ACCESS, BILLING):
                answer = await client.post(
                    "/internal/events", json=envelope(model.type), headers=bearer("service", SERVICE, azp=azp)
                )
                is_heard = PRODUCERS.get((name, model.type)) == azp
                kind = answer.json()["type"]
                # An empty fact of the right producer is understood as far as its shape.
                assert (kind == "/problems/malformed") is is_heard, (name, azp, answer.text)
                assert is_heard or kind in {"/problems/unknown-fact", "/problems/forbidden"}, (name, azp, kind)
    assert {name for name, kind in PRODUCERS if kind == model.type} == set(model.subscribers)
