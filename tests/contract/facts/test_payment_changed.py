"""Billing's facts at booking: a payment confirms once, a second one goes back, and old news changes nothing."""

import json
from typing import Any
from uuid import UUID

import pytest

from regiohub_shared.contracts.billing import PaymentChanged
from tests.contract.stories import ORDERS, lapse, read_fact, snapshot
from tests.service.booking.world import running
from tests.support.pg import Cluster
from tests.support.world_street import Street, copies_of

LINE = "billing>booking"


def facts(town: Street, booking: dict[str, Any]) -> list[PaymentChanged]:
    """What the relay posted about a booking's payments."""
    return [read_fact(PaymentChanged, letter, "/billing") for letter in town.letters(LINE, booking)]


async def test_a_paid_booking_is_confirmed_by_the_fact(town: Street):
    booking = await town.hold()
    payment = await town.pay(booking)
    assert (await town.read(booking))["status"] == "held"
    await town.deliver()

    assert (await town.read(booking))["status"] == "confirmed"
    (fact,) = facts(town, booking)
    assert (str(fact.payment_id), fact.operator, fact.amount_cents, fact.paid_cents, fact.refunded_cents) == (
        payment["id"], "stadt-bendorf", 400, 400, 0,
    )  # fmt: skip
    assert [(str(item.payment_id), item.verdict) for item in (await snapshot(town, booking)).payments] == [
        (payment["id"], "accepted")
    ]


async def refund_that_fails(town: Street) -> dict[str, Any]:
    """Three versions: paid for a slot that somebody else has, given back, and the refund failed afterwards."""
    booking = await town.hold()
    payment = await town.open_payment(booking)
    await lapse(town)
    await town.hold(start=(await snapshot(town, booking)).lines[0].start, by="quicker")
    await town.billing.press(payment)
    await town.billing.webhooks()
    return booking | {"payment": payment["id"]}


async def the_rest(town: Street, booking: dict[str, Any]) -> None:
    await town.deliver()
    await town.billing.webhooks()
    (refund,) = await town.billing.refunds_at_stripe({"id": booking["payment"]})
    answer = await town.billing.sandbox.post(f"/sandbox/refunds/{refund['id']}", json={"status": "failed"})
    assert answer.is_success, answer.text
    await town.billing.webhooks()
    await town.deliver()


async def test_any_order_gives_the_same_end(town: Street, cluster: Cluster):
    """Each order is played to a copy of booking's database as it was before the first letter."""
    booking = await refund_that_fails(town)
    with copies_of(cluster, await town.rest("booking"), len(ORDERS)) as copies:
        await the_rest(town, booking)
        assert [(f.version, f.paid_cents, f.refunded_cents) for f in facts(town, booking)] == [
            (1, 400, 0), (2, 400, 400), (3, 400, 0),
        ]  # fmt: skip
        letters = town.letters(LINE, booking)
        for (name, order), url in zip(ORDERS.items(), copies, strict=True):
            async with running(url, seeded=False) as copy:
                applied = [await town.posts[LINE].hand_over(letters[place], copy.app) for place in order]
                assert applied.count(True) == len(set(order)), name
                rows = await copy.sql(
                    "SELECT p.version, p.paid_cents, p.refunded_cents, p.verdict, b.status, b.version AS booking "
                    "FROM payment_verdict p JOIN booking b ON b.id = p.booking_id WHERE b.id = $1", UUID(booking["id"]),
                )  # fmt: skip
                told = await copy.sql(
                    "SELECT data FROM outbox WHERE subject = $1 ORDER BY sequence DESC LIMIT 1", booking["id"]
                )
            assert [tuple(row) for row in rows] == [(3, 400, 0, "refund", "expired", 3)], name
            assert told[0]["data"]["payments"] == [{"payment_id": booking["payment"], "verdict": "refund"}], name


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (1, 0, 0, 1)])
async def test_of_two_payments_one_is_kept_and_one_goes_back(town: Street, order: tuple[int, ...]):
    """Billing wrote the first page off, yet the member paid on both: booking decides, billing obeys."""
    booking = await town.hold()
    first = await town.open_payment(booking)
    await town.billing.rows("UPDATE payment SET status = 'expired' WHERE id = $1", UUID(first["id"]), owner=True)
    second = await town.open_payment(booking)
    town.posts[LINE].keeps = True
    for payment in (first, second):
        await town.billing.press(payment)
    await town.billing.webhooks()
    await town.deliver()
    letters = {json.loads(letter.content)["subject"]: letter for letter in town.letters(LINE, booking)}
    both = [letters[first["id"]], letters[second["id"]]]
    for place in order:
        await town.posts[LINE].hand_over(both[place])
    await town.deliver()
    await town.billing.webhooks()

    kept = (first, second)[order[0]]["id"]
    items = (await snapshot(town, booking)).payments
    assert {str(item.payment_id) for item in items if item.verdict == "accepted"} == {kept}
    assert len(items) == 2
    params, headers = {"booking_id": booking["id"]}, town.by[booking["id"]]
    paid = (await town.billing.client.get("/v1/payments", params=params, headers=headers)).json()["items"]
    assert {p["id"]: p["refunded_cents"] for p in paid} == {
        p["id"]: 0 if p["id"] == kept else 400 for p in (first, second)
    }
    documents = (await town.billing.client.get("/v1/documents", params=params, headers=headers)).json()["items"]
    assert [d["payment_id"] for d in documents] == [kept]
