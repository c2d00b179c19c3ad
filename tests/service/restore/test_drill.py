"""The drill: a backup under load, life goes on, the house is lost, the backup is restored elsewhere and reconciled.

Stripe, the reader at the hub and the members' phones live through it and remember more than the databases do. Nobody
is charged, refunded, let in or shut out wrongly.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from regiohub_shared.clock import now
from tests.contract.stories import lapse, move
from tests.service.access.world import Phone
from tests.service.booking.world import BUFFERED, COUNTY, DESK, FREE, LEFT, RIGHT
from tests.support.pg import Cluster
from tests.support.restoring import SERVICES, Door, a_door, back_up, elsewhere
from tests.support.world_street import Street, street_on

Booked = dict[str, Any]


def this_quarter() -> datetime:
    """The running step of the raster, so that doors open right now."""
    moment = now()
    return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)


@dataclass
class Tale:
    """Who did what, before the backup and in the window that is lost."""

    kept: Booked = field(default_factory=dict)
    cancelled_before: Booked = field(default_factory=dict)
    refund_under_way: Booked = field(default_factory=dict)
    cancelled_after: Booked = field(default_factory=dict)
    moved_after: Booked = field(default_factory=dict)
    paid_after: Booked = field(default_factory=dict)
    lost_slot: Booked = field(default_factory=dict)
    new_paid: Booked = field(default_factory=dict)
    new_free: Booked = field(default_factory=dict)
    new_unpaid: Booked = field(default_factory=dict)
    busy: list[Booked] = field(default_factory=list)
    pages: dict[str, Any] = field(default_factory=dict)
    phones: dict[str, tuple[Phone, str]] = field(default_factory=dict)
    pins: dict[str, str] = field(default_factory=dict)


async def paid(town: Street, *place: UUID, start: datetime | None = None) -> Booked:
    booking = await town.hold(*place, start=start)
    await town.pay(booking)
    await town.deliver()
    return booking


async def grant_of(town: Street, booking: Booked) -> dict[str, Any]:
    params = {"booking_id": booking["id"]}
    answer = await town.access.client.get("/v1/grants", params=params, headers=town.by[booking["id"]])
    (grant,) = answer.json()["items"]
    return dict(grant)


async def fetch_keys(town: Street, tale: Tale, booking: Booked) -> None:
    """The member opens the key page: pass and PIN are on the phone."""
    grant, phone = await grant_of(town, booking), Phone()
    path = f"/v1/grants/{grant['id']}/passes"
    answer = await town.access.client.post(path, json=phone.asks(grant["id"]), headers=town.by[booking["id"]])
    assert answer.status_code in {200, 201}, answer.text
    tale.phones[booking["id"]], tale.pins[booking["id"]] = (phone, answer.json()["pass"]), grant["pin"]


async def call_off(town: Street, booking: Booked) -> None:
    """The hub cancels: a member may not any more, once it has begun."""
    version = (await town.read(booking))["version"]
    answer = await town.booking.post(f"/v1/bookings/{booking['id']}/cancel", by=COUNTY, version=version)
    assert answer.status_code == 200, answer.text


async def before(town: Street, tale: Tale) -> None:
    """What the backup will hold."""
    tale.kept = await paid(town, LEFT, start=this_quarter())
    tale.cancelled_after = await paid(town, RIGHT, start=this_quarter())
    tale.moved_after = await paid(town)
    tale.cancelled_before = await paid(town)
    await town.cancel(tale.cancelled_before)
    await town.deliver()
    await town.billing.work()
    for booking in (tale.kept, tale.cancelled_after):
        await fetch_keys(town, tale, booking)
    for name, place, start in (("paid_after", BUFFERED, this_quarter()), ("lost_slot", DESK, None)):
        booking = await town.hold(place, start=start)
        setattr(tale, name, booking)
        tale.pages[name] = await town.open_payment(booking)
    tale.refund_under_way = await paid(town)
    await town.cancel(tale.refund_under_way)
    await town.deliver()


async def back_up_under_load(town: Street, tale: Tale, folder: Path) -> str:
    """Members go on booking, paying and cancelling while the files are written."""
    made = asyncio.create_task(asyncio.to_thread(back_up, town, folder))
    while len(tale.busy) < 3 or (not made.done() and len(tale.busy) < 40):
        booking = await town.hold()
        tale.busy.append(booking)
        opened = await town.open_payment(booking)
        await town.billing.press(opened)
        for event in await town.billing.new_events():
            await town.billing.deliver(event)
        for relay, targets in town.relays.values():
            for target in targets:
                await relay.deliver_due(target)
    return (await made).began_at


async def after(town: Street, tale: Tale, door: Door) -> None:
    """What the backup does not hold; at the end the reader has heard all of it."""
    await town.billing.webhooks()
    await town.deliver()
    await call_off(town, tale.cancelled_after)
    await town.deliver()
    await move(town, tale.moved_after)
    await town.billing.press(tale.pages["paid_after"])
    await town.billing.webhooks()
    await town.deliver()
    await lapse(town)
    quicker = (await town.read(tale.lost_slot))["lines"][0]["start"]
    tale.new_paid = await paid(town, DESK, start=datetime.fromisoformat(quicker))
    await town.billing.press(tale.pages["lost_slot"])
    await town.billing.webhooks()
    await town.deliver()
    tale.new_free = await town.hold(FREE, start=this_quarter())
    tale.new_unpaid = await town.hold()
    tale.pages["new_unpaid"] = await town.open_payment(tale.new_unpaid)
    await town.deliver()
    await town.billing.webhooks()
    for booking in (tale.paid_after, tale.new_free):
        await fetch_keys(town, tale, booking)
    await door.sync()
    assert door.types(tale.pins[tale.new_free["id"]]) == "granted"
    assert door.types(tale.pins[tale.kept["id"]]) == "granted"
    await door.sync()
    await town.deliver()


# ---------------------------------------------------------------- what must be true afterwards


async def at_rest(town: Street) -> None:
    """Workers have done all that is due."""
    for _ in range(4):
        await town.deliver()
        await town.billing.webhooks()


async def all_of(town: Street, path: str) -> list[dict[str, Any]]:
    answer = (await town.billing.sandbox.get(path, params={"limit": 100})).json()
    assert not answer["has_more"]
    return list(answer["data"])


async def statuses(town: Street) -> dict[str, str]:
    return {str(row["id"]): row["status"] for row in await town.booking.sql("SELECT id, status FROM booking")}


async def check_money(town: Street) -> None:
    """At Stripe: who has a booking has paid once, who has none got everything back once."""
    found = await statuses(town)
    back: dict[str, int] = {}
    for refund in await all_of(town, "/v1/refunds"):
        back[refund["payment_intent"]] = back.get(refund["payment_intent"], 0) + refund["amount"]
    charged: dict[str, int] = {}
    for page in await all_of(town, "/v1/checkout/sessions"):
        if page["payment_status"] != "paid":
            assert page["status"] != "open" or found.get(page["metadata"]["booking_id"]) == "held"
            continue
        booking_id = page["metadata"]["booking_id"]
        charged[booking_id] = charged.get(booking_id, 0) + page["amount_total"] - back.get(page["payment_intent"], 0)
    live = {key for key, status in found.items() if status in {"confirmed", "checked_in", "completed"}}
    assert {key: cents for key, cents in charged.items() if cents} == dict.fromkeys(charged.keys() & live, 400)


async def numbers(url: str) -> dict[str, str]:
    """Every document by its number."""
    connection = await asyncpg.connect(url)
    try:
        return dict(await connection.fetch("SELECT operator || ' ' || number, id::text FROM document"))
    finally:
        await connection.close()


async def untrue_facts(url: str) -> int:
    """Facts about payments that would be told although a newer one waits: money that came and has gone again."""
    connection = await asyncpg.connect(url)
    try:
        return int(
            await connection.fetchval(
                "SELECT count(*) FROM outbox o JOIN outbox_delivery d ON d.outbox_id = o.id WHERE d.delivered_at IS NULL "
                "AND EXISTS (SELECT FROM outbox n WHERE n.subject = o.subject AND n.sequence > o.sequence)"
            )
        )
    finally:
        await connection.close()


async def check_doors(town: Street, tale: Tale, door: Door, *, knows_window: bool) -> None:
    """At the door: what was known opens as before, what was given up stays shut, what is lost is shut."""
    phone, minted = tale.phones[tale.kept["id"]]
    assert door.shows_pass(minted, phone, later_s=1) == "granted"
    assert door.types(tale.pins[tale.kept["id"]]) == "granted"
    phone, minted = tale.phones[tale.cancelled_after["id"]]
    assert door.shows_pass(minted, phone, later_s=1) == "revoked"
    assert door.types(tale.pins[tale.cancelled_after["id"]]) == "pin_unknown"
    assert door.types((await grant_of(town, tale.paid_after))["pin"]) == "granted"
    if knows_window:
        assert door.types((await grant_of(town, tale.new_free))["pin"]) == "granted"
    else:
        assert door.types(tale.pins[tale.new_free["id"]]) == "pin_unknown"


async def events(town: Street) -> list[tuple[int, str, str]]:
    """The reader's decisions as access has them, in the reader's own order."""
    rows = await town.access.rows("SELECT reader_sequence, decision, reason FROM door_event ORDER BY reader_sequence")
    return [tuple(row) for row in rows]


@pytest.fixture
def door(town: Street, tmp_path: Path) -> Iterator[Door]:
    with a_door(tmp_path / "reader", town) as made:
        yield made


LOST = {"the whole house": SERVICES, "booking": ("booking",), "billing": ("billing",), "access": ("access",)}


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
async def test_nobody_is_charged_refunded_let_in_or_shut_out_wrongly(
    town: Street, door: Door, cluster: Cluster, sandbox_origin: str, tmp_path: Path, lost: tuple[str, ...]
):
    tale = Tale()
    await before(town, tale)
    began_at = await back_up_under_load(town, tale, tmp_path / "backup")
    await after(town, tale, door)
    seen, given = await events(town), await numbers(town.urls["billing"].owner)
    for name in SERVICES:
        await town.rest(name)
    door.street = None

    with elsewhere(cluster, town, sandbox_origin, tmp_path / "elsewhere", lost) as new:
        new.load(tmp_path / "backup")
        new.reconcile(began_at)
        assert await untrue_facts(new.urls["billing"].owner) == 0
        async with street_on(new.urls, sandbox_origin) as restored:
            restored.by, restored.made, door.street = town.by, town.made, restored
            await at_rest(restored)
            await door.sync()
            await at_rest(restored)

            found, knows_window = await statuses(restored), lost != SERVICES
            # Whoever opened a door is checked in again: the reader tells of it once more.
            assert found[tale.kept["id"]] == "checked_in"
            assert found[tale.paid_after["id"]] == "confirmed"
            gone = (tale.cancelled_after, tale.cancelled_before, tale.refund_under_way)
            assert {found[booking["id"]] for booking in gone} == {"cancelled"}
            assert found[tale.lost_slot["id"]] in {"held", "expired"}
            assert found.get(tale.new_paid["id"]) == ("confirmed" if knows_window else None)
            assert found.get(tale.new_free["id"]) == ("checked_in" if knows_window else None)
            busy = {found.get(booking["id"]) for booking in tale.busy}
            assert busy <= ({"confirmed"} if knows_window else {"confirmed", None})
            await check_money(restored)
            await check_doors(restored, tale, door, knows_window=knows_window)
            assert (await events(restored))[: len(seen)] == seen

            kept = await numbers(restored.billing.urls.owner)
            assert [number for number in kept.keys() & given.keys() if kept[number] != given[number]] == []
            fresh = await paid(restored)
            await at_rest(restored)
            assert (await statuses(restored))[fresh["id"]] == "confirmed"
            told = await numbers(restored.billing.urls.owner)
            assert (told.keys() - kept.keys()).isdisjoint(given)
            said, well = new.examine()
            assert well, said


async def test_moved_bookings_are_where_a_neighbour_heard_of_them(
    town: Street, cluster: Cluster, sandbox_origin: str, tmp_path: Path
):
    booking = await paid(town)
    made = back_up(town, tmp_path / "backup")
    await move(town, booking)
    there = (await town.read(booking))["lines"]
    await town.rest("booking")

    with elsewhere(cluster, town, sandbox_origin, tmp_path / "elsewhere", ("booking",)) as new:
        new.load(tmp_path / "backup")
        new.reconcile(made.began_at)
        async with street_on(new.urls, sandbox_origin) as restored:
            restored.by = town.by
            await at_rest(restored)
            assert [line["start"] for line in (await restored.read(booking))["lines"]] == [
                line["start"] for line in there
            ]
            assert new.examine()[1]


async def test_a_fact_that_one_neighbour_alone_has_heard_is_led(
    town: Street, cluster: Cluster, sandbox_origin: str, tmp_path: Path
):
    """Access has heard of a move, nobody else has: booking cannot know it any more, and access must not stay behind."""
    booking = await paid(town)
    made = back_up(town, tmp_path / "backup")
    town.posts["booking>billing"].keeps = True
    for days in (1, 2, 3):
        await move(town, booking, days)
    moved = await grant_of(town, booking)
    for name in SERVICES:
        await town.rest(name)

    with elsewhere(cluster, town, sandbox_origin, tmp_path / "elsewhere", ("booking",)) as new:
        new.load(tmp_path / "backup")
        new.reconcile(made.began_at)
        async with street_on(new.urls, sandbox_origin) as restored:
            restored.by = town.by
            await at_rest(restored)
            told = await grant_of(restored, booking)
            assert told["windows"] != moved["windows"]
            starts = datetime.fromisoformat(told["windows"][0]["starts_at"]) + timedelta(minutes=10)
            assert starts == datetime.fromisoformat((await restored.read(booking))["lines"][0]["start"])
            assert (await grant_of(restored, booking))["pin"] == moved["pin"]
            assert new.examine()[1]


async def test_a_number_told_by_the_treasury_is_left_out_too(
    town: Street, cluster: Cluster, sandbox_origin: str, tmp_path: Path
):
    await paid(town)
    made = back_up(town, tmp_path / "backup")
    (page,) = await all_of(town, "/v1/checkout/sessions")
    await town.billing.sandbox.post("/sandbox/disputes", json={"payment_intent": page["payment_intent"]})
    year = now().year

    with elsewhere(cluster, town, sandbox_origin, tmp_path / "elsewhere") as new:
        new.load(tmp_path / "backup")
        new.reconcile(made.began_at, f"stadt-bendorf:TEST-R-{year}-000007", "stadt-bendorf:HKR-3")
        async with street_on(new.urls, sandbox_origin) as restored:
            restored.by, restored.made = town.by, town.made
            await at_rest(restored)
            await paid(restored)
            await at_rest(restored)
            issued = await numbers(restored.billing.urls.owner)
            gaps = await restored.billing.rows("SELECT series, first_number, last_number FROM number_gap ORDER BY 1, 2")
            assert f"stadt-bendorf TEST-R-{year}-000008" in issued
            assert [tuple(gap) for gap in gaps if gap["series"] in {"HKR", f"TEST-R-{year}-"}] == [
                ("HKR", 1, 3), (f"TEST-R-{year}-", 2, 7),
            ]  # fmt: skip
            assert new.examine()[1]
            cases = [(case["kind"], case["operator"]) for case in await restored.billing.clearing()]
            assert sorted(cases) == [("dispute", "stadt-bendorf"), ("restored", "stadt-bendorf")]
            with pytest.raises(asyncpg.RestrictViolationError):
                await restored.billing.rows("UPDATE number_gap SET reason = ''", owner=True)


DAMAGE = {
    "booking": "DELETE FROM occupancy",
    "access": "DELETE FROM pin; UPDATE \"grant\" SET status = 'revoked', revoked_at = created_at",
    "billing": "ALTER TABLE document_line DISABLE TRIGGER USER; DELETE FROM document_line; "
    "UPDATE payment SET paid_cents = 0, status = 'open'",
}


async def test_a_doctor_names_what_is_wrong(town: Street, cluster: Cluster, sandbox_origin: str, tmp_path: Path):
    booking = await paid(town)
    back_up(town, tmp_path / "backup")
    with elsewhere(cluster, town, sandbox_origin, tmp_path / "elsewhere") as new:
        new.load(tmp_path / "backup")
        said, well = new.examine()
        assert well, said
        for name, sql in DAMAGE.items():
            owner = await asyncpg.connect(new.urls[name].owner)
            await owner.execute(sql)
            await owner.close()
        said, well = new.examine()
    found = sorted(line.split(maxsplit=2)[2] for line in said.splitlines() if line.split()[1:2] == ["FINDING"])
    assert not well
    assert [finding.partition(" (")[0] for finding in found] == [
        "chains fit and number gaps are explained",
        "every live booking holds its place",
        "grants equal booking's bookings",
        "payments and refunds equal the provider's books",
        "the journal holds what payments brought and refunds took",
    ]
    assert booking["code"] in said
