"""Two hubs of two towns with bookings, grants, money and closures: the objects that the calls are about."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import stripe

from regiohub_shared.clock import real_now
from regiohub_shared.ids import new_id
from tests.service.billing.world import SECRET
from tests.service.booking.world import COUNTY, DESK, resource, tomorrow
from tests.service.matrix.roles import HEADERS, PEOPLE, SUBS
from tests.support.pg import Cluster
from tests.support.tokens import bearer
from tests.support.world_rows import Rows
from tests.support.world_street import Street, running_street

ABROAD = UUID("00000000-0000-7000-8000-000000000099")
CASES = {operator: new_id() for operator in ("stadt-bendorf", "stadt-mayen", "")}
"""An open case of the clearing list for each town, and one that is nobody's."""


@dataclass
class Thing:
    """What a call is about: a hub with its town, and in it one member's bookings with all that hangs on them."""

    hub: str
    resource: UUID
    sub: str
    booking: dict[str, Any] = field(default_factory=dict)
    """Paid and confirmed."""
    held: dict[str, Any] = field(default_factory=dict)
    grant: str = ""
    document: str = ""
    payment: str = ""
    closure: str = ""
    batch: str = ""
    checkout: str = ""
    feed: str = ""
    """File name of the member's calendar feed."""

    @property
    def town(self) -> str:
        return f"stadt-{self.hub}"

    @property
    def reader(self) -> str:
        return f"reader-{self.hub}"


@dataclass
class Scene:
    """The street with its objects, and every database as it was at the beginning."""

    street: Street
    things: dict[str, Thing]
    rows: dict[str, Rows]
    event: bytes
    """Body of a webhook that billing knows already."""
    checkout_origin: str
    """Where payment pages live."""


@asynccontextmanager
async def set_scene(cluster: Cluster, sandbox_origin: str) -> AsyncIterator[Scene]:
    """Make everything through the public APIs, then remember all rows."""
    async with running_street(cluster, sandbox_origin) as street:
        await _set_up_abroad(street)
        things = {
            "mine": Thing("bendorf", DESK, SUBS["member"]),
            "theirs": Thing("bendorf", DESK, SUBS["other"]),
            "abroad": Thing("mayen", ABROAD, "stranger"),
        }
        for thing in things.values():
            await _book(street, thing)
        page = urlsplit(things["mine"].checkout)
        for town in ("mine", "abroad"):
            await _close(street, things[town])
            await _export(street, things[town])
        things["theirs"].closure, things["theirs"].batch = things["mine"].closure, things["mine"].batch
        # Who runs another hub is a member here, with one paid booking.
        things["guest"] = Thing("bendorf", DESK, SUBS["operator-abroad"])
        for thing in things.values():
            # What the next export would hold.
            thing.booking = await _paid(street, thing)
            await street.booking.bring_near(thing.booking)  # so that it can be checked in
        await _find_the_rest(street, things)
        await _subscribe(street, things["mine"])
        await _know_everybody(street)
        event = await _event(street)
        rows = {name: await Rows.freeze(cluster, urls) for name, urls in street.urls.items()}
        yield Scene(street, things | {"here": things["mine"]}, rows, event, f"{page.scheme}://{page.netloc}")
        for kept in rows.values():
            await kept.close()


async def _set_up_abroad(street: Street) -> None:
    doors = {"doors": [{"number": 1, "name": "Tor", "outer": True}], "margin_minutes": 10, "address": None}
    for answer in (
        await street.booking.client.put(
            f"/v1/resources/{ABROAD}", json=resource("Desk abroad", hub="mayen"), headers=COUNTY
        ),
        await street.access.client.put("/v1/hubs/mayen/doors", json=doors, headers=COUNTY),
        await street.access.client.put("/v1/readers/reader-mayen", json={"hub": "mayen"}, headers=COUNTY),
        await street.billing.put_seller("stadt-mayen"),
    ):
        assert answer.is_success, answer.text


async def _paid(street: Street, thing: Thing) -> dict[str, Any]:
    booking = await street.hold(thing.resource, by=thing.sub)
    thing.checkout = (await street.pay(booking))["checkout_url"]
    await street.deliver()
    return await street.read(booking)


async def _book(street: Street, thing: Thing) -> None:
    await _paid(street, thing)
    thing.held = await street.hold(thing.resource, by=thing.sub)
    await street.deliver()


async def _close(street: Street, thing: Thing) -> None:
    start = tomorrow(0, days=100)
    body = {
        "all": True, "start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat(), "reason": "Wartung",
    }  # fmt: skip
    answer = await street.booking.post(f"/v1/hubs/{thing.hub}/closures", body, by=COUNTY)
    assert answer.status_code == 201, answer.text
    thing.closure = answer.json()["id"]


async def _export(street: Street, thing: Thing) -> None:
    headers = HEADERS["county-finance"] | {"Idempotency-Key": str(new_id())}
    body = {"operator": thing.town, "productive": False}
    answer = await street.billing.client.post("/v1/exports", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    thing.batch = answer.json()["id"]


async def _find_the_rest(street: Street, things: dict[str, Thing]) -> None:
    for thing in things.values():
        params, headers = {"booking_id": thing.booking["id"]}, bearer(thing.sub, "member")
        (grant,) = (await street.access.client.get("/v1/grants", params=params, headers=headers)).json()["items"]
        (document,) = (await street.billing.client.get("/v1/documents", params=params, headers=headers)).json()["items"]
        thing.grant, thing.document, thing.payment = grant["id"], document["id"], document["payment_id"]
    for operator, case in CASES.items():
        await street.billing.rows(
            "INSERT INTO clearing_item (id, kind, source, operator, amount_cents, currency, detail, created_at) "
            "VALUES ($1, 'refund_failed', $2, $3, 1, 'EUR', '', $4)", case, str(case), operator, real_now(), owner=True,
        )  # fmt: skip


async def _subscribe(street: Street, thing: Thing) -> None:
    answer = await street.booking.client.post("/v1/calendar-feed", headers=bearer(thing.sub, "member"))
    assert answer.status_code == 201, answer.text
    thing.feed = answer.json()["url"].rpartition("/")[2]


async def _know_everybody(street: Street) -> None:
    """Booking reads a member's name once, at the first booking; here before the rows are remembered."""
    for role in PEOPLE:
        street.booking.userinfo.sub = SUBS[role]
        await street.booking.app.state.members.remember(SUBS[role], "any")


async def _event(street: Street) -> bytes:
    event = (await street.billing.sandbox.get("/v1/events", params={"limit": 1})).content
    return event[event.index(b"[") + 1 : event.rindex(b"]")]


def signature(body: bytes) -> str:
    """Sign as Stripe does, at the moment of sending: a signature is good for five minutes."""
    return stripe.WebhookSignature.generate_signature_header(body.decode(), SECRET, int(real_now().timestamp()))
