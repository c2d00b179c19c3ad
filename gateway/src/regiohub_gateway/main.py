"""The gateway's app: the strict front, with the proxy and the pages behind it. Only this file knows both sides."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.types import ASGIApp

from regiohub_gateway.edge.bff import Bff
from regiohub_gateway.edge.front import Front
from regiohub_gateway.edge.holds import HoldLimit
from regiohub_gateway.edge.keycloak import Keycloak
from regiohub_gateway.edge.limits import AddressLimiter, Limiter
from regiohub_gateway.edge.proxy import Proxy
from regiohub_gateway.edge.sessions import Sessions
from regiohub_gateway.edge.upstream import Upstream
from regiohub_gateway.settings import Settings
from regiohub_gateway.web import errors, site
from regiohub_shared.auth.verifier import Verifier
from regiohub_shared.clock import real_now
from regiohub_shared.db.database import Database
from regiohub_shared.log import get_logger
from regiohub_shared.web.app import AppSpec, create_app
from regiohub_shared.web.health import Check

_log = get_logger(__name__)
MIGRATIONS = Path(__file__).parent / "migrations"
_TIDY_S = 600


def make_app(
    settings: Settings,
    *,
    db: Database | None = None,
    transports: Mapping[str, httpx.AsyncBaseTransport] | None = None,
) -> ASGIApp:
    """Wire everything; ``transports`` replace the network by service name (and ``keycloak``) in tests."""
    database = db or Database(settings.database_url, pool_size=settings.pool_size)
    replaced = transports or {}
    keycloak = Keycloak(settings, transport=replaced.get("keycloak"))
    sessions = Sessions(database, keycloak, settings, real_now)
    limiter = Limiter(database, real_now)
    verifier = Verifier(issuer=settings.issuer, audience="regiohub-booking", fetch_keys=keycloak.fetch_keys)
    upstreams = {name: Upstream(url, transport=replaced.get(name)) for name, url in settings.upstreams.items()}
    targets: dict[str, tuple[str, httpx.AsyncBaseTransport]] = {
        name: (upstream.base_url, upstream) for name, upstream in upstreams.items()
    }
    booking = upstreams["booking"]
    targets["booking"] = booking.base_url, HoldLimit(booking, limiter, verifier, settings.holds_per_hour)

    @asynccontextmanager
    async def running(_app: FastAPI) -> AsyncIterator[None]:
        tidying = asyncio.create_task(_tidy(database, sessions, limiter))
        yield
        tidying.cancel()
        with suppress(asyncio.CancelledError):
            await tidying
        await keycloak.aclose()
        for _, transport in targets.values():
            await transport.aclose()

    spec = AppSpec(
        name="gateway", title="RegioHub gateway", migrations=MIGRATIONS, lifespans=[running],
        checks=[lambda _app: Check(("services_paused",), partial(_paused, upstreams))],
        routers=[Bff(sessions, keycloak, limiter, settings).router(), *site.routers()],
    )  # fmt: skip
    pages = create_app(spec, settings, db=database, verifier=verifier)
    pages.state.targets = targets
    pages.state.checkout_origin = settings.checkout_origin
    site.install(pages)
    proxy = Proxy(targets, sessions, settings.public_origin, pages.state.metrics, pages.state.tracer)
    addresses = AddressLimiter(limiter, settings.requests_per_minute, real_now)
    return Front(pages, proxy, sessions, addresses, settings, show=errors.as_html)


async def _paused(upstreams: Mapping[str, Upstream]) -> dict[str, Any]:
    """Return the services that the breaker keeps from requests; they limp, we do not."""
    names = sorted(name for name, upstream in upstreams.items() if upstream.breaker.is_open)
    return {"services_paused": names} if names else {}


async def _tidy(db: Database, sessions: Sessions, limiter: Limiter) -> None:
    """Delete what has run out, every ten minutes; replicas may do it at the same time."""
    while True:
        try:
            async with db.transaction() as connection:
                await sessions.forget(connection)
                await limiter.forget(connection)
        except Exception as error:  # noqa: BLE001 - whatever fails, the work goes on and is tried again
            _log.warning("tidying_failed", error=type(error).__name__)
        await asyncio.sleep(_TIDY_S)


def app() -> ASGIApp:
    """Entry of uvicorn (``--factory``): settings from the environment."""
    return make_app(Settings())
