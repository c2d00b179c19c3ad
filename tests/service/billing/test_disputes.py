"""Money that a payer's bank takes back is on the list that people look at, until they close it."""

from typing import Any

from regiohub_billing.repo import bookings
from regiohub_billing.usecases.outcomes import note_dispute
from regiohub_shared.clock import real_now
from tests.service.billing.test_clearing import resolve
from tests.service.billing.test_webhooks import SESSION_FORM, _exhaust
from tests.service.billing.world import World, a_booking, finance


async def disputed(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """A paid booking whose payer's bank took the money back: its payment and the dispute."""
    payment = await world.confirmed(a_booking(1200))
    (row,) = await world.rows("SELECT provider_payment_id AS id FROM payment WHERE id = $1", payment["id"])
    opened = await world.sandbox.post("/sandbox/disputes", json={"payment_intent": row["id"]})
    assert opened.status_code == 200, opened.text
    await world.webhooks()
    return payment, opened.json()


async def ends(world: World, dispute: dict[str, Any], status: str) -> None:
    await world.sandbox.post(f"/sandbox/disputes/{dispute['id']}", json={"status": status})
    await world.webhooks()


async def test_a_dispute_is_a_case_of_the_town_that_was_paid(world: World):
    payment, dispute = await disputed(world)
    (case,) = (await world.client.get("/v1/clearing", headers=finance("stadt-bendorf"))).json()["items"]

    assert (case["kind"], case["source"]) == ("dispute", dispute["id"])
    assert (case["payment_id"], case["amount_cents"], case["currency"]) == (payment["id"], 1200, "EUR")
    assert case["detail"].startswith(f"needs_response: fraudulent, payment {dispute['payment_intent']}, answer by 20")
    assert (await world.client.get("/readyz")).json()["degraded"] == {"clearing": 1}


async def test_the_event_is_only_a_trigger_and_twice_is_once(world: World):
    _, dispute = await disputed(world)
    events = (await world.sandbox.get("/v1/events", params={"type": "charge.dispute.created"})).json()["data"]
    lie = events[0]["data"]["object"] | {"amount": 1, "status": "won"}
    await world.deliver(events[0] | {"id": "evt_lie", "data": {"object": lie}})
    await world.work()

    (case,) = await world.clearing()
    assert (case["amount_cents"], case["detail"][:14]) == (1200, "needs_response")
    assert case["source"] == dispute["id"]


async def test_how_it_ended_stands_in_the_case(world: World):
    for status in ("won", "lost"):
        _, dispute = await disputed(world)
        await ends(world, dispute, status)
        case = next(case for case in await world.clearing() if case["source"] == dispute["id"])
        assert case["detail"] == f"{status}: fraudulent, payment {dispute['payment_intent']}"


async def test_older_news_does_not_take_an_end_back(world: World):
    _, dispute = await disputed(world)
    before = await world.provider.get_dispute(dispute["id"])
    await ends(world, dispute, "lost")
    async with world.db.session() as session:
        payment = await bookings.find_payment_by_provider(session, before.provider_payment_id)
        await note_dispute(session, payment, before, now=real_now())

    assert [case["detail"][:5] for case in await world.clearing()] == ["lost:"]


async def test_an_end_after_the_case_was_closed_is_a_case_of_its_own(world: World):
    _, dispute = await disputed(world)
    (case,) = await world.clearing()
    assert (await resolve(world, case["id"])).status_code == 200
    await ends(world, dispute, "lost")
    (after,) = await world.clearing()
    assert (after["source"], after["detail"][:5]) == (f"{dispute['id']}:lost", "lost:")
    assert (await resolve(world, after["id"])).status_code == 200
    await ends(world, dispute, "lost")

    assert await world.clearing() == []


async def test_a_dispute_of_foreign_money_is_listed_for_the_county(world: World):
    session = (await world.sandbox.post("/v1/checkout/sessions", data=SESSION_FORM)).json()
    await world.press({"checkout_url": session["url"]})
    found = (await world.sandbox.get(f"/v1/checkout/sessions/{session['id']}")).json()
    await world.new_events()
    await world.sandbox.post("/sandbox/disputes", json={"payment_intent": found["payment_intent"]})
    for event in await world.new_events():
        await world.deliver(event)
    await _exhaust(world)

    assert [(case["kind"], case["operator"]) for case in await world.clearing()] == [("dispute", "")]
