"""Members who book, pay, cancel and open doors, and write down what they were told."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from regiohub_access import rh1
from regiohub_access.rh1.reasons import Reason
from regiohub_local import story
from regiohub_local.chaos.caller import Caller, Unanswered, kind
from regiohub_local.chaos.oracle import Acknowledged, Decision, Oracle
from regiohub_local.chaos.region import Offer
from regiohub_local.plan import House
from regiohub_shared.clock import real_now

_API = "/api/booking/v1/bookings"
_HALF_HOUR = timedelta(minutes=30)


@dataclass(slots=True)
class Work:
    """What all members share: how many bookings are wanted, and when nobody starts another one."""

    house: House
    oracle: Oracle
    offers: Sequence[Offer]
    wanted: int
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_done(self) -> bool:
        """Enough bookings, and whoever breaks things has finished."""
        return self.is_over.is_set() and len(self.oracle.bookings) >= self.wanted


class Member:
    """One member, one thing after the other. Every choice comes from `rng`."""

    def __init__(self, work: Work, caller: Caller, rng: random.Random) -> None:
        self._work, self._caller, self._rng, self._oracle = work, caller, rng, work.oracle

    async def run(self, pause_s: float) -> None:
        """Book until it is over."""
        while not self._work.is_done:
            try:
                await self._one()
            except Unanswered:
                continue  # written down already
            await asyncio.sleep(self._rng.uniform(0.2, 1.8) * pause_s)

    async def _one(self) -> None:
        """One booking and what becomes of it; the dice are thrown first, so that answers change no choice."""
        offer, start, end = self._wish()
        fate, will_cancel, declines = self._rng.random(), self._rng.random() < 0.4, self._rng.random() < 0.1
        booking = await self._book(offer, start, end)
        if booking is None:
            return
        if booking["status"] == "held":
            if fate < 0.08:
                await self._cancel(booking["id"])
                return
            await self._pay(booking["id"], declines=declines)
            if fate < 0.16:
                await self._cancel(booking["id"])  # whether the payment has arrived by now or not
                return
        is_confirmed = await self._is_confirmed(booking["id"])
        if is_confirmed and start < real_now():
            await self._go_in(booking["id"], offer.hub)
        elif is_confirmed and will_cancel:
            await self._cancel(booking["id"])

    def _wish(self) -> tuple[Offer, datetime, datetime]:
        """One in four for now, so that its door opens; one in four of a few slots that many want; else anywhere."""
        rng, (now, _) = self._rng, story.current_slot()
        dice, length = rng.random(), rng.choice((1, 2, 3)) * _HALF_HOUR
        offer = rng.choice(self._work.offers)
        if dice < 0.25:
            return offer, now, now + 2 * _HALF_HOUR
        if dice < 0.5:
            start = now + timedelta(days=1) + rng.randrange(6) * _HALF_HOUR
            return rng.choice(self._work.offers[:10]), start, start + length
        start = now + timedelta(days=rng.randrange(1, 6)) + rng.randrange(40) * _HALF_HOUR
        return offer, start, start + length

    async def _book(self, offer: Offer, start: datetime, end: datetime) -> dict[str, Any] | None:
        key = secrets.token_hex(16)
        line = {"resource_id": offer.resource_id, "start": start.isoformat(), "end": end.isoformat()}
        answer = await self._caller.call("POST", _API, json={"lines": [line]}, headers={"Idempotency-Key": key})
        if not answer.is_success:
            self._oracle.refuse(key, kind(answer))
            return None
        booking: dict[str, Any] = answer.json()
        self._oracle.book(Acknowledged(booking["id"], key, offer.resource_id, start, end, booking["gross_cents"]))
        return booking

    async def _pay(self, booking_id: str, *, declines: bool) -> None:
        body = {"booking_id": booking_id, "buyer": story.BUYER}
        answer = await self._caller.call("POST", "/api/billing/v1/payments", json=body)
        if not answer.is_success:
            self._oracle.answers[f"not paid: {kind(answer)}"] += 1
            return
        url = answer.json()["checkout_url"]
        if declines:
            await self._caller.use_page(url, "decline")
        if await self._caller.use_page(url, "pay"):
            self._oracle.note(booking_id, is_paid=True)

    async def _is_confirmed(self, booking_id: str) -> bool:
        """Whether it is confirmed within a minute; at rest it must be anyway."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = await self._caller.get(f"{_API}/{booking_id}")
            if found and found["status"] != "held":
                return bool(found["status"] == "confirmed")
            await asyncio.sleep(1)
        return False

    async def _cancel(self, booking_id: str) -> None:
        """Cancel what is seen; someone else's change in between means looking again."""
        while True:
            found = await self._caller.get(f"{_API}/{booking_id}")
            if found and found["status"] == "cancelled":
                self._oracle.note(booking_id, is_cancelled=True)
            if found is None or found["status"] not in {"held", "confirmed"}:
                return
            tag = {"If-Match": f'"{found["version"]}"'}
            answer = await self._caller.call("POST", f"{_API}/{booking_id}/cancel", json={}, headers=tag)
            if not answer.is_success and answer.status_code != 412 and kind(answer) != "illegal-transition":
                self._oracle.answers[f"not cancelled: {kind(answer)}"] += 1
                return

    async def _go_in(self, booking_id: str, hub: str) -> None:
        """Fetch the pass and hold it to the door until it opens."""
        grant = await self._grant(booking_id)
        if grant is None:
            return
        phone, minted = await self._fetch_pass(grant)
        reasons = set()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            decided = await self._show(hub, grant["doors"][0]["number"], phone, minted)
            if decided and decided["decision"] == "allowed":
                self._oracle.note(booking_id, at_door=True)
                return
            reasons.add(decided["reason"] if decided else "no answer")
            await asyncio.sleep(1.1)  # a proof of the same second would be a replay
        self._oracle.note(booking_id, at_door=False)
        self._oracle.miss(f"the door of booking {booking_id} stayed shut: {sorted(reasons)}")

    async def _grant(self, booking_id: str) -> dict[str, Any] | None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = await self._caller.get("/api/access/v1/grants", booking_id=booking_id)
            for grant in found["items"] if found else ():
                if grant["status"] == "active":
                    return dict(grant)
            await asyncio.sleep(1)
        return None

    async def _fetch_pass(self, grant: dict[str, Any]) -> tuple[rh1.PrivateKey, bytes]:
        phone = rh1.PrivateKey.generate()
        path = f"/api/access/v1/grants/{grant['id']}/passes"
        for _ in range(60):
            ts = int(real_now().timestamp())
            signature = rh1.encode_base64url(phone.sign(rh1.enrolment_message(grant["id"], ts)))
            body = {"jwk": phone.public.to_jwk(), "ts": ts, "signature": signature}
            answer = await self._caller.call("POST", path, json=body)
            if answer.is_success:
                text = answer.json()["pass"]
                return phone, base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            self._oracle.answers[f"no pass: {kind(answer)}"] += 1
            await asyncio.sleep(1)
        self._oracle.miss(f"no pass for grant {grant['id']}")
        raise Unanswered(path)

    async def _show(self, hub: str, door: int, phone: rh1.PrivateKey, minted: bytes) -> dict[str, Any] | None:
        """One presentation; the reader's own answer, or None if it is down."""
        proof = rh1.Proof(ts=int(real_now().timestamp()), door=door, nonce=os.urandom(4))
        body = {"door": door, "presentation": rh1.present(minted, phone, proof)}
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
                answer = await http.post(f"{self._work.house.url(f'reader-{hub}')}/present", json=body)
                decided: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError):
            return None
        if "decision" not in decided:
            return None
        if decided["reason"] != Reason.UNKNOWN_DOOR:  # before its first sync a reader has no door, so no event either
            self._oracle.decide(Decision(hub, door, decided["at"], decided["decision"]))
        return decided


async def work(shared: Work, names: Sequence[str], seed: int, *, hands: int, pause_s: float) -> None:
    """Let all members work, `hands` things at once each, until it is over."""
    callers = [Caller(shared.house, name, shared.oracle) for name in names]
    try:
        for caller in callers:
            await caller.login()
        shared.has_begun.set()
        await asyncio.gather(
            *(
                Member(shared, caller, random.Random(f"{seed}/{caller.person.username}/{hand}")).run(pause_s)  # noqa: S311
                for caller in callers
                for hand in range(hands)
            )
        )
    finally:
        for caller in callers:
            await caller.close()
