"""Booking, access and billing side by side, each on a database of its own; facts travel by their real relays."""

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import httpx
from fastapi import FastAPI

from regiohub_access.main import make_app as make_access
from regiohub_access.settings import Settings as AccessSettings
from regiohub_billing.main import make_app as make_billing
from regiohub_billing.settings import Settings as BillingSettings
from regiohub_billing.wiring import make_provider
from regiohub_local import postgres
from regiohub_local.postgres import Urls
from regiohub_shared.auth.service_tokens import ServiceAuth, ServiceTokens
from regiohub_shared.db.database import Database
from regiohub_shared.events.relay import Relay, Target
from regiohub_shared.http.client import make_client
from regiohub_shared.ids import new_id
from tests.service.access.world import World as AccessWorld
from tests.service.billing.world import BUYER, KEY, SECRET
from tests.service.billing.world import World as BillingWorld
from tests.service.booking.world import COUNTY, DESK, tomorrow
from tests.service.booking.world import World as BookingWorld
from tests.service.booking.world import running as running_booking
from tests.support.pg import Cluster, outside_loop
from tests.support.tokens import ISSUER, bearer, verifier

HUB, TOWN, READER = "bendorf", "stadt-bendorf", "reader-bendorf"


class Tokens(ServiceTokens):
    """A service's token, signed here instead of fetched from Keycloak."""

    def __init__(self, azp: str) -> None:
        self._value = bearer(f"service-account-{azp}", "service", azp=azp)["Authorization"].removeprefix("Bearer ")

    async def token(self) -> str:
        return self._value


def client_of(azp: str, transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """The client that services make for their neighbours, with a token of ``azp``."""
    return make_client("http://neighbour", auth=ServiceAuth(Tokens(azp)), transport=transport)


def transport_to(app: FastAPI) -> httpx.ASGITransport:
    return httpx.ASGITransport(app=app, raise_app_exceptions=False)


class Post(httpx.AsyncBaseTransport):
    """From one relay to one consumer; while it ``keeps``, the relay's letters wait for the test to hand them over."""

    def __init__(self, app: FastAPI) -> None:
        self._to = transport_to(app)
        self.letters: list[httpx.Request] = []
        self.keeps = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.letters.append(request)
        if self.keeps:
            return httpx.Response(200, json={"applied": True})
        return await self._to.handle_async_request(request)

    async def hand_over(self, letter: httpx.Request, to: FastAPI | None = None) -> bool:
        """Post a letter again, byte for byte, to its consumer (or to another copy); return whether it took effect."""
        transport = transport_to(to) if to is not None else self._to
        async with httpx.AsyncClient(transport=transport, base_url="http://neighbour") as client:
            answer = await client.post("/internal/events", content=letter.content, headers=letter.headers)
        assert answer.status_code == 200, answer.text
        applied: bool = answer.json()["applied"]
        return applied


@dataclass
class Street:
    """The three services, the lines between them, and what a member does."""

    booking: BookingWorld
    access: AccessWorld
    billing: BillingWorld
    posts: dict[str, Post]
    relays: dict[str, tuple[Relay, list[Target]]]
    urls: dict[str, Urls]
    made: int = 0
    by: dict[str, dict[str, str]] = field(default_factory=dict)
    """Authorization of each booking's member."""

    async def deliver(self) -> None:
        """Let the relays work until nothing is due; no consumer may refuse."""
        busy = 1
        while busy:
            busy = 0
            for relay, targets in self.relays.values():
                for target in targets:
                    busy += await relay.deliver_due(target)
        for world in (self.booking, self.access, self.billing):
            async with world.db.transaction() as connection:
                # A second attempt alone is none: a backup can hold a delivery that was under way.
                failed = await connection.fetch(
                    "SELECT subscriber, last_error FROM outbox_delivery WHERE refusals > 0 OR last_error <> ''"
                )
            assert not failed

    async def hold(
        self, resource: UUID = DESK, *, start: datetime | None = None, by: str | None = None
    ) -> dict[str, Any]:
        """A new member holds an hour that nobody else has."""
        self.made += 1
        sub = by or f"member-{self.made}"
        begins = start or tomorrow(0) + timedelta(hours=2 * self.made)
        self.booking.userinfo.sub = sub
        answer = await self.booking.book((resource, begins, begins + timedelta(hours=1)), by=bearer(sub, "member"))
        assert answer.status_code == 201, answer.text
        held: dict[str, Any] = answer.json()
        self.by[held["id"]] = bearer(sub, "member")
        return held

    async def open_payment(self, booking: dict[str, Any]) -> dict[str, Any]:
        body = {"booking_id": booking["id"], "buyer": BUYER}
        headers = self.by[booking["id"]] | {"Idempotency-Key": str(new_id())}
        answer = await self.billing.client.post("/v1/payments", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        opened: dict[str, Any] = answer.json()
        return opened

    async def pay(self, booking: dict[str, Any]) -> dict[str, Any]:
        """Open the page, press Pay, and let billing hear of it; booking hears when the relays work."""
        opened = await self.open_payment(booking)
        await self.billing.press(opened)
        await self.billing.webhooks()
        return opened

    async def read(self, booking: dict[str, Any]) -> dict[str, Any]:
        answer = await self.booking.client.get(f"/v1/bookings/{booking['id']}", headers=self.by[booking["id"]])
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def cancel(self, booking: dict[str, Any]) -> None:
        version = (await self.read(booking))["version"]
        path = f"/v1/bookings/{booking['id']}/cancel"
        answer = await self.booking.post(path, by=self.by[booking["id"]], version=version)
        assert answer.status_code == 200, answer.text

    async def check_in(self, booking: dict[str, Any]) -> None:
        await self.booking.bring_near(booking)
        answer = await self.booking.post(f"/v1/bookings/{booking['id']}/check-in", by=COUNTY)
        assert answer.status_code == 200, answer.text

    async def rest(self, name: str) -> Urls:
        """Let go of a service's database for a moment, so that it can be copied; the next request connects again."""
        db: Database = getattr(self, name).db
        await db.close()
        db._pool = None
        return self.urls[name]

    def letters(self, line: str, booking: dict[str, Any]) -> list[httpx.Request]:
        """What was posted on ``producer>consumer`` about a booking, in order."""
        return [letter for letter in self.posts[line].letters if booking["id"].encode() in letter.content]


@contextmanager
def copies_of(cluster: Cluster, urls: Urls, count: int) -> Iterator[list[str]]:
    """So many copies of a database that nobody uses right now; dropped afterwards."""
    source, owner = urlsplit(urls.app).path.removeprefix("/"), urlsplit(urls.owner).username
    names = [f"{source}_copy_{number}" for number in range(count)]
    try:
        for name in names:
            copy = f'CREATE DATABASE "{name}" TEMPLATE "{source}" STRATEGY file_copy OWNER "{owner}"'
            outside_loop(cluster._admin(copy))
        yield [urlunsplit(urlsplit(urls.app)._replace(path=f"/{name}")) for name in names]
    finally:
        for name in names:
            outside_loop(postgres.drop(cluster.admin_url, name))


@asynccontextmanager
async def running_access(urls: Urls, booking: httpx.AsyncClient) -> AsyncIterator[AccessWorld]:
    """Access on the given database."""
    settings = AccessSettings(
        database_url=urls.app, issuer=ISSUER, secret_key=base64.urlsafe_b64encode(bytes(32)).decode(),
        pass_issuer="test-installation",
    )  # fmt: skip
    db = Database(urls.app, pool_size=8)
    app = make_access(settings, db=db, verifier=verifier("regiohub-access"), booking=booking)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport_to(app), base_url="http://access") as client,
    ):
        yield AccessWorld(client=client, db=db, urls=urls, app=app, booking_knows={})


@asynccontextmanager
async def running_billing(urls: Urls, sandbox_origin: str, booking: httpx.AsyncClient) -> AsyncIterator[BillingWorld]:
    """Billing on the given database, beside the sandbox."""
    settings = BillingSettings(
        database_url=urls.app, issuer=ISSUER, stripe_api_base=sandbox_origin, stripe_api_key=KEY,
        stripe_webhook_secret=SECRET,
    )  # fmt: skip
    db, provider = Database(urls.app, pool_size=8), make_provider(settings)
    app = make_billing(settings, db=db, verifier=verifier("regiohub-billing"), provider=provider, booking=booking)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport_to(app), base_url="http://billing") as client,
        httpx.AsyncClient(
            base_url=sandbox_origin, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False
        ) as sandbox,
    ):
        world = BillingWorld(app, client, db, urls, provider, sandbox, {})
        await world.switch(refund="succeeded", refund_delay_s=0, webhooks="send", webhook_delay_s=0, response_delay_s=0)
        await world.new_events()
        yield world


@asynccontextmanager
async def running_street(cluster: Cluster, sandbox_origin: str) -> AsyncIterator[Street]:
    """Everything on fresh databases, the region set up through the public APIs."""
    async with AsyncExitStack() as stack:
        urls = {name: stack.enter_context(cluster.database(name)) for name in ("booking", "access", "billing")}
        street = await stack.enter_async_context(street_on(urls, sandbox_origin, seeded=True))
        await _set_up(street)
        yield street


@asynccontextmanager
async def street_on(urls: dict[str, Urls], sandbox_origin: str, *, seeded: bool = False) -> AsyncIterator[Street]:
    """The three services on these databases; ``seeded``: booking's places are made first."""
    async with AsyncExitStack() as stack:
        booking = await stack.enter_async_context(running_booking(urls["booking"], seeded=seeded))
        to_booking = {name: client_of(f"regiohub-{name}", transport_to(booking.app)) for name in ("access", "billing")}
        access = await stack.enter_async_context(running_access(urls["access"], to_booking["access"]))
        billing = await stack.enter_async_context(
            running_billing(urls["billing"], sandbox_origin, to_booking["billing"])
        )
        apps = {"booking": booking, "access": access, "billing": billing}
        lines = ("booking>access", "booking>billing", "billing>booking", "access>booking")
        posts = {line: Post(apps[line.partition(">")[2]].app) for line in lines}  # type: ignore[attr-defined]
        relays = {}
        for name, world in apps.items():
            targets = []
            for line in (line for line in lines if line.startswith(f"{name}>")):
                client = await stack.enter_async_context(client_of(f"regiohub-{name}", posts[line]))
                targets.append(Target(line.partition(">")[2], client))
            relays[name] = Relay(world.db, f"/{name}", targets), targets  # type: ignore[attr-defined]
        yield Street(booking, access, billing, posts, relays, urls)


async def _set_up(street: Street) -> None:
    doors = [
        {"number": 1, "name": "Haupteingang", "outer": True},
        {"number": 2, "name": "Büro", "resource_ids": [str(DESK)]},
    ]
    body = {"doors": doors, "margin_minutes": 10, "address": "Beispielweg 1"}
    for answer in (
        await street.access.client.put(f"/v1/hubs/{HUB}/doors", json=body, headers=COUNTY),
        await street.access.client.put(f"/v1/readers/{READER}", json={"hub": HUB}, headers=COUNTY),
        await street.billing.put_seller(TOWN),
    ):
        assert answer.is_success, answer.text
