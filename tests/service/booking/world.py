"""A small region in the database, and helpers that every booking test uses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI

from regiohub_booking.main import make_app
from regiohub_booking.settings import Settings
from regiohub_local.postgres import Urls
from regiohub_shared.clock import now
from regiohub_shared.db.database import Database
from tests.support.tokens import ISSUER, bearer, verifier

DESK = UUID("00000000-0000-7000-8000-000000000001")
HALL = UUID("00000000-0000-7000-8000-000000000010")
LEFT = UUID("00000000-0000-7000-8000-000000000011")
RIGHT = UUID("00000000-0000-7000-8000-000000000012")
BUFFERED = UUID("00000000-0000-7000-8000-000000000020")
FREE = UUID("00000000-0000-7000-8000-000000000030")
OFFICE = UUID("00000000-0000-7000-8000-000000000040")
ALWAYS = [{"weekday": day, "opens": "00:00", "closes": "24:00"} for day in range(1, 8)]
OFFICE_HOURS = [{"weekday": day, "opens": "08:00", "closes": "18:00"} for day in range(1, 6)]

MEMBER = bearer("member-1", "member")
OTHER = bearer("member-2", "member")
OPERATOR = bearer("operator-1", "member", "hub-operator", hubs=["bendorf"])
FOREIGN_OPERATOR = bearer("operator-2", "member", "hub-operator", hubs=["mayen"])
COUNTY = bearer("county-1", "county-admin")
BILLING = bearer("service-billing", "service", azp="regiohub-billing")
ACCESS = bearer("service-access", "service", azp="regiohub-access")
PRIVACY = bearer("service-privacy", "service", azp="regiohub-privacy")

INVARIANT = """
SELECT count(*) FROM occupancy a JOIN occupancy b
ON a.id < b.id AND a.resource_id = b.resource_id AND a.span && b.span AND a.lane && b.lane
"""
# A booking that ended without use holds nothing; one that is alive holds every leaf of every line for all its time.
ORPHANS = """
SELECT count(*) FROM occupancy o JOIN line l ON l.id = o.line_id JOIN booking b ON b.id = l.booking_id
WHERE b.status IN ('cancelled', 'expired', 'rejected')
"""
UNHELD = """
SELECT count(*) FROM line l JOIN booking b ON b.id = l.booking_id
LEFT JOIN resource_part p ON p.resource_id = l.resource_id
WHERE b.status IN ('requested', 'held', 'confirmed', 'checked_in', 'completed') AND NOT EXISTS (
    SELECT FROM occupancy o WHERE o.line_id = l.id AND o.resource_id = coalesce(p.part_id, l.resource_id)
    AND lower_inf(o.lane) AND o.span = tstzrange(l.starts_at, l.ends_at, '[)'))
"""
# The newest fact of each booking is the booking.
STALE_FACTS = """
SELECT count(*) FROM booking b WHERE NOT EXISTS (
    SELECT FROM outbox o WHERE o.subject = b.id::text AND o.sequence = b.version AND o.data ->> 'status' = b.status)
"""


def resource(name: str, **more: Any) -> dict[str, Any]:
    """Body of a PUT."""
    return {
        "hub": "bendorf", "name": name, "kind": "room", "cents_per_hour": 400, "tax_code": "S19",
        "granularity_minutes": 15, "min_minutes": 15, "max_minutes": 1500,
    } | more  # fmt: skip


RESOURCES = {
    DESK: resource("Desk 1", kind="desk"),
    LEFT: resource("Hall left"),
    RIGHT: resource("Hall right"),
    HALL: resource("Hall", parts=[str(LEFT), str(RIGHT)], cents_per_hour=2500),
    BUFFERED: resource("Workshop", buffer_before_minutes=30, buffer_after_minutes=30),
    FREE: resource("Corner", cents_per_hour=0, kind="desk"),
    OFFICE: resource("Office", opening_hours=OFFICE_HOURS, granularity_minutes=60, min_minutes=60, max_minutes=480),
}


class Userinfo(httpx.AsyncBaseTransport):
    """Keycloak's userinfo endpoint: the one answer that booking asks it for."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_down = False
        self.hangs = False
        self.is_verified = True
        self.sub = "member-1"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.is_down:
            raise httpx.ConnectError("down")
        if self.hangs:
            await asyncio.Event().wait()
        claims = {
            "sub": self.sub,
            "name": "Demo Mitglied",
            "email": "demo@example.org",
            "email_verified": self.is_verified,
        }
        return httpx.Response(200, json=claims)


def settings(url: str, **more: Any) -> Settings:
    return Settings(database_url=url, issuer=ISSUER, pool_size=8, **more)


class World:
    """The app with its client and database."""

    def __init__(
        self, app: FastAPI, client: httpx.AsyncClient, db: Database, userinfo: Userinfo, owner: Database
    ) -> None:
        self.app, self.client, self.db, self.userinfo, self.owner = app, client, db, userinfo, owner

    async def sql(self, query: str, *values: Any) -> list[Any]:
        """As the schema's owner: the app itself may do less."""
        async with self.owner.transaction() as connection:
            return list(await connection.fetch(query, *values))

    async def value(self, query: str, *values: Any) -> Any:
        return (await self.sql(query, *values))[0][0]

    async def book(
        self, *lines: tuple[UUID, datetime, datetime], key: str | None = None, by: dict[str, str] = MEMBER
    ) -> httpx.Response:
        body = {"lines": [{"resource_id": str(r), "start": s.isoformat(), "end": e.isoformat()} for r, s, e in lines]}
        return await self.post("/v1/bookings", body, by=by, key=key)

    async def post(
        self, path: str, body: Any = None, *, by: dict[str, str], key: str | None = None, version: int | None = None
    ) -> httpx.Response:
        headers = by | {"Idempotency-Key": key or uuid4().hex}
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        return await self.client.post(path, json=body, headers=headers)

    async def rows(self) -> dict[str, list[str]]:
        """Every row of every table, as text."""
        async with self.db.transaction() as connection:
            names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
            return {
                name: sorted(row[0] for row in await connection.fetch(f'SELECT t::text FROM "{name}" t'))
                for (name,) in names
            }

    async def pay(
        self, booking: dict[str, Any], *, payment: UUID | None = None, version: int = 1, **more: Any
    ) -> httpx.Response:
        payment = payment or uuid4()
        data = {
            "payment_id": str(payment), "booking_id": booking["id"], "sub": "member-1", "operator": booking["operator"],
            "version": version, "amount_cents": booking["gross_cents"], "paid_cents": booking["gross_cents"],
            "refunded_cents": 0, "currency": "EUR", "paid_at": now().isoformat(),
        } | more  # fmt: skip
        return await self.fact("regiohub.payment.changed", str(payment), version, data, by=BILLING)

    async def open_door(self, booking: dict[str, Any], at: datetime, *, by: dict[str, str] = ACCESS) -> httpx.Response:
        grant = uuid4()
        data = {"grant_id": str(grant), "booking_id": booking["id"], "version": 1, "first_opened_at": at.isoformat()}
        return await self.fact("regiohub.door.opened", str(grant), 1, data, by=by)

    async def fact(
        self,
        kind: str,
        subject: str,
        sequence: int,
        data: dict[str, Any],
        *,
        by: dict[str, str],
        event: UUID | None = None,
    ) -> httpx.Response:
        envelope = {
            "id": str(event or uuid4()), "source": "/test", "type": kind, "subject": subject,
            "time": now().isoformat(), "sequence": sequence, "data": data,
        }  # fmt: skip
        return await self.client.post("/internal/events", json=envelope, headers=by)

    async def read(self, booking: dict[str, Any]) -> dict[str, Any]:
        answer = await self.client.get(f"/v1/bookings/{booking['id']}", headers=MEMBER)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def bring_near(self, booking: dict[str, Any], *, minutes: int = 50) -> None:
        """Let it begin in so many minutes, as far as cancelling and checking in are concerned; its lines stay."""
        start = now() + timedelta(minutes=minutes)
        await self.sql("UPDATE booking SET starts_at = $2 WHERE id = $1", UUID(booking["id"]), start)

    async def begin(self, booking: dict[str, Any]) -> None:
        """Let its only line have begun a minute ago, for half an hour."""
        start, end = now() - timedelta(minutes=1), now() + timedelta(minutes=29)
        line = UUID(booking["lines"][0]["id"])
        await self.sql("UPDATE booking SET starts_at = $2, ends_at = $3 WHERE id = $1", UUID(booking["id"]), start, end)
        await self.sql("UPDATE line SET starts_at = $2, ends_at = $3 WHERE id = $1", line, start, end)
        await self.sql("UPDATE occupancy SET span = tstzrange($2, $3, '[)') WHERE line_id = $1", line, start, end)

    async def lapse(self, booking: dict[str, Any]) -> None:
        """Let the hold's time be over, as if 35 minutes had passed."""
        past = now() - timedelta(minutes=1)
        await self.sql("UPDATE booking SET hold_until = $2 WHERE id = $1", UUID(booking["id"]), past)


async def check_invariants(connection: Any) -> None:
    """What must be true after every test that writes."""
    for name, query in (("overlaps", INVARIANT), ("orphans", ORPHANS), ("unheld", UNHELD), ("stale", STALE_FACTS)):
        assert await connection.fetchval(query) == 0, name


def tomorrow(hour: int, minute: int = 0, days: int = 1) -> datetime:
    """A moment in UTC, far from the raster's running step."""
    day = (now() + timedelta(days=days)).date()
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


async def seed(client: httpx.AsyncClient) -> None:
    for slug in ("bendorf", "mayen"):
        town = f"stadt-{slug}"
        answer = await client.put(f"/v1/operators/{town}", json={"name": f"Stadt {slug}"}, headers=COUNTY)
        assert answer.status_code == 200, answer.text
        hub = {
            "operator": town, "name": slug.title(), "street": "Am Markt 1", "postcode": "56170", "city": slug.title(),
            "door_hint": "Seiteneingang", "opening_hours": ALWAYS,
        }  # fmt: skip
        answer = await client.put(f"/v1/hubs/{slug}", json=hub, headers=COUNTY)
        assert answer.status_code == 200, answer.text
    for key, body in RESOURCES.items():
        answer = await client.put(f"/v1/resources/{key}", json=body, headers=COUNTY)
        assert answer.status_code == 200, answer.text


@asynccontextmanager
async def running(urls: Urls | str, *, seeded: bool = True) -> AsyncIterator[World]:
    """The app in this process on the given database; checks the invariants at the end."""
    urls = Urls(app=urls, owner=urls) if isinstance(urls, str) else urls
    userinfo = Userinfo()
    chosen = settings(urls.app)
    db = Database(urls.app, pool_size=8)
    app = make_app(chosen, db=db, verifier=verifier("regiohub-booking"), keycloak=userinfo)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://booking") as client:
            if seeded:
                await seed(client)
            owner = Database(urls.owner, pool_size=2)
            try:
                yield World(app, client, db, userinfo, owner)
                async with owner.transaction() as connection:
                    await check_invariants(connection)
            finally:
                await owner.close()
