"""The access service on a real PostgreSQL, with a booking service that knows nothing unless a test says so."""

import base64
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from regiohub_access.main import make_app
from regiohub_access.settings import Settings
from regiohub_local.postgres import Urls
from regiohub_shared.db.database import Database
from tests.service.access.world import World
from tests.support.pg import Cluster
from tests.support.tokens import ISSUER, verifier


@pytest.fixture
def urls(cluster: Cluster) -> Iterator[Urls]:
    """A fresh, migrated database."""
    with cluster.database("access") as fresh:
        yield fresh


@pytest.fixture
async def world(urls: Urls) -> AsyncIterator[World]:
    """The running app, its database, and factories."""
    settings = Settings(
        database_url=urls.app, issuer=ISSUER, secret_key=base64.urlsafe_b64encode(bytes(32)).decode(),
        pass_issuer="test-installation",
    )  # fmt: skip
    db = Database(urls.app, pool_size=8)
    known: dict[str, dict[str, object]] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        found = known.get(request.url.path.rsplit("/", 1)[-1])
        return httpx.Response(200, json=found) if found else httpx.Response(404)

    booking = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://booking")
    app = make_app(settings, db=db, verifier=verifier("regiohub-access"), booking=booking)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://access") as client:
        yield World(client=client, db=db, urls=urls, app=app, booking_knows=known)
    await booking.aclose()
    await db.close()
