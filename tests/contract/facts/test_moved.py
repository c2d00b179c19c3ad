"""A moved booking at its neighbours: the old pass is denied, the new time opens, the books stay balanced."""

from typing import Any

from regiohub_shared.contracts.booking import BookingChanged
from tests.contract.stories import move, read_fact, snapshot
from tests.service.access.world import FakeReader, Phone
from tests.support.world_street import Street


async def supply_of(town: Street, booking: dict[str, Any]) -> list[tuple[str, Any]]:
    rows = await town.billing.rows(
        "SELECT kind, supply_from FROM document WHERE booking_id = $1 ORDER BY issued_at, kind", booking["id"]
    )
    return [(row["kind"], row["supply_from"]) for row in rows]


async def test_the_old_pass_goes_on_the_deny_list_and_the_pin_gets_the_new_time(town: Street):
    booking = await town.hold()
    await town.pay(booking)
    await town.deliver()
    before = (await snapshot(town, booking)).lines[0].start
    sub = (await snapshot(town, booking)).sub
    params, headers = {"booking_id": booking["id"]}, town.by[booking["id"]]
    (grant,) = (await town.access.client.get("/v1/grants", params=params, headers=headers)).json()["items"]
    phone = Phone()
    old = (await town.access.asks_pass(grant["id"], phone, sub=sub)).json()
    first = await town.access.syncs(FakeReader())
    assert first is not None

    await move(town, booking)

    answer = await town.access.syncs(FakeReader())
    assert answer is not None
    assert answer.pins is not None
    assert first.pins is not None
    assert [entry.id for entry in answer.denylist.entries] == [old["id"]]
    assert [(pin.pin, pin.pin_id) for pin in answer.pins.entries] != [(p.pin, p.pin_id) for p in first.pins.entries]
    assert [pin.pin for pin in answer.pins.entries] == [pin.pin for pin in first.pins.entries]
    assert all(pin.starts_at > before for pin in answer.pins.entries)
    new = (await town.access.asks_pass(grant["id"], phone, sub=sub)).json()
    assert new["id"] != old["id"]
    assert new["starts_at"] > old["expires_at"]


async def test_the_invoice_stands_and_its_cancellation_takes_its_own_lines_back(town: Street):
    booking = await town.hold()
    await town.pay(booking)
    await town.deliver()
    await town.billing.webhooks()
    start = (await snapshot(town, booking)).lines[0].start

    await move(town, booking)
    await town.billing.webhooks()
    assert await supply_of(town, booking) == [("invoice", start)]
    await town.cancel(await town.read(booking))
    await town.deliver()
    await town.billing.webhooks()

    assert await supply_of(town, booking) == [("invoice", start), ("cancellation", start)]
    assert sum((await town.billing.balances()).values()) == 0


async def test_an_invoice_that_is_issued_after_the_move_names_the_new_time(town: Street):
    town.posts["booking>billing"].keeps = True
    booking = await town.hold()
    await town.pay(booking)
    await town.deliver()
    await move(town, booking)
    letters = town.letters("booking>billing", booking)
    assert [read_fact(BookingChanged, letter, "/booking").version for letter in letters] == [1, 2, 3]

    await town.posts["booking>billing"].hand_over(letters[2])
    await town.deliver()
    await town.billing.webhooks()

    assert await supply_of(town, booking) == [("invoice", (await snapshot(town, booking)).lines[0].start)]
