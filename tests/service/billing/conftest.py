"""Billing on a fresh database for each test; the sandbox runs once as a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from regiohub_billing.main import make_app
from regiohub_billing.settings import Settings
from regiohub_billing.usecases import audit
from regiohub_billing.wiring import make_provider
from regiohub_local.ports import free_port
from regiohub_local.postgres import Urls
from regiohub_shared.db.database import Database
from tests.service.billing.world import KEY, SECRET, World
from tests.support.pg import Cluster
from tests.support.tokens import ISSUER, verifier


@pytest.fixture(scope="session")
def sandbox_origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One Stripe sandbox for the whole run."""
    yield from running_sandbox(tmp_path_factory)


def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The Stripe sandbox on a free port; it sends no webhooks by itself, the tests deliver its events."""
    port = free_port()
    env = os.environ | {
        "SANDBOX_PORT": str(port), "SANDBOX_STATE_DIR": str(tmp_path_factory.mktemp("stripe")),
        "SANDBOX_API_KEY": KEY, "SANDBOX_WEBHOOK_SECRET": SECRET, "SANDBOX_WEBHOOK_URL": "",
    }  # fmt: skip
    process = subprocess.Popen([sys.executable, "-m", "regiohub_local.stripe_sandbox"], env=env)
    try:
        _wait_for(f"http://127.0.0.1:{port}/healthz", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(400):
        assert process.poll() is None, "the sandbox has ended"
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the sandbox did not start")


@pytest.fixture
def urls(cluster: Cluster) -> Iterator[Urls]:
    """A fresh, migrated database."""
    with cluster.database("billing") as fresh:
        yield fresh


@pytest.fixture
async def world(urls: Urls, sandbox_origin: str) -> AsyncIterator[World]:
    """The running app; afterwards every hash chain must hold, whatever the test did."""
    settings = Settings(
        database_url=urls.app, issuer=ISSUER, stripe_api_base=sandbox_origin, stripe_api_key=KEY,
        stripe_webhook_secret=SECRET,
    )  # fmt: skip
    db = Database(urls.app, pool_size=8)
    known: dict[str, dict[str, object]] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        found = known.get(request.url.path.removeprefix("/internal/bookings/"))
        return httpx.Response(200, json=found) if found else httpx.Response(404)

    booking = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://booking")
    provider = make_provider(settings)
    app = make_app(settings, db=db, verifier=verifier("regiohub-billing"), provider=provider, booking=booking)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    auth = {"Authorization": f"Bearer {KEY}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://billing") as client,
        httpx.AsyncClient(base_url=sandbox_origin, headers=auth, trust_env=False) as sandbox,
    ):
        made = World(app, client, db, urls, provider, sandbox, known)
        await made.switch(refund="succeeded", refund_delay_s=0, webhooks="send", webhook_delay_s=0, response_delay_s=0)
        await made.new_events()
        assert (await made.put_seller()).status_code == 201
        yield made
        async with db.session() as session:
            assert await audit.broken_chains(session) == []
