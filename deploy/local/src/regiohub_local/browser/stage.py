"""Sets the stage for the tour of all pages: nothing at all, a hub without anything, life in Bendorf, services away."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from regiohub_local import postgres, processes, seed, story
from regiohub_local.person import Person
from regiohub_local.plan import House
from regiohub_local.region import HUBS, resource_id
from regiohub_local.story import HUB, OPERATOR, Tale
from regiohub_shared.clock import now
from regiohub_shared.events.relay import RelayRules

Facts = dict[str, str]
_ZONE = ZoneInfo("Europe/Berlin")
_EMPTY_HUB = next(hub for hub in HUBS if hub.slug == "mayen")


async def set_up_one_hub(house: House) -> Facts:
    """A hub with a name and an address, and nothing else."""
    async with seed.county(house) as api:
        body = seed.hub_body(_EMPTY_HUB) | {"opening_hours": []}
        for path, what in (
            (f"/api/booking/v1/operators/{_EMPTY_HUB.operator}", {"name": _EMPTY_HUB.operator_name}),
            (f"/api/booking/v1/hubs/{_EMPTY_HUB.slug}", body),
            (f"/api/access/v1/hubs/{_EMPTY_HUB.slug}/doors", {"doors": [], "margin_minutes": 10, "address": ""}),
            (f"/api/billing/v1/sellers/{_EMPTY_HUB.operator}", seed.seller_body(_EMPTY_HUB)),
        ):
            (await api.put(path, json=what)).raise_for_status()
    return {}


async def _open_the_hub(house: House) -> None:
    """Give it its hours and doors: seeding leaves alone what was there before."""
    hub = _EMPTY_HUB
    async with seed.county(house) as api:
        for path, body in (
            (f"/api/booking/v1/hubs/{hub.slug}", seed.hub_body(hub)),
            (f"/api/access/v1/hubs/{hub.slug}/doors", seed.doors_body(hub)),
        ):
            version = (await api.get(path)).headers["ETag"]
            (await api.put(path, json=body, headers={"If-Match": version})).raise_for_status()


def slot(hour: int, *, days: int = 2, hours: int = 2) -> tuple[datetime, datetime]:
    """A time of the day after tomorrow: today belongs to whoever else uses the house."""
    day = now().astimezone(_ZONE).date() + timedelta(days=days)
    start = datetime(day.year, day.month, day.day, hour, tzinfo=_ZONE)
    return start, start + timedelta(hours=hours)


async def furnish(house: House) -> Facts:
    """The demo region with bookings in every state, an export, a closure and events at the door; answers their ids."""
    await seed.run(house)
    await _open_the_hub(house)
    async with Person(house, "demo-mitglied") as member, Person(house, "demo-mitglied-2") as other:
        made = _Bookings(house, member, other)
        facts = await made.paid_and_cancelled()
        facts |= await _export_and_closure(house)
        await _open_three_times_a_day(house)
        facts |= await made.current() | await made.open_ones() | await made.lapsed()
    facts |= await _too_many_holds(house)
    await _give_a_fact_up(house)
    return facts


class _Bookings:
    """A member's bookings, one for each state."""

    def __init__(self, house: House, member: Person, other: Person) -> None:
        self._house, self._member, self._other = house, member, other

    def _tale(self, room: str, slot: tuple[datetime, datetime]) -> Tale:
        tale = Tale(house=self._house, member=self._member, other=self._other, start=slot[0], end=slot[1])
        tale.desk = str(resource_id(HUB, room))
        return tale

    async def paid_and_cancelled(self) -> Facts:
        paid, cancelled = self._tale("Schreibtisch 1", slot(9)), self._tale("Schreibtisch 2", slot(9))
        for tale in (paid, cancelled):
            for step in (story.book, story.pay, story.invoice):
                await step(tale)
        invoice = (await story.until("Rechnung", lambda: story.documents(paid, 1)))[0]
        await self._member.post(f"{cancelled.path}/cancel", {}, **{"If-Match": f'"{cancelled.booking["version"]}"'})
        storno = (await story.until("Storno", lambda: story.documents(cancelled, 2)))[1]
        await story.fetch_pass(paid)
        start = paid.start
        return {
            "paid": paid.booking["id"], "cancelled": cancelled.booking["id"], "desk": paid.desk,
            "invoice": invoice["id"], "storno": storno["id"],
            "date": start.date().isoformat(), "day_after": (start.date() + timedelta(days=1)).isoformat(),
        }  # fmt: skip

    async def current(self) -> Facts:
        """One that has begun, whose door was opened, and one that a stranger's key tried to open."""
        tale = self._tale("", story.current_slot())
        for step in (story.search, story.book, story.pay, story.fetch_pass, story.open_door):
            await step(tale)
        await story.at_door(tale, tale.shown)
        await story.checked_in(tale)
        return {"current": tale.booking["id"], "today": tale.start.date().isoformat()}

    async def open_ones(self) -> Facts:
        """Held ones: not yet paid, and with the checkout open."""
        held, waiting = self._tale("Werkstattraum", slot(10, hours=3)), self._tale("Schreibtisch 3", slot(9))
        for tale in (held, waiting):
            await story.book(tale)
        body = {"booking_id": waiting.booking["id"], "buyer": story.BUYER}
        opened = await self._member.post("/api/billing/v1/payments", body)
        return {"held": held.booking["id"], "waiting": waiting.booking["id"], "checkout": opened["checkout_url"]}

    async def lapsed(self) -> Facts:
        """A hold whose time for paying is over."""
        tale = self._tale("Werkstattraum", slot(15))
        await story.book(tale)
        await _in_booking(
            self._house, "UPDATE booking SET hold_until = $2 WHERE id = $1", UUID(tale.booking["id"]),
            now() - timedelta(minutes=1),
        )  # fmt: skip
        await story.until("expiry", lambda: story.with_status(tale, "expired"))
        return {"expired": tale.booking["id"]}


async def _too_many_holds(house: House) -> Facts:
    """Somebody who holds as much as is allowed, in a hub and at a time that nobody else on the tour needs."""
    start, end = slot(9, days=20)
    async with Person(house, "demo-betrieb-mayen") as busy:
        for number in (1, 2, 3):
            desk = str(resource_id("mayen", f"Schreibtisch {number}"))
            line = {"resource_id": desk, "start": start.isoformat(), "end": end.isoformat()}
            await busy.post("/api/booking/v1/bookings", {"lines": [line]})
    return {"spare": str(resource_id("mayen", "Schreibtisch 4")), "far": start.date().isoformat()}


async def _export_and_closure(house: House) -> Facts:
    """A batch that was handed over, and a desk that is closed for a while."""
    async with Person(house, "demo-kasse-bendorf") as treasury, Person(house, "demo-betrieb-bendorf") as operator:
        batch = await treasury.post("/api/billing/v1/exports", {"operator": OPERATOR, "productive": False})
        start, end = slot(8, days=6, hours=48)
        body: dict[str, Any] = {
            "resource_id": str(resource_id(HUB, "Schreibtisch 8")), "reason": "Neuer Fußboden",
            "start": start.isoformat(), "end": end.isoformat(), "cancel_conflicting": False,
        }  # fmt: skip
        closure = await operator.post(f"/api/booking/v1/hubs/{HUB}/closures", body)
    return {"export": batch["id"], "closure": closure["id"]}


async def _open_three_times_a_day(house: House) -> None:
    """A week that the form for opening hours cannot show."""
    async with seed.county(house) as api:
        hub = (await api.get("/api/booking/v1/hubs/rieden")).json()
        spans = (("09:00", "10:00"), ("11:00", "12:00"), ("13:00", "14:00"))
        week = [{"weekday": 6, "opens": opens, "closes": closes} for opens, closes in spans]
        body = {"opening_hours": hub["opening_hours"] + week}
        path, headers = "/api/booking/v1/hubs/rieden/opening-hours", {"If-Match": f'"{hub["version"]}"'}
        (await api.put(path, json=body, headers=headers)).raise_for_status()


async def _give_a_fact_up(house: House) -> None:
    """A fact that booking could not hand to billing, long ago: waiting for one would take hours."""
    await _in_booking(
        house,
        "UPDATE outbox_delivery SET dead_at = $1, attempts = $2, refusals = $2, last_error = 'HTTP 409' WHERE "
        "subscriber = 'billing' AND outbox_id = (SELECT min(outbox_id::text)::uuid FROM outbox_delivery)",
        now(),
        RelayRules().max_attempts,
    )


async def _in_booking(house: House, sql: str, *values: Any) -> None:
    """Change booking's own database, for what would take long to come about."""
    server = await asyncio.to_thread(postgres.start, house.state_dir, house.ports["postgres"])
    connection = await asyncpg.connect(server.admin_url.rpartition("/")[0] + "/regiohub_booking")
    try:
        await connection.execute(sql, *values)
    finally:
        await connection.close()


async def take_away(house: House, *services: str) -> None:
    """Stop services and their workers; sessions stay, Keycloak too."""
    names = [name for service in services for name in (service, f"{service}-worker")]
    await asyncio.to_thread(processes.end, house.state_dir, *names)
