"""Webhooks trigger, they never decide: forged, repeated, early, lost and foreign ones."""

import asyncio
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from regiohub_billing.providers.port import NotFoundThere, Refused
from regiohub_billing.providers.stripe import StripeAccess, StripeProvider
from regiohub_billing.repo import calls
from regiohub_billing.tables import StripeEvent
from regiohub_billing.usecases import intents
from regiohub_billing.usecases import webhooks as work
from regiohub_shared.clock import real_now
from regiohub_shared.events.watch import STUCK_S, Watch, in_loop, watched_by
from regiohub_shared.ids import new_id
from regiohub_shared.tracing import Tracer
from tests.service.billing.world import KEY, SECRET, World, a_booking, county, finance

SESSION_FORM = {
    "mode": "payment", "success_url": "http://localhost/x", "line_items[0][quantity]": "1",
    "line_items[0][price_data][currency]": "eur", "line_items[0][price_data][unit_amount]": "1200",
    "line_items[0][price_data][product_data][name]": "x",
}  # fmt: skip


async def test_a_forged_old_or_unsigned_webhook_is_refused_and_leaves_nothing(world: World):
    story = a_booking()
    await world.tell(story)
    await world.press(await world.open(story))
    event = (await world.new_events())[-1]
    unsigned = await world.client.post("/v1/webhooks/stripe", json=event)
    not_ascii = f"t={int(real_now().timestamp())},v1=\xe4".encode("latin-1")
    answers = [
        await world.deliver(event, secret="whsec_wrong"), await world.deliver(event, age_s=301), unsigned,
        await world.client.post("/v1/webhooks/stripe", content=b"\xff", headers={"Stripe-Signature": "t=1,v1=00"}),
        await world.deliver({"object": "v2.core.event", "id": "evt_thin"}),
        await world.client.post("/v1/webhooks/stripe", json=event, headers=[(b"Stripe-Signature", not_ascii)]),
    ]  # fmt: skip

    assert [a.status_code for a in answers] == [400] * 6
    assert {a.json()["type"] for a in answers} == {"/problems/webhook-refused"}
    assert await world.rows("SELECT 1 FROM stripe_event") == []


async def test_a_webhook_is_stored_once_and_without_personal_data(world: World):
    story = a_booking()
    await world.tell(story)
    await world.press(await world.open(story))
    event = (await world.new_events())[-1]
    event["data"]["object"]["customer_details"] = {"email": "erika@example.org"}
    first, again = await world.deliver(event), await world.deliver(event)

    assert (first.json(), again.json()) == ({"received": True, "new": True}, {"received": True, "new": False})
    stored = await world.rows("SELECT payload::text AS payload FROM stripe_event")
    assert len(stored) == 1
    assert "example.org" not in stored[0]["payload"]


async def test_what_the_webhook_claims_is_not_believed(world: World):
    """A signed event says paid, the provider itself says open."""
    story = a_booking()
    await world.tell(story)
    payment = await world.open(story)
    session = (await world.rows("SELECT provider_session_id AS id FROM payment"))[0]["id"]
    thing = {"id": session, "object": "checkout.session", "payment_status": "paid", "status": "complete"}
    event = {
        "id": "evt_lie", "object": "event", "type": "checkout.session.completed", "created": 1, "livemode": False,
        "api_version": "x", "data": {"object": thing | {"metadata": {"payment_id": payment["id"]}}},
    }  # fmt: skip
    assert (await world.deliver(event)).status_code == 200
    await world.work()

    assert (await world.payments(story))[0]["status"] == "open"
    assert await world.facts() == []


async def test_all_events_twice_and_backwards_change_nothing_more(world: World):
    story = a_booking()
    await world.tell(story)
    await world.press(await world.open(story))
    events = await world.new_events()
    for event in [*reversed(events), *events]:
        await world.deliver(event)
    await asyncio.gather(*(work.work_due(world.db, world.provider) for _ in range(3)))
    await world.work()

    assert (await world.payments(story))[0]["paid_cents"] == 1200
    assert len(await world.facts()) == 1
    assert len(await world.rows("SELECT 1 FROM journal_entry")) == 1


async def test_a_webhook_that_beats_our_commit_is_tried_again(world: World):
    story = a_booking()
    await world.tell(story)
    payment = await world.open(story)
    session = await world.rows("SELECT provider_session_id AS id FROM payment")
    await world.rows("UPDATE payment SET status = 'created', provider_session_id = ''", owner=True)
    await world.press(payment)
    events = [event for event in await world.new_events() if event["type"] == "payment_intent.succeeded"]
    await world.deliver(events[0])
    await work.work_due(world.db, world.provider)
    assert (await world.payments(story))[0]["status"] == "created"

    await world.rows("UPDATE payment SET provider_session_id = $1, status = 'open'", session[0]["id"], owner=True)
    await world.rows("UPDATE stripe_event SET next_at = $1", real_now(), owner=True)
    await world.work()
    assert (await world.payments(story))[0]["status"] == "succeeded"


async def _exhaust(world: World) -> None:
    for _ in range(9):
        await world.rows("UPDATE stripe_event SET next_at = $1 WHERE handled_at IS NULL", real_now(), owner=True)
        await work.work_due(world.db, world.provider)


@pytest.mark.parametrize("name", ["payment_id", "nothing"])
async def test_money_that_is_none_of_ours_is_listed_for_the_county(world: World, name: str):
    form = SESSION_FORM | ({"metadata[payment_id]": str(new_id())} if name == "payment_id" else {})
    session = (await world.sandbox.post("/v1/checkout/sessions", data=form)).json()
    await world.press({"checkout_url": session["url"]})
    for event in await world.new_events():
        await world.deliver(event)
    await _exhaust(world)

    (case,) = await world.clearing()
    assert (case["kind"], case["operator"], case["amount_cents"]) == ("payment_unmatched", "", 1200)
    town = await world.client.get("/v1/clearing", headers=finance("stadt-bendorf"))
    assert town.json()["items"] == []
    nobodys = await world.client.get("/v1/clearing", params={"nobodys": True}, headers=county())
    assert [one["id"] for one in nobodys.json()["items"]] == [case["id"]]
    refused = await world.client.get("/v1/clearing", params={"nobodys": True}, headers=finance("stadt-bendorf"))
    assert refused.status_code == 404
    assert await world.rows("SELECT 1 FROM stripe_event WHERE handled_at IS NULL") == []


async def test_money_that_does_not_match_is_listed_and_not_booked(world: World):
    story = a_booking(1200)
    await world.tell(story)
    payment = await world.open(story)
    await world.rows("UPDATE payment SET amount_cents = 1300", owner=True)
    await world.press(payment)
    await world.webhooks()

    (case,) = await world.clearing()
    assert (case["kind"], case["operator"], case["payment_id"]) == ("payment_unmatched", "stadt-bendorf", payment["id"])
    assert "amount_cents" in case["detail"]
    assert (await world.payments(story))[0]["paid_cents"] == 0
    assert await world.rows("SELECT 1 FROM journal_entry") == []


async def test_a_refund_by_hand_at_stripe_is_listed(world: World):
    story = a_booking(1200)
    await world.confirmed(story)
    found = await world.rows("SELECT provider_payment_id AS id FROM payment")
    await world.sandbox.post("/v1/refunds", data={"payment_intent": found[0]["id"], "amount": "100"})
    for event in await world.new_events():
        await world.deliver(event)
    await _exhaust(world)

    [case] = await world.clearing()
    assert (case["kind"], case["amount_cents"]) == ("refund_unmatched", 100)
    assert (case["operator"], case["payment_id"]) == ("stadt-bendorf", (await world.payments(story))[0]["id"])
    assert (case["booking_code"], len(case["documents"])) == ("ABCD2345", 1)
    nobodys = await world.client.get("/v1/clearing", params={"nobodys": True}, headers=county())
    assert nobodys.json()["items"] == []


async def test_a_lost_webhook_is_made_up_for_by_looking_again(world: World):
    story = a_booking()
    await world.tell(story)
    await world.press(await world.open(story))
    assert await intents.look_again(world.db, world.provider) == 0
    await world.rows("UPDATE payment SET checked_at = $1", real_now() - timedelta(minutes=2), owner=True)

    assert await intents.look_again(world.db, world.provider) == 1
    assert (await world.payments(story))[0]["status"] == "succeeded"
    assert len(await world.facts()) == 1


async def test_a_provider_that_answers_slowly_does_not_make_the_worker_look_stuck(world: World):
    story = a_booking()
    await world.tell(story)
    await world.press(await world.open(story))
    await world.rows("UPDATE payment SET checked_at = $1", real_now() - timedelta(minutes=2), owner=True)
    clock = [0.0]
    watch = Watch(CollectorRegistry(), Tracer(), monotonic=lambda: clock[0])
    watched_by(watch)
    in_loop("look_again")
    watch.beat("look_again")
    clock[0] = STUCK_S + 1
    assert watch.stuck() == ["look_again"]

    assert await intents.look_again(world.db, world.provider) == 1

    assert watch.stuck() == []


async def test_the_end_of_the_hold_closes_the_page(world: World):
    story = a_booking()
    await world.tell(story)
    await world.open(story)
    assert await intents.end_overdue(world.db) == 0
    await world.rows("UPDATE charge SET hold_until = $1", real_now() - timedelta(seconds=1), owner=True)
    assert await intents.end_overdue(world.db) == 1
    assert await intents.end_overdue(world.db) == 1
    await world.work()

    found = (await world.payments(story))[0]
    assert (found["status"], found["checkout_url"]) == ("expired", None)
    assert len(await world.rows("SELECT 1 FROM provider_intent WHERE kind = 'expire'")) == 1
    assert await intents.end_overdue(world.db) == 0


async def test_a_page_that_the_provider_does_not_know_ends_when_nobody_can_pay_there(world: World):
    story = a_booking()
    await world.tell(story)
    await world.open(story)
    await world.rows("UPDATE payment SET provider_session_id = 'cs_test_of_another_account'", owner=True)
    await world.tell(story.expire())
    await try_to_close(world)
    assert (await world.payments(story))[0]["status"] == "open", "under another account's key it could still be paid"

    await world.rows("UPDATE payment SET expires_at = $1", real_now(), owner=True)
    await try_to_close(world)
    found = (await world.payments(story))[0]
    assert (found["status"], found["checkout_url"]) == ("expired", None)
    assert await intents.end_overdue(world.db) == 0
    assert await world.rows("SELECT 1 FROM provider_intent WHERE state = 'pending'") == []


async def try_to_close(world: World) -> None:
    """Five minutes after the last try."""
    await world.rows("UPDATE provider_intent SET created_at = created_at - interval '5 minutes'", owner=True)
    assert await intents.end_overdue(world.db) == 1
    await world.work()


async def test_money_on_its_way_is_looked_for_however_long_its_page_is_unknown(world: World):
    story = a_booking()
    await world.tell(story)
    await world.open(story)
    await world.rows(
        "UPDATE payment SET provider_session_id = 'cs_test_of_another_account', status = 'processing', expires_at = $1",
        real_now(), owner=True,
    )  # fmt: skip
    await world.tell(story.expire())
    await try_to_close(world)

    assert (await world.payments(story))[0]["status"] == "processing"


async def test_a_404_about_the_address_says_nothing_about_a_page(world: World):
    lost = StripeProvider(StripeAccess(f"{world.sandbox.base_url}/elsewhere", KEY, SECRET, 5.0))
    with pytest.raises(Refused) as found:
        await lost.expire_checkout("cs_test_x", "k")
    await lost.close()

    assert not isinstance(found.value, NotFoundThere)


async def test_an_unanswered_call_to_close_a_page_stays_the_only_one(world: World):
    story = a_booking()
    await world.tell(story)
    await world.open(story)
    await world.tell(story.expire())
    for _ in range(2):
        await intents.end_overdue(world.db)
        await world.rows("UPDATE provider_intent SET created_at = created_at - interval '5 minutes'", owner=True)

    assert [
        row["attempt"] for row in await world.rows("SELECT attempt FROM provider_intent WHERE kind = 'expire'")
    ] == [1]


@pytest.mark.parametrize("late", ["finished", "postponed"])
async def test_the_late_outcome_of_an_older_claim_of_a_webhook_changes_nothing(world: World, late: str):
    """The first worker was slow, its lease lapsed, a second one claimed the webhook and is still in it."""
    await world.tell(story := a_booking())
    await world.press(await world.open(story))
    event = (await world.new_events())[0]
    await world.deliver(event)
    async with world.db.session() as session:
        (first,) = await calls.claim_events(session, now=real_now(), limit=1)
    async with world.db.session() as session:
        (second,) = await calls.claim_events(session, now=real_now() + timedelta(minutes=1), limit=1)
    before = await world.rows("SELECT * FROM stripe_event")

    await note_outcome(world, first, late)
    assert await world.rows("SELECT * FROM stripe_event") == before
    await note_outcome(world, second, late)
    after = (await world.rows("SELECT handled_at IS NOT NULL, leased_until, last_error FROM stripe_event"))[0]
    assert tuple(after) == (late == "finished", None, "late")


async def note_outcome(world: World, event: StripeEvent, late: str) -> None:
    async with world.db.session() as session:
        if late == "finished":
            await calls.finish_event(session, event, now=real_now(), note="late")
        else:
            await calls.postpone_event(session, event, until=real_now(), error="late")


async def test_already_complete_counts_as_paid(world: World):
    story = a_booking()
    await world.tell(story)
    payment = await world.open(story)
    await world.press(payment)
    await world.tell(story.expire())
    await intents.end_overdue(world.db)
    await world.work()

    assert (await world.payments(story))[0]["status"] == "succeeded"
    assert [f["paid_cents"] for f in await world.facts()] == [1200]
    await world.tell(story.judge(payment["id"], "refund"))
    await world.work()
    assert (await world.payments(story))[0]["refunded_cents"] == 1200
    assert await world.balances() == {}


async def test_a_page_that_was_never_asked_for_is_not_opened_after_the_hold(world: World):
    story = a_booking()
    await world.tell(story)
    await world.open(story)
    await world.rows("UPDATE payment SET status = 'created', provider_session_id = ''", owner=True)
    await world.rows("UPDATE provider_intent SET state = 'pending', first_called_at = NULL", owner=True)
    await world.tell(story.expire())
    await intents.end_overdue(world.db)

    assert (await world.payments(story))[0]["status"] == "expired"
    assert await world.rows("SELECT 1 FROM provider_intent WHERE state = 'pending'") == []
