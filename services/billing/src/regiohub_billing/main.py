"""The billing service as an ASGI app: ``uvicorn --factory regiohub_billing.main:app``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from regiohub_billing.api import clearing, exports, internal, payments, sellers
from regiohub_billing.api.deps import BookingClient
from regiohub_billing.providers.port import Provider
from regiohub_billing.repo import bookings, calls
from regiohub_billing.settings import Settings
from regiohub_billing.usecases.rendering import Renderer
from regiohub_billing.wiring import booking_http, make_provider
from regiohub_shared.auth.verifier import Verifier
from regiohub_shared.clock import real_now
from regiohub_shared.db.database import Database
from regiohub_shared.events.dead_letters import dead_letters_router
from regiohub_shared.web.app import AppSpec, create_app
from regiohub_shared.web.health import Check, outbox_check, outbox_gauges

MIGRATIONS = Path(__file__).parent / "migrations"


def _work_check(app: FastAPI) -> Check:
    """Degraded by cases on the clearing list and by webhooks that wait for five minutes."""

    async def ask() -> dict[str, Any]:
        db: Database = app.state.db
        async with db.session() as session:
            open_cases = await bookings.count_clearing(session)
            waiting = await calls.count_unhandled(session, older_than=real_now() - timedelta(minutes=5))
        found = {"clearing": open_cases, "webhooks_waiting": waiting}
        return {name: count for name, count in found.items() if count}

    return Check(("clearing", "webhooks_waiting"), ask)


def make_app(
    settings: Settings,
    *,
    db: Database | None = None,
    verifier: Verifier | None = None,
    provider: Provider | None = None,
    booking: httpx.AsyncClient | None = None,
) -> FastAPI:
    """Build the app; the keyword arguments are seams for tests."""

    @asynccontextmanager
    async def outside(app: FastAPI) -> AsyncIterator[None]:
        http = booking or booking_http(settings)
        app.state.provider = provider or make_provider(settings)
        app.state.bookings = BookingClient(http)
        app.state.renderer = Renderer()
        yield
        app.state.renderer.close()
        await http.aclose()
        await app.state.provider.close()

    spec = AppSpec(
        name="billing",
        title="RegioHub billing",
        routers=(
            payments.router,
            exports.router,
            clearing.router,
            sellers.router,
            internal.router,
            dead_letters_router(),
        ),
        migrations=MIGRATIONS,
        lifespans=(outside,),
        checks=(lambda app: outbox_check(app.state.db), _work_check),
        gauges=(outbox_gauges,),
    )
    return create_app(spec, settings, db=db, verifier=verifier)


def app() -> FastAPI:
    """Entry of uvicorn (``--factory``): settings from the environment."""
    return make_app(Settings())
