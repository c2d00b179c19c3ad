"""Webhooks are triggers: stored once, answered at once, then the object is fetched anew and applied."""

import asyncio
from datetime import timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.payment import PaymentStatus
from regiohub_billing.providers.port import BadSignature, NoAnswer, Provider, Refused, uuid_of
from regiohub_billing.repo import bookings as repo
from regiohub_billing.repo import calls
from regiohub_billing.tables import StripeEvent
from regiohub_billing.usecases import intents, outcomes
from regiohub_shared.clock import now as business_now
from regiohub_shared.clock import real_now
from regiohub_shared.db.database import Database
from regiohub_shared.log import get_logger
from regiohub_shared.problem import BadRequest

_log = get_logger(__name__)
_GIVE_UP_AFTER = 8
_BATCH = 5


class WebhookRefused(BadRequest):
    """Not signed with our secret, too old, or no event at all."""

    type = "webhook-refused"
    title = "This webhook is not accepted"


async def take(session: AsyncSession, provider: Provider, *, body: bytes, signature: str) -> bool:
    """Verify and store a webhook; return whether it is new. Raises :class:`WebhookRefused`."""
    try:
        event = provider.read_event(body, signature)
    except (BadSignature, ValueError) as error:
        raise WebhookRefused from error
    now = real_now()
    return await calls.add_event(
        session,
        {
            "id": event.id,
            "type": event.type,
            "object_id": event.object_id,
            "created_at": event.created_at,
            "api_version": event.api_version,
            "livemode": event.livemode,
            "payload": {"object_kind": event.object_kind, "payment_id": event.payment_id},
            "received_at": now,
            "attempts": 0,
            "next_at": now,
            "last_error": "",
        },
    )


class NotYet(Exception):
    """The webhook is faster than our own commit, or we do not know its object."""


async def work_due(db: Database, provider: Provider) -> int:
    """Handle the webhooks that are due; return how many there were."""
    async with db.session() as session:
        claimed = await calls.claim_events(session, now=real_now(), limit=_BATCH)
    await asyncio.gather(*(_handle(db, provider, event) for event in claimed))
    return len(claimed)


async def _handle(db: Database, provider: Provider, event: StripeEvent) -> None:
    try:
        note = await _apply(db, provider, event)
    except (NotYet, NoAnswer, Refused) as error:
        await _postpone(db, event, error)
        return
    async with db.session() as session:
        await calls.finish_event(session, event, now=real_now(), note=note)


async def _postpone(db: Database, event: StripeEvent, error: Exception) -> None:
    pause = timedelta(seconds=min(300.0, 0.25 * 2 ** min(event.attempts, 12)))
    _log.info("webhook_postponed", type=event.type, attempt=event.attempts, error=type(error).__name__)
    async with db.session() as session:
        if isinstance(error, NoAnswer) or event.attempts < _GIVE_UP_AFTER:
            text = f"{type(error).__name__}: {error}"
            await calls.postpone_event(session, event, until=real_now() + pause, error=text)
        else:
            await calls.finish_event(session, event, now=real_now(), note=f"given up: {error}")


async def _apply(db: Database, provider: Provider, event: StripeEvent) -> str:
    """Fetch what the event is about and apply it; raises :class:`NotYet` while we know no such object."""
    kind = event.payload.get("object_kind")
    if kind == "checkout":
        return await _checkout(db, provider, event, event.object_id)
    if kind == "payment":
        return await _payment(db, provider, event)
    if kind == "refund":
        return await _refund(db, provider, event)
    if kind == "dispute":
        return await _dispute(db, provider, event)
    return "nothing to do"


async def _checkout(db: Database, provider: Provider, event: StripeEvent, session_id: str) -> str:
    unknown = await intents.refresh_checkout(db, provider, session_id)
    if unknown is None:
        return ""
    if event.attempts < _GIVE_UP_AFTER:
        raise NotYet("no payment of ours")
    if unknown.status is PaymentStatus.SUCCEEDED:
        async with db.session() as session:
            await outcomes.note_unknown_checkout(session, unknown, now=business_now())
    return "no payment of ours"


async def _payment(db: Database, provider: Provider, event: StripeEvent) -> str:
    """A payment intent is looked at by its Checkout session, which is what we opened."""
    payment_id = uuid_of(str(event.payload.get("payment_id", "")))
    async with db.session() as session:
        payment = await repo.find_payment(session, payment_id) if payment_id else None
    if payment is None:
        if payment_id is None:
            return "not a payment of ours"
        raise NotYet("no payment of ours")
    if not payment.provider_session_id:
        raise NotYet("the session is not written down yet")
    return await _checkout(db, provider, event, payment.provider_session_id)


async def _refund(db: Database, provider: Provider, event: StripeEvent) -> str:
    unknown = await intents.refresh_refund(db, provider, event.object_id)
    if unknown is None:
        return ""
    if event.attempts < _GIVE_UP_AFTER:
        raise NotYet("no refund of ours")
    async with db.session() as session:
        payment = await repo.find_payment_by_provider(session, unknown.provider_payment_id)
        await outcomes.note_unknown_refund(session, payment, unknown, now=business_now())
    return "no refund of ours"


async def _dispute(db: Database, provider: Provider, event: StripeEvent) -> str:
    seen = await provider.get_dispute(event.object_id)
    async with db.session() as session:
        payment = await repo.find_payment_by_provider(session, seen.provider_payment_id)
        if payment is None and event.attempts < _GIVE_UP_AFTER:
            raise NotYet("no payment of ours")
        await outcomes.note_dispute(session, payment, seen, now=business_now())
    return "" if payment else "no payment of ours"
