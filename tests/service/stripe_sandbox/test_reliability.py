"""Idempotency keys, webhooks and books keep their promises, also over SIGKILL."""

import asyncio
import random
import signal

import httpx
import pytest
import stripe

from tests.support.stripe_sandbox import SECRET, Process, Receiver, a_session, close, eventually

# stripe-python hands its form to HTTPX as text, which HTTPX calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

FORM = {
    "mode": "payment",
    "success_url": "http://localhost/ok",
    "line_items[0][quantity]": "1",
    "line_items[0][price_data][currency]": "eur",
    "line_items[0][price_data][unit_amount]": "1200",
    "line_items[0][price_data][product_data][name]": "Tisch 1",
}


async def post(http: httpx.AsyncClient, key: str, **changes: str) -> httpx.Response:
    return await http.post("/v1/checkout/sessions", data=FORM | changes, headers={"Idempotency-Key": key})


async def test_same_key_same_answer(http, client):
    first, second = await post(http, "k1"), await post(http, "k1")

    assert first.content == second.content
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["original-request"] == first.headers["request-id"]
    assert len((await client.v1.checkout.sessions.list_async()).data) == 1


async def test_same_key_other_parameters(client):
    options: stripe.RequestOptions = {"idempotency_key": "k1"}
    await client.v1.checkout.sessions.create_async(a_session(), options)

    with pytest.raises(stripe.IdempotencyError):
        await client.v1.checkout.sessions.create_async(a_session(client_reference_id="b-2"), options)


async def test_refusal_of_an_action_is_kept_but_a_malformed_request_is_not(http):
    missing = {"payment_intent": "pi_none"}
    first = await http.post("/v1/refunds", data=missing, headers={"Idempotency-Key": "k1"})
    second = await http.post("/v1/refunds", data=missing, headers={"Idempotency-Key": "k1"})
    malformed = await post(http, "k2", bogus="1")
    repaired = await post(http, "k2")

    assert (first.status_code, second.status_code) == (404, 404)
    assert second.headers["idempotent-replayed"] == "true"
    assert (malformed.status_code, repaired.status_code) == (400, 200)


async def test_key_in_flight_is_a_conflict(http, process: Process):
    await http.post("/sandbox/switches", json={"response_delay_s": 0.5})

    answers = await asyncio.gather(*(post(http, "k1") for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    patient = process.client(max_network_retries=5)
    options: stripe.RequestOptions = {"idempotency_key": "k2"}
    both = await asyncio.gather(*(patient.v1.checkout.sessions.create_async(a_session(), options) for _ in range(2)))
    assert both[0].id == both[1].id
    await close(patient)


async def test_webhook_is_signed_and_sent_again_until_taken(http, client, receiver: Receiver):
    receiver.answers += [500, 404]
    session = await client.v1.checkout.sessions.create_async(a_session())
    await client.v1.checkout.sessions.expire_async(session.id)

    await eventually(lambda: len(receiver.calls) == 3)

    events = receiver.events(client)
    assert {event.id for event in events} == {events[0].id}
    assert events[0].data.object["id"] == session.id
    signature, body = receiver.calls[0]
    with pytest.raises(stripe.SignatureVerificationError):
        client.construct_event(body.replace(b"expired", b"completed"), signature, SECRET)

    async def taken() -> bool:
        return not (await client.v1.events.retrieve_async(events[0].id)).pending_webhooks

    await eventually(taken)


async def test_switches_duplicate_hold_and_drop(http, client, receiver: Receiver):
    async def expired_with(mode: str) -> str:
        assert (await http.post("/sandbox/switches", json={"webhooks": mode})).status_code == 200
        session = await client.v1.checkout.sessions.create_async(a_session())
        await client.v1.checkout.sessions.expire_async(session.id)
        event = (await client.v1.events.list_async({"type": "checkout.session.expired"})).data[0]
        return str(event.id)

    def count(event_id: str) -> int:
        return sum(event.id == event_id for event in receiver.events(client))

    twice = await expired_with("duplicate")
    await eventually(lambda: count(twice) == 2)
    lost = await expired_with("drop")
    held = await expired_with("hold")
    await asyncio.sleep(0.6)
    assert (count(lost), count(held)) == (0, 0)
    await http.post(f"/sandbox/events/{lost}/deliver")
    await eventually(lambda: count(lost) == 1)
    assert count(held) == 0
    await http.post("/sandbox/switches", json={"webhooks": "send"})
    await eventually(lambda: count(held) == 1)
    assert (await http.post("/sandbox/switches", json={"webhooks": "explode"})).status_code == 400


async def test_shuffled_webhooks_all_arrive_and_lose_their_order(http, client, receiver: Receiver):
    await http.post("/sandbox/switches", json={"webhooks": "shuffle"})
    sent = []
    for _ in range(9):
        session = await client.v1.checkout.sessions.create_async(a_session())
        await client.v1.checkout.sessions.expire_async(session.id)
        sent.append(session.id)

    await eventually(lambda: len(receiver.calls) == len(sent), within_s=20)

    heard = [event.data.object["id"] for event in receiver.events(client)]
    assert sorted(heard) == sorted(sent)
    assert heard != sent


async def work(
    client: stripe.StripeClient, kept: dict[str, tuple[str, str]], http: httpx.AsyncClient, tag: str
) -> None:
    """Book, pay and refund until the sandbox dies; ``kept`` takes only what was acknowledged."""
    for number in range(10_000):
        key = f"{tag}-{number}"
        session = await client.v1.checkout.sessions.create_async(
            a_session(metadata={"key": key}), {"idempotency_key": key}
        )
        kept[key] = ("session", session.id)
        await http.post(session.url or "", data={"action": "pay"})
        done = await client.v1.checkout.sessions.retrieve_async(session.id)
        refund = await client.v1.refunds.create_async(
            {"payment_intent": str(done.payment_intent), "amount": 100}, {"idempotency_key": f"{key}-refund"}
        )
        kept[f"{key}-refund"] = (str(done.payment_intent), refund.id)


async def test_books_and_keys_survive_sigkill(stopped: Process, receiver: Receiver):
    process = stopped
    kept: dict[str, tuple[str, str]] = {}
    for kill in range(5):
        await process.start()
        client = process.client()
        async with httpx.AsyncClient(trust_env=False) as http:
            workers = [asyncio.create_task(work(client, kept, http, f"{kill}-{index}")) for index in range(4)]
            await asyncio.sleep(random.uniform(0.3, 1.0))
            await process.end(signal.SIGKILL)
            endings = await asyncio.gather(*workers, return_exceptions=True)
        await close(client)
        assert all(isinstance(end, stripe.APIConnectionError | httpx.TransportError) for end in endings), endings
    await process.start()
    client = process.client()
    assert len(kept) > 20

    await every_acknowledged_key_replays(client, kept)
    await the_books_hold_each_thing_once(client, kept)
    sent = [event.id async for event in (await client.v1.events.list_async({"limit": 100})).auto_paging_iter()]
    await eventually(lambda: set(sent) <= {event.id for event in receiver.events(client)}, within_s=30)

    await close(client)


async def every_acknowledged_key_replays(client: stripe.StripeClient, kept: dict[str, tuple[str, str]]) -> None:
    for key, (what, made) in kept.items():
        options: stripe.RequestOptions = {"idempotency_key": key}
        if what == "session":
            again = await client.v1.checkout.sessions.create_async(a_session(metadata={"key": key}), options)
            assert again.id == made
        else:
            refund = await client.v1.refunds.create_async({"payment_intent": what, "amount": 100}, options)
            assert refund.id == made
            assert refund.last_response is not None
            assert refund.last_response.headers["idempotent-replayed"] == "true"


async def the_books_hold_each_thing_once(client: stripe.StripeClient, kept: dict[str, tuple[str, str]]) -> None:
    sessions = await client.v1.checkout.sessions.list_async({"limit": 100})
    keys = [str(session.to_dict()["metadata"]["key"]) async for session in sessions.auto_paging_iter()]
    refunds = [refund async for refund in (await client.v1.refunds.list_async({"limit": 100})).auto_paging_iter()]
    intents = [str(refund.payment_intent) for refund in refunds]

    assert len(keys) == len(set(keys))
    assert {key for key, (what, _) in kept.items() if what == "session"} <= set(keys)
    assert len(intents) == len(set(intents))
    assert {made for what, made in kept.values() if what != "session"} <= {refund.id for refund in refunds}
