"""Booking's API process: ``uvicorn regiohub_booking.main:app --factory``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from regiohub_booking.api import bookings, calendars, county, internal, operator, places
from regiohub_booking.repo import mails
from regiohub_booking.settings import Settings
from regiohub_booking.usecases.member import MemberReader
from regiohub_shared.auth.verifier import Verifier
from regiohub_shared.db.database import Database
from regiohub_shared.db.migrate import main as migrate_main
from regiohub_shared.events.dead_letters import dead_letters_router
from regiohub_shared.http.client import make_client
from regiohub_shared.web.app import AppSpec, create_app
from regiohub_shared.web.health import Check, outbox_check, outbox_gauges

MIGRATIONS = Path(str(files("regiohub_booking") / "migrations"))
ROUTERS = (
    places.router,
    bookings.router,
    calendars.router,
    operator.router,
    county.router,
    internal.router,
    internal.events,
    dead_letters_router(),
)


def mail_check(db: Database) -> Check:
    """Degraded by mails that nobody took."""

    async def ask() -> dict[str, Any]:
        async with db.session() as session:
            found = await mails.state(session)
        return {"mail": found} if found["dead"] else {}

    return Check(("mail",), ask)


def make_app(
    settings: Settings,
    *,
    db: Database | None = None,
    verifier: Verifier | None = None,
    keycloak: httpx.AsyncBaseTransport | None = None,
) -> FastAPI:
    """Build the app; the keyword arguments are seams for tests."""

    @asynccontextmanager
    async def members(app: FastAPI) -> AsyncIterator[None]:
        async with make_client(settings.keycloak_url, timeout_s=settings.http_timeout_s, transport=keycloak) as client:
            app.state.members = MemberReader(app.state.db, client, settings.realm)
            yield

    spec = AppSpec(
        name="booking", title="RegioHub booking", routers=ROUTERS, migrations=MIGRATIONS, lifespans=(members,),
        checks=(lambda app: outbox_check(app.state.db), lambda app: mail_check(app.state.db)),
        gauges=(outbox_gauges,),
    )  # fmt: skip
    return create_app(spec, settings, db=db, verifier=verifier)


def app() -> FastAPI:
    """Entry of uvicorn (``--factory``): settings from the environment."""
    return make_app(Settings())


def migrate() -> None:
    """Bring the schema up to date: the migration job's entry."""
    migrate_main(MIGRATIONS, Settings().migrate_database_url)
