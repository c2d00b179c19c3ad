"""Provider calls: intent (commit) → call → outcome (commit).

The intent holds the exact request. While an answer is unknown the same request goes out under the same key; the
provider forgets keys after a day, so from 23 hours on we first look for our id among its objects. A caller that dies
leaves a lease behind, and the worker makes the call again.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.payment import PaymentStatus
from regiohub_billing.providers.port import Checkout, NoAnswer, NotFoundThere, Provider, RefundSeen, Refused, uuid_of
from regiohub_billing.repo import bookings as repo
from regiohub_billing.repo import calls
from regiohub_billing.tables import Payment, ProviderIntent
from regiohub_billing.usecases import outcomes, planning
from regiohub_shared.clock import now as business_now
from regiohub_shared.clock import real_now
from regiohub_shared.db.database import Database
from regiohub_shared.events.watch import beat
from regiohub_shared.log import get_logger

_log = get_logger(__name__)
KEY_LIFE = timedelta(hours=23)
_BATCH = 5


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The key is too old to be trusted and the provider shows no trace of the call: it may be made anew."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The provider said no for good."""

    why: str
    is_unknown: bool = False
    """It knows no such object."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer; the same request again later."""

    why: str


Answer = Checkout | RefundSeen | Forgotten | Refusal | Unknown


async def call(provider: Provider, intent: ProviderIntent, payment: Payment) -> Answer:
    """Make the call of a leased intent, outside of any transaction."""
    try:
        if intent.first_called_at is not None and real_now() - intent.first_called_at > KEY_LIFE:
            return await _look(provider, intent, payment) or Forgotten()
        return await _make(provider, intent, payment)
    except Refused as refusal:
        return await _after_refusal(provider, intent, payment, refusal)
    except NoAnswer as error:
        return Unknown(str(error))


async def _make(provider: Provider, intent: ProviderIntent, payment: Payment) -> Answer:
    if intent.kind == "checkout":
        return await provider.create_checkout(intent.request, intent.idempotency_key)
    if intent.kind == "expire":
        return await provider.expire_checkout(payment.provider_session_id, intent.idempotency_key)
    return await provider.create_refund(intent.request, intent.idempotency_key)


async def _look(provider: Provider, intent: ProviderIntent, payment: Payment) -> Answer | None:
    if intent.kind == "checkout":
        return await provider.find_checkout(str(payment.id), intent.created_at)
    if intent.kind == "expire":
        return await provider.get_checkout(payment.provider_session_id)
    return await provider.find_refund(payment.provider_payment_id, str(intent.refund_id))


async def _after_refusal(provider: Provider, intent: ProviderIntent, payment: Payment, refusal: Refused) -> Answer:
    """A refund that was made under an older key is refused as "already refunded": look before believing."""
    try:
        found = await _look(provider, intent, payment) if intent.kind == "refund" else None
    except (Refused, NoAnswer) as error:
        return Unknown(f"{refusal}; {error}")
    return found or Refusal(str(refusal), is_unknown=isinstance(refusal, NotFoundThere))


async def record(session: AsyncSession, intent: ProviderIntent, answer: Answer) -> Payment | None:
    """Write the outcome of a call, unless another claim came after ours; return the payment, locked."""
    payment = await outcomes.lock_payment(session, intent.payment_id)
    kept = await calls.lock_intent(session, intent.id)
    if payment is None or kept is None or kept.fence != intent.fence or kept.state != "pending":
        return payment
    now = real_now()
    if isinstance(answer, Unknown):
        kept.leased_until, kept.last_error = None, answer.why[:300]
        kept.next_at = now + timedelta(seconds=min(300.0, 0.5 * 2 ** min(kept.fence, 12)))
        return payment
    kept.finished_at, kept.leased_until = now, None
    kept.state = "done" if isinstance(answer, Checkout | RefundSeen) else "refused"
    if isinstance(answer, Refusal):
        kept.last_error = answer.why[:300]
    await session.flush()
    await _apply(session, kept, payment, answer)
    return payment


async def _apply(session: AsyncSession, intent: ProviderIntent, payment: Payment, answer: Answer) -> None:
    now = business_now()
    if isinstance(answer, Checkout):
        await outcomes.apply_checkout(session, payment, answer, now=now)
    elif isinstance(answer, RefundSeen) and intent.refund_id is not None:
        await outcomes.apply_refund(session, intent.refund_id, answer, now=now)
    elif intent.kind == "checkout" and payment.status == PaymentStatus.CREATED:
        outcomes.move(payment, PaymentStatus.FAILED)
    elif intent.kind == "expire" and isinstance(answer, Refusal) and answer.is_unknown:
        outcomes.end_unknown_page(payment)
    elif intent.kind == "refund" and intent.refund_id is not None:
        await _refund_not_made(session, intent, payment, answer, now=now)
    await session.flush()


async def _refund_not_made(
    session: AsyncSession, intent: ProviderIntent, payment: Payment, answer: Answer, *, now: datetime
) -> None:
    refund = await repo.find_refund(session, intent.refund_id) if intent.refund_id else None
    if refund is None:
        return
    if isinstance(answer, Refusal):
        await outcomes.fail_refund(session, refund.id, answer.why, now=now)
    else:
        session.add(planning.refund_intent(payment, refund, attempt=intent.attempt + 1, now=real_now()))


async def work_due(db: Database, provider: Provider) -> int:
    """Make the calls that are due; return how many there were."""
    async with db.session() as session:
        claimed = await calls.claim_intents(session, now=real_now(), limit=_BATCH)
        payments = [await repo.find_payment(session, intent.payment_id) for intent in claimed]
    # Side by side: one slow answer must not let the leases of the others lapse.
    pairs = zip(claimed, payments, strict=True)
    await asyncio.gather(*(_work(db, provider, intent, payment) for intent, payment in pairs if payment is not None))
    return len(claimed)


async def _work(db: Database, provider: Provider, intent: ProviderIntent, payment: Payment) -> None:
    answer = await call(provider, intent, payment)
    if isinstance(answer, Unknown | Refusal):
        _log.warning("provider_call", kind=intent.kind, outcome=type(answer).__name__, why=answer.why)
    async with db.session() as session:
        await record(session, intent, answer)


async def end_overdue(db: Database) -> int:
    """For bookings that no longer wait for money: close the payment page; return how many were overdue."""
    async with db.session() as session:
        overdue = await repo.list_overdue(session, business_now=business_now(), limit=50)
    for booking_id in overdue:
        async with db.session() as session:
            await _end(session, booking_id)
        beat()
    return len(overdue)


async def _end(session: AsyncSession, booking_id: UUID) -> None:
    await repo.lock_charge(session, booking_id)
    for payment in await repo.lock_payments(session, booking_id):
        if payment.status in (PaymentStatus.OPEN, PaymentStatus.PROCESSING):
            await planning.plan_expiry(session, payment)
        elif payment.status == PaymentStatus.CREATED:
            await _drop_uncalled(session, payment)


async def _drop_uncalled(session: AsyncSession, payment: Payment) -> None:
    """A page that was never asked for need not be opened any more; one that may exist is found out first."""
    last = await calls.last_intent(session, payment.id, "checkout")
    if last is not None and last.state == "pending" and last.first_called_at is None:
        last.state, last.finished_at = "refused", real_now()
        outcomes.move(payment, PaymentStatus.EXPIRED)
        await session.flush()


async def look_again(db: Database, provider: Provider) -> int:
    """Ask about open payments and refunds whose webhook may have been lost; return how many were asked about."""
    now = real_now()
    async with db.session() as session:
        sessions = await repo.claim_stale_payments(session, now=now, age=timedelta(seconds=60), limit=_BATCH)
        refunds = await repo.claim_stale_refunds(session, now=now, limit=_BATCH)
    for session_id in sessions:
        await _quietly(refresh_checkout(db, provider, session_id))
    for refund_id in refunds:
        await _quietly(refresh_refund(db, provider, refund_id))
    return len(sessions) + len(refunds)


async def _quietly(work: Awaitable[object]) -> None:
    """One object that the provider does not show must not keep us from the next."""
    try:
        await work
    except (NoAnswer, Refused) as error:
        _log.warning("not_looked_at", error=type(error).__name__, why=str(error))
    # A provider that hangs makes a round long; it must not make us look stuck.
    beat()


async def refresh_checkout(db: Database, provider: Provider, session_id: str) -> Checkout | None:
    """Fetch a payment page and apply it; return it if we know no payment of its id. Raises ``NoAnswer``."""
    seen = await provider.get_checkout(session_id)
    try:
        payment_id = UUID(seen.received.payment_id)
    except ValueError:
        return seen
    async with db.session() as session:
        payment = await outcomes.lock_payment(session, payment_id)
        if payment is None:
            return seen
        await outcomes.apply_checkout(session, payment, seen, now=business_now())
    return None


async def refresh_refund(db: Database, provider: Provider, provider_refund_id: str) -> RefundSeen | None:
    """Fetch a refund and apply it; return it if it is none of ours. Raises ``NoAnswer``."""
    seen = await provider.get_refund(provider_refund_id)
    async with db.session() as session:
        known = await repo.find_refund_by_provider(session, provider_refund_id)
        refund_id = known.id if known else uuid_of(seen.refund_id)
        if refund_id is None or not await outcomes.apply_refund(session, refund_id, seen, now=business_now()):
            return seen
    return None
