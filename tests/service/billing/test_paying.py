"""From a held booking to a paid one."""

import asyncio
import json
from datetime import datetime, timedelta
from uuid import UUID

import httpx
import pytest

from regiohub_billing.repo import calls
from regiohub_billing.usecases import intents
from regiohub_shared.clock import now, real_now
from regiohub_shared.ids import new_id
from tests.service.billing.world import BUYER, World, a_booking, county, finance, member


async def test_a_payment_page_belongs_to_the_hold(world: World):
    story = a_booking(1200, 333)
    await world.tell(story)
    payment = await world.open(story)

    assert payment["amount_cents"] == 1533
    assert payment["status"] == "open"
    left = datetime.fromisoformat(payment["expires_at"]) - real_now()
    assert timedelta(minutes=34) < left <= timedelta(minutes=36)
    found = (await world.sandbox.get("/v1/checkout/sessions", params={"limit": 1})).json()["data"][0]
    ids = {"payment_id": payment["id"], "booking_id": str(story.fact.booking_id), "operator": "stadt-bendorf"}
    assert found["metadata"] == ids
    assert found["payment_method_types"] == ["card"]
    assert found["success_url"].endswith(f"/bookings/{story.fact.booking_id}/payment")


async def test_paying_is_told_to_booking_once(world: World):
    story = a_booking()
    payment = await world.paid(story)
    await world.webhooks()

    found = (await world.payments(story))[0]
    assert (found["status"], found["paid_cents"], found["refunded_cents"]) == ("succeeded", 1200, 0)
    facts = await world.facts()
    assert [(f["payment_id"], f["paid_cents"], f["version"]) for f in facts] == [(payment["id"], 1200, 1)]
    assert facts[0]["paid_at"] is not None
    assert await world.documents(story) == []
    assert await world.balances() == {"1361": 1200, "1593": -1200}


async def test_asking_again_reopens_the_same_page_with_the_newest_buyer(world: World):
    story = a_booking()
    await world.tell(story)
    first = await world.open(story)
    again = await world.ask(story, buyer=BUYER | {"name": "Muster GmbH"})

    assert again.status_code == 200
    assert again.json() == first
    await world.press(first)
    await world.webhooks()
    await world.tell(story.confirm(first["id"]))
    buyer = (await world.rows("SELECT buyer ->> 'name' AS name FROM document"))[0]["name"]
    assert buyer == "Muster GmbH"


async def test_the_buyer_is_read_back_by_its_member_only(world: World):
    story = a_booking()
    await world.tell(story)
    await world.open(story)
    asked = {"booking_id": str(story.fact.booking_id)}

    for reader, buyer in ((member(), BUYER), (finance("stadt-bendorf"), None), (county("county-finance"), None)):
        [found] = (await world.client.get("/v1/payments", params=asked, headers=reader)).json()["items"]
        assert found["buyer"] == buyer
    assert (await world.client.get("/v1/payments", params=asked, headers=member("other"))).status_code == 404


async def test_page_and_invoice_name_the_hub_and_older_facts_do_without(world: World):
    for name, text in (("Ideenkino", "Tisch 1, Ideenkino"), ("", "Tisch 1")):
        story = a_booking().but(hub_name=name)
        await world.tell(story)
        payment = await world.open(story)
        [sent] = await world.rows(
            "SELECT request FROM provider_intent WHERE kind = 'checkout' AND payment_id = $1", UUID(payment["id"])
        )
        [item] = json.loads(sent["request"])["line_items"]
        assert item["price_data"]["product_data"]["name"].startswith(f"{text}, ")
        await world.press(payment)
        await world.webhooks()
        await world.tell(story.confirm(payment["id"]))
        [invoice] = await world.documents(story)
        assert [line["text"] for line in invoice["lines"]] == [text]


async def test_a_key_replays_its_answer_and_refuses_another_body(world: World):
    story = a_booking()
    await world.tell(story)
    first = await world.ask(story, key="k-1")
    again = await world.ask(story, key="k-1")
    other = await world.ask(story, key="k-1", buyer=BUYER | {"city": "Mayen"})

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert len(await world.payments(story)) == 1


async def test_many_at_once_open_one_page(world: World):
    story = a_booking()
    await world.tell(story)
    answers = await asyncio.gather(*(world.ask(story) for _ in range(6)))

    assert {a.status_code for a in answers} <= {200, 201, 409}
    assert sum(a.status_code == 201 for a in answers) == 1
    assert all("Retry-After" in a.headers for a in answers if a.status_code == 409)
    assert len(await world.payments(story)) == 1


async def test_a_booking_whose_fact_is_still_on_the_way_is_read_once(world: World):
    story = a_booking()
    world.booking_knows[str(story.fact.booking_id)] = story.fact.model_dump(mode="json")
    payment = await world.open(story)

    assert payment["amount_cents"] == 1200
    await world.tell(story)
    assert len(await world.payments(story)) == 1


@pytest.mark.parametrize("whose", ["nobody's", "another's"])
async def test_others_and_unknown_bookings_are_not_there(world: World, whose: str):
    story = a_booking()
    if whose == "another's":
        await world.tell(story)
    headers = member("someone-else") | {"Idempotency-Key": "k"}
    body = {"booking_id": str(story.fact.booking_id), "buyer": BUYER}
    answer = await world.client.post("/v1/payments", json=body, headers=headers)

    assert answer.status_code == 404
    assert await world.rows("SELECT 1 FROM payment") == []


@pytest.mark.parametrize(
    ("changes", "type_"),
    [
        ({"status": "confirmed"}, "nothing-to-pay"),
        ({"status": "expired"}, "nothing-to-pay"),
        ({"hold_until": now() - timedelta(seconds=1)}, "nothing-to-pay"),
        ({"operator": "stadt-mayen"}, "seller-incomplete"),
    ],
)
async def test_money_that_could_not_be_kept_is_refused(world: World, changes, type_):
    story = a_booking().but(**changes)
    await world.tell(story)
    answer = await world.ask(story)

    assert (answer.status_code, answer.json()["type"]) == (409, f"/problems/{type_}")
    assert await world.rows("SELECT 1 FROM payment") == []
    assert await world.rows("SELECT 1 FROM idempotency_key") == []


async def test_without_a_tax_rule_and_below_half_a_euro_nothing_is_opened(world: World):
    for story, type_ in ((a_booking(1200, codes=("K19",)), "no-tax-rule"), (a_booking(49), "amount-too-small")):
        await world.tell(story)
        assert (await world.ask(story)).json()["type"] == f"/problems/{type_}"


async def test_a_paid_booking_that_is_not_confirmed_yet_cannot_be_paid_again(world: World):
    story = a_booking()
    await world.paid(story)
    answer = await world.ask(story)

    assert answer.json()["type"] == "/problems/nothing-to-pay"
    assert answer.json()["paid"] is True


async def test_a_declined_card_leaves_the_page_open(world: World):
    story = a_booking()
    await world.tell(story)
    payment = await world.open(story)
    await world.press(payment, "decline")
    await world.webhooks()

    assert (await world.payments(story))[0]["status"] == "open"
    assert (await world.ask(story)).json()["checkout_url"] == payment["checkout_url"]
    await world.press(payment)
    await world.webhooks()
    assert (await world.payments(story))[0]["status"] == "succeeded"


async def test_a_malformed_buyer_is_refused(world: World):
    story = a_booking()
    await world.tell(story)
    for buyer in (
        BUYER | {"name": " "}, BUYER | {"name": "a\nb"}, BUYER | {"country": "Germany"}, BUYER | {"mail": "x"},
        {"name": "nur ein Name"}, BUYER | {"postcode": "1"},
    ):  # fmt: skip
        assert (await world.ask(story, buyer=buyer)).status_code == 422


async def test_a_key_is_required(world: World):
    body = {"booking_id": str(new_id()), "buyer": BUYER}
    answer = await world.client.post("/v1/payments", json=body, headers=member())
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/idempotency-key-missing")


async def test_when_stripe_does_not_answer_the_same_request_follows_under_the_same_key(world: World, monkeypatch):
    story = a_booking()
    await world.tell(story)
    lost = httpx.URL("http://127.0.0.1:9")
    good = world.provider._client._requestor._options.base_addresses["api"]
    monkeypatch.setitem(world.provider._client._requestor._options.base_addresses, "api", str(lost))
    down = await world.ask(story, key="k-1")
    monkeypatch.setitem(world.provider._client._requestor._options.base_addresses, "api", good)

    assert (down.status_code, down.json()["type"]) == (503, "/problems/payment-provider-unavailable")
    assert "Retry-After" in down.headers
    again = await world.ask(story, key="k-1")
    assert again.status_code == 201
    assert len(await world.payments(story)) == 1
    keys = await world.rows("SELECT idempotency_key, attempt FROM provider_intent")
    assert [tuple(row) for row in keys] == [(f"cs:{again.json()['id']}:1", 1)]


async def test_a_caller_that_died_in_the_call_is_finished_by_the_worker(world: World):
    """The answer never came back to us: the session exists there, here only the intent."""
    story = a_booking()
    await world.tell(story)
    payment = await world.open(story)
    await world.rows("UPDATE payment SET status = 'created', provider_session_id = '', checkout_url = ''", owner=True)
    await world.rows(
        "UPDATE provider_intent SET state = 'pending', leased_until = $1", real_now() - timedelta(seconds=1), owner=True
    )
    await world.work()

    found = (await world.payments(story))[0]
    assert (found["id"], found["checkout_url"]) == (payment["id"], payment["checkout_url"])
    sessions = (await world.sandbox.get("/v1/checkout/sessions", params={"limit": 100})).json()["data"]
    assert sum(s["metadata"].get("payment_id") == payment["id"] for s in sessions) == 1


async def test_after_23_hours_our_id_is_looked_for_before_anything_is_made_anew(world: World):
    story = a_booking()
    await world.tell(story)
    payment = await world.open(story)
    old = real_now() - timedelta(hours=24)
    await world.rows("UPDATE payment SET status = 'created', provider_session_id = ''", owner=True)
    await world.rows(
        "UPDATE provider_intent SET state = 'pending', leased_until = NULL, first_called_at = $1, "
        "idempotency_key = 'forgotten'", old, owner=True,
    )  # fmt: skip
    await world.work()

    assert (await world.payments(story))[0]["checkout_url"] == payment["checkout_url"]


async def test_a_refund_that_the_provider_made_already_is_found_and_not_failed(world: World):
    story = a_booking(1200)
    await world.confirmed(story)
    await world.tell(story.cancel())
    [row] = await world.rows("SELECT r.id, p.provider_payment_id FROM refund r JOIN payment p ON p.id = r.payment_id")
    # As under an older key, whose answer never arrived.
    made = {"payment_intent": row["provider_payment_id"], "amount": "1200", "metadata[refund_id]": str(row["id"])}
    assert (await world.sandbox.post("/v1/refunds", data=made)).status_code == 200
    await world.work()

    assert [tuple(one) for one in await world.rows("SELECT status FROM refund")] == [("succeeded",)]
    assert await world.clearing() == []


async def test_a_call_that_left_no_trace_in_a_day_fails_the_payment(world: World):
    story = a_booking()
    await world.tell(story)
    payment = await world.open(story)
    other = new_id()
    await world.rows("ALTER TABLE provider_intent DROP CONSTRAINT fk_provider_intent_payment_id_payment", owner=True)
    await world.rows("UPDATE payment SET status = 'created', provider_session_id = '', id = $1", other, owner=True)
    await world.rows(
        "UPDATE provider_intent SET state = 'pending', leased_until = NULL, payment_id = $1, first_called_at = $2",
        other, real_now() - timedelta(hours=24), owner=True,
    )  # fmt: skip
    await world.work()

    assert UUID(payment["id"]) != other
    assert (await world.payments(story))[0]["status"] == "failed"
    assert (await world.ask(story)).status_code == 201


def other_amount(provider, monkeypatch, cents: int = 1300) -> None:
    """The provider opens its pages for another amount than the one that was ordered."""
    create = provider.create_checkout

    async def lie(request, key):
        changed = json.loads(json.dumps(request))
        changed["line_items"][0]["price_data"]["unit_amount"] = cents
        return await create(changed, key)

    monkeypatch.setattr(provider, "create_checkout", lie)


async def test_a_page_with_another_amount_is_closed_and_listed_and_the_booking_can_still_be_paid(
    world: World, monkeypatch
):
    story = a_booking(1200)
    await world.tell(story)
    with monkeypatch.context() as wrong:
        other_amount(world.provider, wrong)
        answer = await world.ask(story, key="k-1")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/payment-refused")
    assert [(p["status"], p["checkout_url"]) for p in await world.payments(story)] == [("failed", None)]
    assert [(c["kind"], c["amount_cents"]) for c in await world.clearing()] == [("payment_unmatched", 1300)]

    await world.work()
    session = (await world.rows("SELECT provider_session_id AS id FROM payment"))[0]["id"]
    assert (await world.sandbox.get(f"/v1/checkout/sessions/{session}")).json()["status"] == "expired"
    again = await world.ask(story, key="k-1")
    assert again.status_code == 201
    await world.press(again.json())
    await world.webhooks()
    assert [p["paid_cents"] for p in await world.payments(story)] == [0, 1200]


async def test_money_that_came_in_before_the_wrong_page_was_closed_is_listed_too(world: World, monkeypatch):
    story = a_booking(1200)
    await world.tell(story)
    with monkeypatch.context() as wrong:
        other_amount(world.provider, wrong)
        await world.ask(story)
    session = (await world.rows("SELECT provider_session_id AS id FROM payment"))[0]["id"]
    page = (await world.sandbox.get(f"/v1/checkout/sessions/{session}")).json()["url"]
    await world.press({"checkout_url": page})
    await world.work()

    assert len(await world.clearing()) == 2
    assert [p["status"] for p in await world.payments(story)] == ["failed"]
    assert await world.rows("SELECT 1 FROM journal_entry") == []


@pytest.mark.parametrize("late", [intents.Unknown("late"), intents.Refusal("late")])
async def test_the_late_outcome_of_an_older_claim_changes_nothing(world: World, late):
    """The first caller was slow, its lease lapsed, a second one claimed the call and is still in it."""
    story = a_booking()
    await world.tell(story)
    await world.open(story)
    await world.rows("UPDATE payment SET status = 'created', provider_session_id = '', checkout_url = ''", owner=True)
    await world.rows("UPDATE provider_intent SET state = 'pending', finished_at = NULL", owner=True)
    async with world.db.session() as session:
        (first,) = await calls.claim_intents(session, now=real_now(), limit=1)
    async with world.db.session() as session:
        (second,) = await calls.claim_intents(session, now=real_now() + timedelta(minutes=1), limit=1)
    assert second.fence == first.fence + 1
    before = await world.rows("SELECT * FROM provider_intent")
    async with world.db.session() as session:
        payment = await intents.record(session, first, late)

    assert payment is not None
    assert payment.status == "created"
    assert await world.rows("SELECT * FROM provider_intent") == before
    async with world.db.session() as session:
        await intents.record(session, second, late)
    after = (await world.rows("SELECT state, leased_until, last_error FROM provider_intent"))[0]
    assert tuple(after) == ("pending" if isinstance(late, intents.Unknown) else "refused", None, "late")
