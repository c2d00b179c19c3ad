"""The access service: doors, grants, passes, readers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from fastapi import FastAPI

from regiohub_access.api import commands, grants, internal, readers
from regiohub_access.repo.sealing import Vault
from regiohub_access.settings import Settings
from regiohub_access.usecases.chain import chain_check
from regiohub_access.usecases.facts import booking_changed
from regiohub_access.usecases.readers_seen import reader_gauge
from regiohub_shared.auth.service_tokens import ServiceAuth, ServiceTokens
from regiohub_shared.auth.verifier import Verifier
from regiohub_shared.contracts.booking import BookingChanged
from regiohub_shared.db.database import Database
from regiohub_shared.events.dead_letters import dead_letters_router
from regiohub_shared.events.inbox import Subscription, events_router
from regiohub_shared.http.client import make_client
from regiohub_shared.web.app import AppSpec, create_app
from regiohub_shared.web.health import outbox_check, outbox_gauges

MIGRATIONS = Path(__file__).parent / "migrations"


def make_app(
    settings: Settings,
    *,
    db: Database | None = None,
    verifier: Verifier | None = None,
    booking: httpx.AsyncClient | None = None,
) -> FastAPI:
    """Build the service; the keyword arguments are seams for tests."""
    vault = Vault(settings.secret_keys)
    client = booking or make_client(
        settings.booking_url, timeout_s=settings.http_timeout_s, auth=ServiceAuth(ServiceTokens(settings))
    )

    @asynccontextmanager
    async def running(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await client.aclose()

    heard = Subscription(model=BookingChanged, handler=booking_changed(vault), producer="regiohub-booking")
    spec = AppSpec(
        name="access", title="RegioHub access", migrations=MIGRATIONS, lifespans=[running],
        routers=[
            grants.router, readers.router, commands.router, internal.router, events_router({BookingChanged.type: heard}),
            dead_letters_router(),
        ],
        checks=[lambda app: outbox_check(app.state.db), lambda app: chain_check(app.state.db)],
        gauges=[outbox_gauges, reader_gauge],
    )  # fmt: skip
    app = create_app(spec, settings, db=db, verifier=verifier)
    app.state.vault, app.state.booking = vault, client
    return app


def app() -> FastAPI:
    """Entry of uvicorn (``--factory``): settings from the environment."""
    return make_app(Settings())  # from the environment
