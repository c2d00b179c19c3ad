"""stripe-python itself, async over HTTPX, pays, declines, expires and refunds against the sandbox."""

from typing import Any

import httpx
import pytest
import stripe

from tests.support.stripe_sandbox import Process, a_session, close, eventually

# stripe-python hands its form to HTTPX as text, which HTTPX calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


async def opened(client: stripe.StripeClient, **changes: object) -> stripe.checkout.Session:
    return await client.v1.checkout.sessions.create_async(a_session(**changes))


async def press(http: httpx.AsyncClient, session: stripe.checkout.Session, action: str) -> httpx.Response:
    """Press a button of the hosted page as a browser does."""
    assert session.url is not None
    return await http.post(session.url, data={"action": action}, headers={"Origin": str(http.base_url).rstrip("/")})


async def paid(client: stripe.StripeClient, http: httpx.AsyncClient) -> Any:
    session = await opened(client)
    await press(http, session, "pay")
    again = await client.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent.latest_charge"]})
    return again.payment_intent


async def switch(http: httpx.AsyncClient, **changes: object) -> None:
    answer = await http.post("/sandbox/switches", json=changes)
    assert answer.status_code == 200, answer.text


async def test_paying_completes_the_session_and_goes_back(client, http, receiver):
    session = await opened(client)
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)

    back = await press(http, session, "pay")

    assert back.status_code == 303
    assert back.headers["location"] == f"http://localhost/bookings/b-1?session={session.id}"
    done = await client.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent.latest_charge"]})
    intent = done.payment_intent
    assert (done.status, done.payment_status, done.amount_total, done.url) == ("complete", "paid", 1200, None)
    assert (intent.status, intent.amount_received, intent.currency) == ("succeeded", 1200, "eur")
    assert (intent.metadata["payment_id"], done.metadata["booking_id"]) == ("p-1", "b-1")
    assert (intent.latest_charge.paid, intent.latest_charge.amount_captured) == (True, 1200)
    wanted = {"payment_intent.succeeded", "checkout.session.completed", "charge.updated"}
    await eventually(lambda: wanted <= set(receiver.types(client)))


async def test_fee_arrives_with_charge_updated(client, http, receiver):
    intent = await paid(client, http)
    await eventually(lambda: "charge.updated" in receiver.types(client))

    charge = await client.v1.charges.retrieve_async(intent.latest_charge.id, {"expand": ["balance_transaction"]})
    entry = charge.balance_transaction

    assert (entry.amount, entry.fee, entry.net, entry.source) == (1200, 43, 1157, charge.id)


async def test_paying_twice_charges_once(client, http):
    session = await opened(client)
    first = await press(http, session, "pay")
    second = await press(http, session, "pay")

    assert first.headers["location"] == second.headers["location"]
    assert len((await client.v1.payment_intents.list_async()).data) == 1


async def test_decline_then_pay(client, http, receiver):
    session = await opened(client)
    shown = await http.get((await press(http, session, "decline")).headers["location"])
    assert "abgelehnt" in shown.text
    open_still = await client.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent"]})
    assert (open_still.status, open_still.payment_status) == ("open", "unpaid")
    intent = open_still.payment_intent
    assert (intent.status, intent.last_payment_error.code) == ("requires_payment_method", "card_declined")
    assert intent.latest_charge is not None

    await press(http, session, "pay")

    done = await client.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent"]})
    assert (done.payment_intent.id, done.payment_intent.status) == (intent.id, "succeeded")
    await eventually(lambda: "payment_intent.payment_failed" in receiver.types(client))


async def test_expired_session_takes_no_money(client, http, receiver):
    session = await opened(client)
    await press(http, session, "decline")
    expired = await client.v1.checkout.sessions.expire_async(session.id)
    assert (expired.status, expired.url) == ("expired", None)

    await press(http, session, "pay")

    after = await client.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent"]})
    assert (after.status, after.payment_status, after.payment_intent.status) == ("expired", "unpaid", "canceled")
    with pytest.raises(stripe.InvalidRequestError, match="expired"):
        await client.v1.checkout.sessions.expire_async(session.id)
    await eventually(lambda: "checkout.session.expired" in receiver.types(client))


async def test_complete_session_cannot_be_expired(client, http):
    session = await opened(client)
    await press(http, session, "pay")

    with pytest.raises(stripe.InvalidRequestError, match="complete"):
        await client.v1.checkout.sessions.expire_async(session.id)


async def test_refunds_never_exceed_the_payment(client, http, receiver):
    intent = await paid(client, http)
    part = await client.v1.refunds.create_async(
        {"payment_intent": intent.id, "amount": 500, "reason": "requested_by_customer", "metadata": {"document": "d"}}
    )
    assert (part.status, part.amount, part.metadata["document"]) == ("succeeded", 500, "d")
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        await client.v1.refunds.create_async({"payment_intent": intent.id, "amount": 701})

    rest = await client.v1.refunds.create_async({"payment_intent": intent.id})

    assert rest.amount == 700
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.refunds.create_async({"payment_intent": intent.id})
    assert refused.value.code == "charge_already_refunded"
    listed = await client.v1.refunds.list_async({"payment_intent": intent.id})
    assert [refund.amount for refund in listed.data] == [700, 500]
    charge = await client.v1.charges.retrieve_async(intent.latest_charge.id)
    assert (charge.amount_refunded, charge.refunded) == (1200, True)
    await eventually(lambda: receiver.types(client).count("refund.created") == 2)


async def test_pending_refund_succeeds_later(client, http, receiver):
    await switch(http, refund="pending", refund_delay_s=0.3)
    intent = await paid(client, http)

    refund = await client.v1.refunds.create_async({"payment_intent": intent.id})

    assert (refund.status, refund.pending_reason) == ("pending", "processing")
    await eventually(lambda: "refund.updated" in receiver.types(client))
    assert (await client.v1.refunds.retrieve_async(refund.id)).status == "succeeded"


async def test_failed_refund_gives_the_money_back_to_the_account(client, http, receiver):
    await switch(http, refund="failed", refund_delay_s=0.3)
    intent = await paid(client, http)

    refund = await client.v1.refunds.create_async({"payment_intent": intent.id})

    await eventually(lambda: "refund.failed" in receiver.types(client))
    failed = await client.v1.refunds.retrieve_async(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "unknown")
    await switch(http, refund="succeeded")
    assert (await client.v1.refunds.create_async({"payment_intent": intent.id})).amount == 1200


async def test_lists_page_newest_first(client):
    made = [(await opened(client)).id for _ in range(5)]

    first = await client.v1.checkout.sessions.list_async({"limit": 2})
    seen = [session.id async for session in first.auto_paging_iter()]

    assert first.has_more
    assert seen == made[::-1]
    back = await client.v1.checkout.sessions.list_async({"limit": 2, "ending_before": made[0]})
    assert [session.id for session in back.data] == [made[2], made[1]]
    none = await client.v1.checkout.sessions.list_async({"status": "complete"})
    assert none.data == []
    future = await client.v1.checkout.sessions.list_async({"created": {"gt": first.data[0].created + 60}})
    assert future.data == []


async def test_events_can_be_listed_by_type(client, http):
    await paid(client, http)

    listed = await client.v1.events.list_async({"types": ["payment_intent.succeeded", "checkout.session.completed"]})

    assert {event.type for event in listed.data} == {"payment_intent.succeeded", "checkout.session.completed"}
    one = await client.v1.events.retrieve_async(listed.data[0].id)
    assert one.api_version == "2026-10-28.endive"


@pytest.mark.parametrize(
    ("planted", "code"),
    [
        ({"payment_method_types": ["card"]}, "payment_method_types_no_longer_supported"),
        ({"line_items": [{"quantity": 1, "price_data": {"currency": "eur", "unit_amout": 1}}]}, "parameter_unknown"),
        ({"line_items": [{"quantity": "one"}]}, "parameter_invalid_integer"),
        ({"booking": "b-1"}, "parameter_unknown"),
        ({"expires_at": "tomorrow"}, "parameter_invalid_integer"),
    ],
)
async def test_planted_bad_request_is_refused_over_the_wire(client, planted, code):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await opened(client, **planted)

    assert refused.value.code == code
    assert (await client.v1.checkout.sessions.list_async()).data == []


async def test_wrong_key_unknown_object_and_unknown_route(client, process: Process, http):
    stranger = process.client(key="sk_test_other")
    with pytest.raises(stripe.AuthenticationError):
        await stranger.v1.checkout.sessions.list_async()
    await close(stranger)
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        await client.v1.payment_intents.retrieve_async("pi_none")
    assert unknown.value.code == "resource_missing"
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        await client.v1.customers.list_async()
    assert (await http.post("/v1/refunds", json={"a": 1})).status_code == 400


async def test_answers_hold_only_what_the_sdk_knows(client, http):
    intent = await paid(client, http)
    refund = await client.v1.refunds.create_async({"payment_intent": intent.id})
    session = (await client.v1.checkout.sessions.list_async()).data[0]
    event = (await client.v1.events.list_async()).data[0]
    opened_dispute = (await http.post("/sandbox/disputes", json={"payment_intent": intent.id})).json()
    dispute = await client.v1.disputes.retrieve_async(opened_dispute["id"])
    for thing in (session, intent, intent.latest_charge, refund, event, dispute, dispute.evidence_details):
        unknown = set(thing.to_dict()) - set(type(thing).__annotations__)

        assert not unknown, type(thing)


async def test_hosted_page_is_safe_and_says_what_it_is(client, http):
    session = await opened(client, line_items=a_session()["line_items"], metadata={"x": "<script>"})
    page = await http.get(session.url)

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://localhost" in policy
    assert "script" not in page.text.lower()
    for needed in ('lang="de"', "Sandkasten", "12,00\xa0€", "Karte ablehnen lassen", "Abbrechen", "<h1>"):
        assert needed in page.text
    foreign = await http.post(session.url, data={"action": "pay"}, headers={"Origin": "https://elsewhere.example"})
    assert foreign.status_code == 403
    assert (await http.get("/c/pay/cs_test_none")).status_code == 404
