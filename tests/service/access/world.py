"""Factories and calls for the tests of access: facts, phones, readers."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI
from sqlalchemy import text

from regiohub_access.reader import wire
from regiohub_access.rh1 import PrivateKey, encode_base64url, enrolment_message
from regiohub_local.postgres import Urls
from regiohub_shared import clock
from regiohub_shared.contracts.booking import BookedLine, BookingChanged
from regiohub_shared.db.database import Database
from tests.support.tokens import bearer

DESK, BOOTH, HALL = uuid4(), uuid4(), uuid4()
MEMBER, OTHER = "demo-mitglied", "demo-mitglied-2"
HUB, READER = "bendorf", "reader-bendorf"
ADMIN = ("county-admin",)


def moment(minutes: int = 0) -> datetime:
    """Whole seconds, so many minutes from now."""
    return clock.now().replace(microsecond=0) + timedelta(minutes=minutes)


def line(resource: UUID = DESK, start: int = -10, end: int = 110) -> BookedLine:
    """A booked line; times in minutes from now."""
    return BookedLine(
        line_id=uuid4(), resource_id=resource, resource_name="Schreibtisch 1", start=moment(start), end=moment(end),
        gross_cents=400, tax_code="S19",
    )  # fmt: skip


def make_fact(status: str = "confirmed", version: int = 2, **changes: Any) -> BookingChanged:
    """A booking as booking tells it."""
    at = moment(-30)
    values: dict[str, Any] = {
        "booking_id": uuid4(), "code": "ABCD2345", "sub": MEMBER, "hub": HUB, "operator": "stadt-bendorf",
        "status": status, "version": version, "lines": (line(),), "gross_cents": 400, "fee_cents": 0,
        "held_at": at, "hold_until": at, "confirmed_at": at, "cancelled_at": None, "expired_at": None,
        "checked_in_at": None, "completed_at": None,
    }  # fmt: skip
    return BookingChanged(**values | changes)


def later(fact: BookingChanged, status: str, version: int) -> BookingChanged:
    """The same booking in a later version."""
    stamps = {"cancelled_at": moment()} if status == "cancelled" else {}
    return fact.model_copy(update={"status": status, "version": version} | stamps)


@dataclass
class Phone:
    """A member's phone with its own key."""

    key: PrivateKey = field(default_factory=PrivateKey.generate)

    def asks(self, grant_id: str, *, age_s: int = 0) -> dict[str, Any]:
        """The body of a request for a pass."""
        ts = int(clock.real_now().timestamp()) - age_s
        signature = encode_base64url(self.key.sign(enrolment_message(grant_id, ts)))
        return {"jwk": self.key.public.to_jwk(), "ts": ts, "signature": signature}


@dataclass
class FakeReader:
    """A reader's side of the sync: it chains events as the real one does."""

    client_id: str = READER
    chain: str = "0123456789abcdef"
    seq: int = 0
    head: str = wire.GENESIS

    def event(self, decision: str = "allowed", *, at: datetime | None = None, **changes: Any) -> wire.Event:
        """The next event of this reader's chain."""
        self.seq += 1
        values: dict[str, Any] = {
            "seq": self.seq, "at": at or clock.now(), "door": 1, "kind": "pass", "decision": decision,
            "reason": "granted" if decision == "allowed" else "expired", "pass_id": None, "pin_id": None,
            "prev_hash": self.head, "hash": wire.GENESIS,
        }  # fmt: skip
        made = wire.Event(**values | changes)
        made = replace(made, hash=made.computed_hash())
        self.head = made.hash
        return made


@dataclass
class World:
    """The app under test."""

    client: httpx.AsyncClient
    db: Database
    urls: Urls
    app: FastAPI
    booking_knows: dict[str, dict[str, object]]

    async def set_up(
        self, hub: str = HUB, reader: str | None = READER, margin: int = 10, *, may_be_late: bool = False
    ) -> None:
        """Doors as the seed makes them: 1 outer, 2 desk, 3 booth and hall; ``may_be_late`` in a race with others."""
        doors = [
            {"number": 1, "name": "Haupteingang", "outer": True},
            {"number": 2, "name": "Büro", "resource_ids": [str(DESK)]},
            {"number": 3, "name": "Saal", "resource_ids": [str(BOOTH), str(HALL)]},
        ]
        body = {"doors": doors, "margin_minutes": margin, "address": "Beispielweg 1"}
        path = f"/v1/hubs/{hub}/doors"
        stored = await self.client.get(path, headers=bearer("a", *ADMIN))
        seen = {"If-Match": stored.headers["etag"]} if stored.status_code == 200 else {}
        answer = await self.client.put(path, json=body, headers=bearer("a", *ADMIN) | seen)
        assert answer.status_code in ({200, 412} if may_be_late else {200}), answer.text
        if reader:
            answer = await self.client.put(f"/v1/readers/{reader}", json={"hub": hub}, headers=bearer("a", *ADMIN))
            assert answer.status_code == 200, answer.text

    async def hears(self, fact: BookingChanged, event_id: UUID | None = None) -> httpx.Response:
        """Deliver a fact as booking's relay does."""
        envelope = {
            "id": str(event_id or uuid4()), "source": "/booking", "type": fact.type, "subject": fact.subject,
            "time": moment().isoformat(), "sequence": fact.sequence, "data": fact.model_dump(mode="json"),
        }  # fmt: skip
        headers = bearer("svc", "service", azp="regiohub-booking")
        answer = await self.client.post("/internal/events", json=envelope, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer

    async def grant_of(self, fact: BookingChanged, sub: str = MEMBER) -> dict[str, Any]:
        """The member's grant of a booking."""
        params = {"booking_id": str(fact.booking_id)}
        answer = await self.client.get("/v1/grants", params=params, headers=bearer(sub, "member"))
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        assert len(items) == 1, items
        return items[0]

    async def asks_pass(self, grant_id: str, phone: Phone, sub: str = MEMBER, **changes: Any) -> httpx.Response:
        """Fetch a pass."""
        body = phone.asks(grant_id) | changes
        return await self.client.post(f"/v1/grants/{grant_id}/passes", json=body, headers=bearer(sub, "member"))

    async def syncs(
        self,
        reader: FakeReader,
        *events: wire.Event,
        have: wire.Have | None = None,
        pins_stored: tuple[str, ...] = (),
        wait_s: int = 0,
        azp: str | None = None,
        commands_version: int = 1,
        expect: int = 200,
    ) -> wire.SyncResponse | None:
        """One exchange of a reader; None unless it is answered with 200."""
        request = wire.SyncRequest(
            chain=reader.chain, events=events, acked_seq=0, have=have or wire.Have(), pins_stored=pins_stored,
            wait_s=wait_s, commands_version=commands_version,
        )  # fmt: skip
        headers = bearer("device", "lock-device", azp=azp or reader.client_id)
        answer = await self.client.post(
            f"/v1/readers/{reader.client_id}/sync", json=request.to_json(), headers=headers, timeout=30
        )
        assert answer.status_code == expect, answer.text
        return wire.SyncResponse.from_json(answer.json()) if expect == 200 else None

    async def rows(self, sql: str, **values: Any) -> list[Any]:
        """Look into the database as the app role."""
        async with self.db.session() as session:
            return list((await session.execute(text(sql), values)).all())
