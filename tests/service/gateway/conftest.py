"""The gateway's app on a real database, with fake neighbours."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from regiohub_gateway.main import make_app
from regiohub_gateway.settings import Settings
from regiohub_gateway.web.moments import next_step
from regiohub_shared.clock import now
from regiohub_shared.db.database import Database
from tests.service.gateway import fakes
from tests.service.gateway.fakes import Browser, Keycloak, Service
from tests.support.tokens import ISSUER


@dataclass
class House:
    """One gateway with its neighbours."""

    app: Any
    db: Database
    settings: Settings
    keycloak: Keycloak
    booking: Service
    access: Service
    billing: Service

    def browser(self) -> Browser:
        """A new browser without cookies."""
        return Browser(self.app, self.keycloak)

    def restarted(self, **changes: Any) -> "House":
        """The same house served by another replica, perhaps with other settings."""
        return build(self.db, self.settings.model_copy(update=changes), self)


def build(db: Database, settings: Settings, like: House | None = None) -> House:
    keycloak = like.keycloak if like else Keycloak()
    services = [like.booking, like.access, like.billing] if like else make_services()
    transports: dict[str, httpx.AsyncBaseTransport] = {service.name: service for service in services}
    app = make_app(settings, db=db, transports=transports | {"keycloak": keycloak})
    return House(app, db, settings, keycloak, *services)


def make_services() -> list[Service]:
    room, booking, grant = fakes.ROOM, fakes.booking(), fakes.grant()
    free = {
        "resource_id": fakes.ROOM_ID, "resource_name": "Platz <1>", "hub": "bendorf", "is_free": True, "refusal": None,
        "price": fakes.PRICE,
    }  # fmt: skip
    booked = f"/v1/bookings/{fakes.BOOKING_ID}"
    return [
        Service("booking", {
            "GET /v1/hubs": fakes.items(fakes.HUB),
            "GET /v1/hubs/bendorf": fakes.HUB,
            "GET /v1/hubs/bendorf/resources": fakes.items(room),
            "GET /v1/hubs/bendorf/bookings": fakes.items(booking),
            "GET /v1/hubs/bendorf/closures": fakes.items(),
            "GET /v1/availability": fakes.items(free),
            "GET /v1/next-free": fakes.first_free(next_step(now())),
            f"GET /v1/resources/{fakes.ROOM_ID}": room,
            f"GET /v1/resources/{fakes.ROOM_ID}/next-free": fakes.items(),
            f"GET /v1/resources/{fakes.ROOM_ID}/slots": fakes.items(),
            "GET /v1/bookings": fakes.items(booking),
            f"GET {booked}": booking,
            "POST /v1/bookings": httpx.Response(201, json=fakes.booking("held")),
            f"POST {booked}/cancel": fakes.booking("cancelled"),
            f"POST {booked}/check-in": fakes.booking("checked_in"),
        }),
        Service("access", {
            "GET /v1/grants": fakes.items(grant),
            "GET /v1/hubs/bendorf/readers": fakes.items(),
            "GET /v1/hubs/bendorf/door-events": fakes.items(),
            "GET /v1/hubs/bendorf/doors": {"hub": "bendorf", "doors": [{"number": 1, "name": "Haustür"}]},
        }),
        Service("billing", {
            "GET /v1/documents": fakes.items(),
            "GET /v1/payments": fakes.items(),
        }),
    ]  # fmt: skip


@pytest.fixture
async def house(cluster: Any) -> AsyncIterator[House]:
    with cluster.database("gateway") as urls:
        db = Database(urls.app, pool_size=8)
        settings = Settings(
            database_url=urls.app, migrate_database_url=urls.owner, issuer=ISSUER, client_secret=SecretStr("gateway-secret"),
            public_origin=fakes.ORIGIN, checkout_origin=fakes.CHECKOUT, http_timeout_s=2.0,
            session_key=SecretStr(base64.urlsafe_b64encode(b"k" * 32).decode()),
        )  # fmt: skip
        yield build(db, settings)
        await db.close()
