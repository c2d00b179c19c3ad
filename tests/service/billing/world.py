"""Billing's app and worker steps on a real PostgreSQL, beside the real Stripe sandbox."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import stripe
from fastapi import FastAPI

from regiohub_billing.providers.stripe import StripeProvider
from regiohub_billing.usecases import intents, webhooks
from regiohub_local.postgres import Urls
from regiohub_shared.clock import now, real_now
from regiohub_shared.contracts.booking import BookedLine, BookingChanged, PaymentVerdict
from regiohub_shared.db.database import Database
from regiohub_shared.ids import new_id
from tests.support.tokens import bearer

SECRET = "whsec_billing"
KEY = "sk_test_billing"
MEMBER = "3b0d7c1e-0000-4000-8000-000000000001"
BUYER = {"name": "Erika Beispiel", "street": "Hauptstraße 1", "postcode": "56170", "city": "Bendorf", "country": "DE"}
SELLER: dict[str, Any] = {
    "name": "Stadt Bendorf (Demo)", "street": "Im Stadtpark 1", "postcode": "56170", "city": "Bendorf",
    "tax_number": "22/650/00000",
    "tax_rules": [
        {"tax_code": "S19", "valid_from": "2020-01-01", "rate_percent": "19.00", "category": "S"},
        {"tax_code": "S07", "valid_from": "2020-01-01", "rate_percent": "7.00", "category": "S"},
    ],
}  # fmt: skip

_ROUNDS = 40
_TRIGGERS = """
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT DISTINCT event_object_table FROM information_schema.triggers LOOP
        EXECUTE format('ALTER TABLE %I {what} TRIGGER USER', name);
    END LOOP;
END $$
"""


def member(sub: str = MEMBER) -> dict[str, str]:
    return bearer(sub, "member")


def finance(*operators: str) -> dict[str, str]:
    return bearer("finance-1", "member", "finance", operators=operators)


def county(*roles: str) -> dict[str, str]:
    return bearer("county-1", "member", *(roles or ("county-finance",)))


def service(azp: str = "regiohub-booking") -> dict[str, str]:
    return bearer(f"service-{azp}", "service", azp=azp)


@dataclass
class Story:
    """A booking as the booking service tells it; each change is a new version."""

    fact: BookingChanged

    def but(self, **changes: Any) -> "Story":
        self.fact = self.fact.model_copy(update={"version": self.fact.version + 1, **changes})
        return self

    def judge(self, payment_id: str, verdict: str) -> "Story":
        known = tuple(item for item in self.fact.payments if str(item.payment_id) != payment_id)
        item = PaymentVerdict.model_validate({"payment_id": payment_id, "verdict": verdict})
        return self.but(payments=(*known, item))

    def confirm(self, payment_id: str) -> "Story":
        self.judge(payment_id, "accepted")
        return self.but(status="confirmed", confirmed_at=now())

    def cancel(self, fee_cents: int = 0) -> "Story":
        return self.but(status="cancelled", cancelled_at=now(), fee_cents=fee_cents)

    def expire(self) -> "Story":
        return self.but(status="expired", expired_at=now())


def a_booking(*cents: int, operator: str = "stadt-bendorf", sub: str = MEMBER, codes: tuple[str, ...] = ()) -> Story:
    """A held booking with one line per price."""
    start = (now() + timedelta(days=2)).replace(minute=0, second=0, microsecond=0)
    prices = cents or (1200,)
    lines = tuple(
        BookedLine(
            line_id=new_id(), resource_id=new_id(), resource_name=f"Tisch {n}", start=start,
            end=start + timedelta(hours=2), gross_cents=price, tax_code=codes[n - 1] if codes else "S19",
        )
        for n, price in enumerate(prices, 1)
    )  # fmt: skip
    return Story(
        BookingChanged(
            booking_id=new_id(), code="ABCD2345", sub=sub, hub="bendorf", hub_name="Ideenkino", operator=operator, status="held",
            version=1, lines=lines, gross_cents=sum(prices), fee_cents=0, held_at=now(), hold_until=now() + timedelta(minutes=35),
            confirmed_at=None, cancelled_at=None, expired_at=None, checked_in_at=None, completed_at=None,
        )
    )  # fmt: skip


@dataclass
class World:
    """The app, its database, the provider and the sandbox."""

    app: FastAPI
    client: httpx.AsyncClient
    db: Database
    urls: Urls
    provider: StripeProvider
    sandbox: httpx.AsyncClient
    booking_knows: dict[str, dict[str, Any]]
    seen: set[str] = field(default_factory=set)

    async def put_seller(self, operator: str = "stadt-bendorf", **changes: Any) -> httpx.Response:
        return await self.client.put(f"/v1/sellers/{operator}", json=SELLER | changes, headers=county("county-admin"))

    async def tell(self, story: Story, event_id: UUID | None = None) -> httpx.Response:
        """Deliver the booking's newest snapshot."""
        fact = story.fact
        envelope = {
            "specversion": "1.0", "id": str(event_id or new_id()), "source": "/booking", "type": fact.type,
            "subject": fact.subject, "time": real_now().isoformat(), "sequence": fact.sequence,
            "data": fact.model_dump(mode="json"),
        }  # fmt: skip
        answer = await self.client.post("/internal/events", json=envelope, headers=service())
        assert answer.status_code == 200, answer.text
        return answer

    async def ask(self, story: Story, key: str | None = None, **changes: Any) -> httpx.Response:
        """POST /v1/payments for the story's booking."""
        body = {"booking_id": str(story.fact.booking_id), "buyer": BUYER} | changes
        headers = member(story.fact.sub) | {"Idempotency-Key": key or str(new_id())}
        return await self.client.post("/v1/payments", json=body, headers=headers)

    async def open(self, story: Story) -> dict[str, Any]:
        answer = await self.ask(story)
        assert answer.status_code == 201, answer.text
        opened: dict[str, Any] = answer.json()
        return opened

    async def press(self, payment: dict[str, Any], action: str = "pay") -> None:
        """The member presses a button on the hosted page."""
        path = httpx.URL(payment["checkout_url"]).path
        answer = await self.sandbox.post(path, data={"action": action})
        assert answer.status_code == 303, answer.text

    async def switch(self, **switches: Any) -> None:
        answer = await self.sandbox.post("/sandbox/switches", json=switches)
        assert answer.status_code == 200, answer.text

    async def new_events(self) -> list[dict[str, Any]]:
        """The sandbox's events that were not handed out yet, oldest first."""
        answer = await self.sandbox.get("/v1/events", params={"limit": 100})
        fresh = [event for event in reversed(answer.json()["data"]) if event["id"] not in self.seen]
        self.seen |= {event["id"] for event in fresh}
        return fresh

    async def deliver(self, event: dict[str, Any], *, secret: str = SECRET, age_s: int = 0) -> httpx.Response:
        """Post an event as a signed webhook."""
        body = httpx.Response(200, json=event).content.decode()
        made = int(real_now().timestamp()) - age_s
        signature = stripe.WebhookSignature.generate_signature_header(body, secret, made)
        return await self.client.post("/v1/webhooks/stripe", content=body, headers={"Stripe-Signature": signature})

    async def webhooks(self) -> None:
        """Deliver every new event and let the worker handle what has come in."""
        for event in await self.new_events():
            answer = await self.deliver(event)
            assert answer.status_code == 200, answer.text
        await self.work()

    async def work(self) -> None:
        """Let the worker do everything that is due, until nothing is."""
        for _ in range(_ROUNDS):
            if not await webhooks.work_due(self.db, self.provider) + await intents.work_due(self.db, self.provider):
                return
        raise AssertionError("the worker does not come to rest: something is planned again and again")

    async def paid(self, story: Story) -> dict[str, Any]:
        """Held, told, opened, paid, and the webhooks handled."""
        await self.tell(story)
        payment = await self.open(story)
        await self.press(payment)
        await self.webhooks()
        return payment

    async def confirmed(self, story: Story) -> dict[str, Any]:
        payment = await self.paid(story)
        await self.tell(story.confirm(payment["id"]))
        await self.work()
        return payment

    async def payments(self, story: Story) -> list[dict[str, Any]]:
        headers = member(story.fact.sub)
        answer = await self.client.get(
            "/v1/payments", params={"booking_id": str(story.fact.booking_id)}, headers=headers
        )
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def documents(self, story: Story) -> list[dict[str, Any]]:
        headers = member(story.fact.sub)
        answer = await self.client.get(
            "/v1/documents", params={"booking_id": str(story.fact.booking_id)}, headers=headers
        )
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def refunds_at_stripe(self, payment: dict[str, Any]) -> list[dict[str, Any]]:
        async with self.db.session() as session:
            row = await session.connection()
            found = await row.exec_driver_sql(
                "SELECT provider_payment_id FROM payment WHERE id = $1", (UUID(payment["id"]),)
            )
            provider_payment_id = found.scalar_one()
        answer = await self.sandbox.get("/v1/refunds", params={"payment_intent": provider_payment_id})
        data: list[dict[str, Any]] = answer.json()["data"]
        return data

    async def rows(self, sql: str, *values: Any, owner: bool = False, unguarded: bool = False) -> list[asyncpg.Record]:
        """Run any statement as the app role (or the owner, or the owner past all triggers) and return its rows."""
        connection = await asyncpg.connect(self.urls.owner if owner or unguarded else self.urls.app)
        try:
            if unguarded:
                await connection.execute(_TRIGGERS.format(what="DISABLE"))
            found: list[asyncpg.Record] = await connection.fetch(sql, *values)
            if unguarded:
                await connection.execute(_TRIGGERS.format(what="ENABLE"))
        finally:
            await connection.close()
        return found

    async def balances(self) -> dict[str, int]:
        found = await self.rows("SELECT account, balance_cents FROM account_balance WHERE balance_cents <> 0")
        return {row["account"]: int(row["balance_cents"]) for row in found}

    async def facts(self) -> list[dict[str, Any]]:
        """The facts that billing has sent, in order; data only."""
        found = await self.rows("SELECT data FROM outbox ORDER BY id")
        return [json.loads(row["data"]) for row in found]

    async def clearing(self) -> list[dict[str, Any]]:
        answer = await self.client.get("/v1/clearing", headers=county())
        items: list[dict[str, Any]] = answer.json()["items"]
        return items
