"""The steps of one booking, each a function that says what it saw; `make demo` plays all, the proof of `make run` some."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx

from regiohub_access import rh1
from regiohub_local.person import Person
from regiohub_local.plan import House
from regiohub_shared.clock import now, real_now

HUB = "bendorf"
OPERATOR = "stadt-bendorf"
BUYER = {
    "name": "Demo Mitglied (Demo)", "street": "Beispielweg 1", "postcode": "56170", "city": "Bendorf", "country": "DE",
}  # fmt: skip
_T = TypeVar("_T")


class StepFailed(RuntimeError):
    """A step did not hold."""


def check(holds: object, claim: str) -> None:
    """Raise :class:`StepFailed` with the claim unless it holds."""
    if not holds:
        raise StepFailed(claim)


@dataclass
class Tale:
    """What the steps have found out so far."""

    house: House
    member: Person
    other: Person
    start: datetime
    end: datetime
    desk: str = ""
    booking: dict[str, Any] = field(default_factory=dict)
    grant: dict[str, Any] = field(default_factory=dict)
    phone: rh1.PrivateKey = field(default_factory=rh1.PrivateKey.generate)
    minted: bytes = b""
    shown: str = ""

    @property
    def path(self) -> str:
        """The booking's address in the API."""
        return f"/api/booking/v1/bookings/{self.booking['id']}"


async def until(what: str, ask: Callable[[], Awaitable[_T | None]], seconds: float = 60) -> _T:
    """Ask again until there is an answer; facts take a moment to arrive."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (found := await ask()) is not None:
            return found
        await asyncio.sleep(0.2)
    raise StepFailed(f"{what}: not within {seconds:.0f} s")


def current_slot() -> tuple[datetime, datetime]:
    """Return the half hour in which we are and the one after it, so that the door may open at once."""
    start = now().astimezone(UTC).replace(second=0, microsecond=0)
    start -= timedelta(minutes=start.minute % 30)
    return start, start + timedelta(hours=1)


async def search(tale: Tale) -> str:
    """Find a free desk with its price."""
    wanted = {"hub": HUB, "start": tale.start.isoformat(), "end": tale.end.isoformat()}
    found = await tale.member.get("/api/booking/v1/availability", **wanted)
    free = [item for item in found["items"] if item["is_free"] and item["price"]["gross_cents"] > 0]
    check(free, "no free desk in Bendorf")
    tale.desk = free[0]["resource_id"]
    return f"{len(free)} free, {free[0]['resource_name']} for {free[0]['price']['gross_cents']} ct"


def order(tale: Tale) -> dict[str, Any]:
    """The request that books the desk."""
    return {"lines": [{"resource_id": tale.desk, "start": tale.start.isoformat(), "end": tale.end.isoformat()}]}


async def book(tale: Tale) -> str:
    """Hold the desk."""
    tale.booking = await tale.member.post("/api/booking/v1/bookings", order(tale))
    check(tale.booking["status"] == "held", "the booking is not held")
    return f"{tale.booking['code']} held until {tale.booking['hold_until']}"


async def pay(tale: Tale) -> str:
    """Pay on the sandbox's page; the webhook confirms."""
    body = {"booking_id": tale.booking["id"], "buyer": BUYER}
    opened = await tale.member.post("/api/billing/v1/payments", body)
    answer = await tale.member.pay(opened["checkout_url"])
    check(answer.is_redirect, f"the payment page answered {answer.status_code}")
    tale.booking = await until("confirmation", lambda: with_status(tale, "confirmed"))
    return f"{opened['amount_cents']} ct, confirmed at {tale.booking['confirmed_at']}"


async def with_status(tale: Tale, status: str) -> dict[str, Any] | None:
    """The booking, once it has that status."""
    found: dict[str, Any] = await tale.member.get(tale.path)
    return found if found["status"] == status else None


async def fetch_pass(tale: Tale) -> str:
    """The phone makes a key and fetches the pass bound to it."""
    tale.grant = await until("grant", lambda: _grant(tale))
    ts = int(real_now().timestamp())
    signature = tale.phone.sign(rh1.enrolment_message(tale.grant["id"], ts))
    body = {"jwk": tale.phone.public.to_jwk(), "ts": ts, "signature": rh1.encode_base64url(signature)}
    issued = await tale.member.post(f"/api/access/v1/grants/{tale.grant['id']}/passes", body)
    tale.minted = base64.urlsafe_b64decode(issued["pass"] + "=" * (-len(issued["pass"]) % 4))
    await until("PIN at the reader", lambda: _armed(tale))
    return f"{len(tale.minted)} bytes, doors {[door['number'] for door in tale.grant['doors']]}"


async def _grant(tale: Tale) -> dict[str, Any] | None:
    found = await tale.member.get("/api/access/v1/grants", booking_id=tale.booking["id"])
    return next((item for item in found["items"] if item["status"] == "active"), None)


async def _armed(tale: Tale) -> dict[str, Any] | None:
    found: dict[str, Any] = await tale.member.get(f"/api/access/v1/grants/{tale.grant['id']}")
    return found if found["pin_armed_at"] else None


def show(tale: Tale) -> str:
    """Return a fresh presentation for the first door."""
    proof = rh1.Proof(ts=int(real_now().timestamp()), door=tale.grant["doors"][0]["number"], nonce=os.urandom(4))
    return rh1.present(tale.minted, tale.phone, proof)


async def at_door(tale: Tale, shown: str) -> dict[str, Any]:
    """Hold a presentation to the reader of the hub."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        body = {"door": tale.grant["doors"][0]["number"], "presentation": shown}
        answer = await http.post(f"{tale.house.url(f'reader-{HUB}')}/present", json=body)
        decided: dict[str, Any] = answer.json()
        return decided


async def open_door(tale: Tale) -> str:
    """Hold the pass to the door's reader."""
    tale.shown = show(tale)
    decided = await at_door(tale, tale.shown)
    check(decided["decision"] == "allowed", f"the door said {decided}")
    return f"{decided['decision']}, {decided['reason']}"


async def checked_in(tale: Tale) -> str:
    """The first opening checks in."""
    tale.booking = await until("check-in", lambda: with_status(tale, "checked_in"))
    return f"at {tale.booking['checked_in_at']}"


async def invoice(tale: Tale) -> str:
    """The invoice has been issued."""
    found = await until("invoice", lambda: documents(tale, 1))
    return f"{found[0]['number']}, {found[0]['gross_cents']} ct of which {found[0]['tax_cents']} ct tax"


async def documents(tale: Tale, count: int) -> list[dict[str, Any]] | None:
    """The booking's documents, once there are that many."""
    found = await tale.member.get("/api/billing/v1/documents", booking_id=tale.booking["id"])
    items: list[dict[str, Any]] = found["items"]
    return items if len(items) >= count else None
