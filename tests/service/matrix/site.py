"""The gateway in front of the scene: a browser with a session for each person, a bearer token for each machine."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from regiohub_gateway.main import make_app
from regiohub_gateway.settings import Settings
from regiohub_shared.db.database import Database
from tests.service.gateway.fakes import ORIGIN, Browser, Keycloak
from tests.service.matrix.roles import CLAIMS, HEADERS, PEOPLE
from tests.service.matrix.scene import Scene
from tests.support.pg import Cluster
from tests.support.tokens import ISSUER
from tests.support.world_rows import Rows
from tests.support.world_street import transport_to


@dataclass
class Site:
    """The gateway's app (with its front) and who looks at it."""

    scene: Scene
    app: Any
    pages: FastAPI
    browsers: dict[str, Browser]
    rows: dict[str, Rows]
    """The services' databases and the gateway's own."""

    async def put_back(self) -> list[str]:
        """Restore every database; return the services' tables that had changed (sessions and limits may)."""
        found = {name: await rows.restore() for name, rows in self.rows.items()}
        return [f"{name}.{table}" for name, tables in found.items() if name != "gateway" for table in tables]

    @asynccontextmanager
    async def as_role(self, role: str) -> AsyncIterator[tuple[Browser, dict[str, str]]]:
        """The role's browser, and the headers that it sends; its cookies are as before afterwards."""
        browser = self.browsers[role]
        kept = dict(browser.cookies)
        try:
            yield browser, {} if role in PEOPLE else HEADERS[role]
        finally:
            browser.cookies = kept


@asynccontextmanager
async def open_site(cluster: Cluster, scene: Scene) -> AsyncIterator[Site]:
    """Start the gateway and log everybody in."""
    with cluster.database("gateway") as urls:
        db, keycloak = Database(urls.app, pool_size=8), Keycloak()
        settings = Settings(
            database_url=urls.app, issuer=ISSUER, client_secret=SecretStr("gateway-secret"), public_origin=ORIGIN,
            checkout_origin=scene.checkout_origin, session_key=SecretStr(base64.urlsafe_b64encode(b"k" * 32).decode()),
            requests_per_minute=1_000_000, holds_per_hour=1000, logins_per_minute=1000,
        )  # fmt: skip
        street = scene.street
        transports: dict[str, httpx.AsyncBaseTransport] = {
            "booking": transport_to(street.booking.app), "access": transport_to(street.access.app),
            "billing": transport_to(street.billing.app), "keycloak": keycloak,
        }  # fmt: skip
        app: Any = make_app(settings, db=db, transports=transports)
        browsers = {role: Browser(app, keycloak) for role in CLAIMS}
        for role in PEOPLE:
            claims: dict[str, Any] = CLAIMS[role]
            kept = {name: claims[name] for name in ("hub_operator", "finance")}
            answer = await browsers[role].login(claims["sub"], *claims["realm_access"]["roles"], **kept)
            assert answer.status_code == 303, answer.text
        rows = scene.rows | {"gateway": await Rows.freeze(cluster, urls)}
        yield Site(scene, app, app._pages, browsers, rows)
        for browser in browsers.values():
            await browser.aclose()
        await rows["gateway"].close()
        await db.close()
