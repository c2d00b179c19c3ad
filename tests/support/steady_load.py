"""Members who book at a steady pace, pay and cancel, never ask twice, and write down every answer they did not expect."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx

from regiohub_local import story
from regiohub_local.chaos.oracle import Acknowledged, Oracle
from regiohub_local.chaos.region import Offer, offers
from regiohub_local.person import Person
from regiohub_local.plan import House
from regiohub_shared.clock import real_now

_API = "/api/booking/v1/bookings"
_HALF_HOUR = timedelta(minutes=30)
_BEFORE = timedelta(days=-1)
_WARM = 10


class SteadyLoad:
    """`pace` bookings a second from `names`, each for a place and time of its own; beside it rivals, payers, readers of lists.

    `failures` holds whatever was neither 2xx nor a conflict that had to be one.
    """

    def __init__(self, house: House, oracle: Oracle, pace: float) -> None:
        self._house, self._oracle, self._pace = house, oracle, pace
        self._free = [offer for offer in offers() if not offer.cents_per_hour]
        self._priced = [offer for offer in offers() if offer.cents_per_hour >= 50]
        self._start = story.current_slot()[0] + timedelta(days=2)
        self.has_begun, self._over = asyncio.Event(), asyncio.Event()
        self._last: Acknowledged | None = None
        self.failures: list[str] = []
        self.made = self.conflicts = self.paid = 0
        self.seconds = 0.0

    def stop(self) -> None:
        """Let nobody begin anything more."""
        self._over.set()

    async def run(self, names: Sequence[str]) -> None:
        """Work until `stop`."""
        people = [Person(self._house, name) for name in names]
        try:
            for person in people:
                await person.login()
            await asyncio.gather(*(self._warm_up(person, number) for number, person in enumerate(people)))
            self.has_begun.set()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._book_all(people))
                for number, person in enumerate(people[:2]):
                    group.create_task(self._pay_all(person, number))
        finally:
            for person in people:
                await person.browser.__aexit__()

    async def _warm_up(self, person: Person, number: int) -> None:
        """Some bookings one after the other: programs that have just started are slow at their first requests."""
        for turn in range(_WARM):
            start = self._start + _BEFORE + (number * _WARM + turn) // len(self._free) * _HALF_HOUR
            await self._book(person, self._free[(number * _WARM + turn) % len(self._free)], start)

    async def _book_all(self, people: Sequence[Person]) -> None:
        """Begin each at its moment, however long the answers take."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in itertools.count():
                await asyncio.sleep(max(0.0, began + number / self._pace - time.monotonic()))
                if self._over.is_set():
                    break
                group.create_task(self._one(people[number % len(people)], number))
        self.seconds = time.monotonic() - began

    async def _one(self, person: Person, number: int) -> None:
        offer = self._free[number % len(self._free)]
        start = self._start + number // len(self._free) * _HALF_HOUR
        booking = await self._book(person, offer, start)
        if booking is not None:
            self.made += 1
        if number % 20 == 0 and self._last is not None:
            await self._rival(person, self._last)
        if number % 20 == 10:
            await self._ask(person, "GET", _API)

    async def _book(self, person: Person, offer: Offer, start: datetime) -> dict[str, Any] | None:
        key, end = secrets.token_hex(16), start + _HALF_HOUR
        answer = await self._ask(person, "POST", _API, json=_lines(offer.resource_id, start), key=key)
        if answer is None:
            return None
        booking: dict[str, Any] = answer.json()
        known = Acknowledged(booking["id"], key, offer.resource_id, start, end, booking["gross_cents"])
        self._oracle.book(known)
        if not known.gross_cents:
            self._last = known
        return booking

    async def _rival(self, person: Person, known: Acknowledged) -> None:
        """Whoever wants a taken place is refused, by either replica."""
        key = secrets.token_hex(16)
        answer = await self._ask(person, "POST", _API, 409, json=_lines(known.resource_id, known.start), key=key)
        if answer is not None:
            self.conflicts += 1
            self._oracle.refuse(key, "slot-taken")

    async def _pay_all(self, person: Person, number: int) -> None:
        """One priced booking after the other: pay it, wait for it, and cancel every second one."""
        for turn in itertools.count():
            if self._over.is_set():
                return
            start = self._start + turn * _HALF_HOUR
            booking = await self._book(person, self._priced[number], start)
            if booking is not None:
                await self._pay(person, booking["id"], cancels=bool(turn % 2))

    async def _pay(self, person: Person, booking_id: str, *, cancels: bool) -> None:
        body = {"booking_id": booking_id, "buyer": story.BUYER}
        answer = await self._ask(person, "POST", "/api/billing/v1/payments", json=body)
        if answer is None:
            return
        await person.pay(answer.json()["checkout_url"])
        self._oracle.note(booking_id, is_paid=True)
        found = await self._confirmed(person, booking_id)
        if found is not None and cancels:
            tag = {"If-Match": f'"{found["version"]}"'}
            if await self._ask(person, "POST", f"{_API}/{booking_id}/cancel", json={}, headers=tag):
                self._oracle.note(booking_id, is_cancelled=True)

    async def _confirmed(self, person: Person, booking_id: str) -> dict[str, Any] | None:
        async def ask() -> dict[str, Any] | None:
            answer = await self._ask(person, "GET", f"{_API}/{booking_id}")
            return answer.json() if answer is not None and answer.json()["status"] == "confirmed" else None

        found = await self._within("a paid booking is confirmed", ask)
        self.paid += found is not None
        return found

    async def _within(self, what: str, ask: Callable[[], Awaitable[dict[str, Any] | None]]) -> dict[str, Any] | None:
        try:
            return await story.until(what, ask)
        except story.StepFailed as error:
            self.failures.append(str(error))
            return None

    async def _ask(
        self, person: Person, method: str, path: str, expected: int = 200, *, key: str = "", **more: Any
    ) -> httpx.Response | None:
        """One call and no second one; None after what is written down as a failure."""
        if key:
            more["headers"] = {"Idempotency-Key": key}
        told = f"{real_now():%H:%M:%S.%f} {method} {path}"
        try:
            answer = await person.request(method, path, **more)
        except httpx.HTTPError as error:
            self.failures.append(f"{told}: {error!r}")
            return None
        if answer.status_code == expected or (answer.is_success and expected < 300):
            return answer
        self.failures.append(f"{told}: {answer.status_code} {answer.text[:200]}")
        return None


def _lines(resource_id: str, start: datetime) -> dict[str, Any]:
    end = start + _HALF_HOUR
    return {"lines": [{"resource_id": resource_id, "start": start.isoformat(), "end": end.isoformat()}]}
