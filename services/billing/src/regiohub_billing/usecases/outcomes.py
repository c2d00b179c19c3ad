"""Apply what the provider says about payments and refunds: forwards only, and only if it matches what we asked for."""

from datetime import datetime
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.payment import (
    PaymentStatus,
    Received,
    RefundStatus,
    dispute_text,
    is_dispute_over,
    mismatches,
    next_refund_status,
    next_status,
)
from regiohub_billing.providers.port import Checkout, DisputeSeen, RefundSeen
from regiohub_billing.repo import bookings as repo
from regiohub_billing.tables import Payment, Refund
from regiohub_billing.usecases import ledger
from regiohub_billing.usecases.planning import clearing, plan_expiry
from regiohub_billing.usecases.settling import settle
from regiohub_shared.clock import real_now
from regiohub_shared.contracts.billing import PaymentChanged
from regiohub_shared.events.outbox import emit


async def apply_checkout(session: AsyncSession, payment: Payment, seen: Checkout, *, now: datetime) -> None:
    """Apply what the provider says about a payment page; money that does not match ours goes to the clearing list.

    The payment is locked by :func:`lock_payment`. ``now`` is business time.
    """
    differs = mismatches(_expected(payment), seen.received)
    if differs:
        await _apply_wrong(session, payment, seen, f"differs: {', '.join(differs)}", now=now)
        return
    payment.provider_session_id = seen.session_id
    payment.provider_payment_id = seen.provider_payment_id or payment.provider_payment_id
    payment.expires_at = seen.expires_at
    payment.checked_at = real_now()
    before, status = payment.status, next_status(PaymentStatus(payment.status), seen.status)
    move(payment, status)
    payment.checkout_url = seen.url if status is PaymentStatus.OPEN else ""
    if status is PaymentStatus.SUCCEEDED and before != status:
        payment.paid_cents, payment.paid_at = payment.amount_cents, now
        await session.flush()
        await ledger.post_payment(session, payment, now=now)
        await tell_booking(session, payment)
        await settle(session, booking_id=payment.booking_id, now=now)
    await session.flush()


async def _apply_wrong(session: AsyncSession, payment: Payment, seen: Checkout, why: str, *, now: datetime) -> None:
    """A page with other figures than ours is never handed out: it fails, is closed, and people look at it."""
    first = payment.status == PaymentStatus.CREATED
    if first or seen.status is PaymentStatus.SUCCEEDED:
        await _note_unmatched(session, seen, payment.operator, payment.id, why, now=now)
    if first:
        payment.provider_session_id, payment.expires_at = seen.session_id, seen.expires_at
        move(payment, PaymentStatus.FAILED)
        await session.flush()
        await plan_expiry(session, payment)


def move(payment: Payment, status: PaymentStatus) -> None:
    """Move a payment on; one that will get no document lets go of an erased member's name."""
    payment.status = status
    if status in (PaymentStatus.FAILED, PaymentStatus.EXPIRED) and payment.sub.startswith(repo.ERASED):
        payment.buyer = {}


def end_unknown_page(payment: Payment) -> None:
    """End a payment whose page the provider does not know; the payment is locked.

    Not before the page's own end: with another account's key in our settings a page that still takes money looks
    unknown too. Where the payer has acted already, the money is looked for until the provider knows it.
    """
    if payment.status == PaymentStatus.OPEN and payment.expires_at is not None and payment.expires_at <= real_now():
        move(payment, PaymentStatus.EXPIRED)
        payment.checkout_url = ""


def _expected(payment: Payment) -> Received:
    return Received(
        payment_id=str(payment.id),
        booking_id=str(payment.booking_id),
        amount_cents=payment.amount_cents,
        currency=payment.currency,
        livemode=payment.livemode,
    )


async def note_unknown_checkout(session: AsyncSession, seen: Checkout, *, now: datetime) -> None:
    """Money for a payment that we do not know at all."""
    await _note_unmatched(session, seen, "", None, "no payment of ours has this id", now=now)


async def _note_unmatched(
    session: AsyncSession, seen: Checkout, operator: str, payment_id: UUID | None, detail: str, *, now: datetime
) -> None:
    item = clearing(
        "payment_unmatched", seen.provider_payment_id or seen.session_id, operator, payment_id,
        cents=seen.received.amount_cents, detail=detail, now=now, currency=seen.received.currency,
    )  # fmt: skip
    await repo.note_clearing(session, item)


async def lock_payment(session: AsyncSession, payment_id: UUID) -> Payment | None:
    """Lock a payment in the one order that cannot deadlock: its charge first."""
    found = await repo.find_payment(session, payment_id)
    if found is None:
        return None
    await repo.lock_charge(session, found.booking_id)
    return next((p for p in await repo.lock_payments(session, found.booking_id) if p.id == payment_id), None)


async def apply_refund(session: AsyncSession, refund_id: UUID, seen: RefundSeen, *, now: datetime) -> bool:
    """Apply what the provider says about a refund; return False if we know no such refund. ``now``: business time."""
    found = await repo.find_refund(session, refund_id)
    payment = await lock_payment(session, found.payment_id) if found else None
    if found is None or payment is None:
        return False
    await session.refresh(found)
    if (seen.amount_cents, seen.currency, seen.provider_payment_id) != (
        found.amount_cents, payment.currency, payment.provider_payment_id,
    ):  # fmt: skip
        await note_unknown_refund(session, payment, seen, now=now)
        return True
    before = RefundStatus(found.status)
    found.status = next_refund_status(before, seen.status)
    found.provider_refund_id = seen.provider_refund_id
    found.checked_at = real_now()
    if found.status != before:
        await _refund_moved(session, payment, found, before, seen.failure, now=now)
    await session.flush()
    return True


async def fail_refund(session: AsyncSession, refund_id: UUID, why: str, *, now: datetime) -> None:
    """The provider refused a refund for good; people must look."""
    found = await repo.find_refund(session, refund_id)
    payment = await lock_payment(session, found.payment_id) if found else None
    if found is None or payment is None:
        return
    await session.refresh(found)
    before = RefundStatus(found.status)
    if before is RefundStatus.CREATED:
        found.status = RefundStatus.FAILED
        await _refund_moved(session, payment, found, before, why, now=now)
    await session.flush()


async def _refund_moved(
    session: AsyncSession, payment: Payment, refund: Refund, before: RefundStatus, why: str, *, now: datetime
) -> None:
    if refund.status == RefundStatus.SUCCEEDED:
        refund.settled_at = now
        payment.refunded_cents += refund.amount_cents
        await session.flush()
        await ledger.post_refund(session, payment, refund, now=now)
        await tell_booking(session, payment)
    elif refund.status == RefundStatus.FAILED:
        refund.failure = why[:300]
        item = clearing(
            "refund_failed", str(refund.id), payment.operator, payment.id,
            cents=refund.amount_cents, detail=refund.failure, now=now,
        )  # fmt: skip
        await repo.note_clearing(session, item)
        if before is RefundStatus.SUCCEEDED:
            payment.refunded_cents -= refund.amount_cents
            await session.flush()
            await ledger.post_refund_failed(session, payment, refund, now=now)
            await tell_booking(session, payment)


async def note_unknown_refund(
    session: AsyncSession, payment: Payment | None, seen: RefundSeen, *, now: datetime
) -> None:
    """A refund that was not made by us, or not like this: a case for the town whose payment it is."""
    item = clearing(
        "refund_unmatched", seen.provider_refund_id, payment.operator if payment else "",
        payment.id if payment else None, cents=seen.amount_cents,
        detail="a refund at the provider that is none of ours", now=now, currency=seen.currency,
    )  # fmt: skip
    await repo.note_clearing(session, item)


async def note_dispute(session: AsyncSession, payment: Payment | None, seen: DisputeSeen, *, now: datetime) -> None:
    """List money that a payer's bank takes back; the case's text follows the dispute to its end."""
    said = dispute_text(seen.status, seen.reason, seen.provider_payment_id, seen.answer_by)
    item = clearing(
        "dispute", seen.dispute_id, payment.operator if payment else "", payment.id if payment else None,
        cents=seen.amount_cents, detail=said, now=now, currency=seen.currency,
    )  # fmt: skip
    await repo.note_clearing(session, item)
    known = await repo.lock_case(session, "dispute", seen.dispute_id)
    if known.detail == item.detail or (is_dispute_over(known.detail) and not is_dispute_over(item.detail)):
        return
    if known.resolved_at is None:
        known.detail = item.detail
    elif is_dispute_over(item.detail):
        # A closed case stays as it is; how the dispute ended is news that somebody must see.
        item.source = f"{seen.dispute_id}:{seen.status}"
        await repo.note_clearing(session, item)
    await session.flush()


async def tell_booking(session: AsyncSession, payment: Payment) -> None:
    """Tell booking the payment's cumulative state; of a booking that a restore has lost nobody needs to hear."""
    if await repo.find_charge(session, payment.booking_id) is None:
        return
    payment.version += 1
    fact = PaymentChanged(
        payment_id=payment.id, booking_id=payment.booking_id, sub=payment.sub, operator=payment.operator,
        version=payment.version, amount_cents=payment.amount_cents, paid_cents=payment.paid_cents,
        refunded_cents=payment.refunded_cents, currency=payment.currency, paid_at=payment.paid_at,
    )  # fmt: skip
    await emit(session, fact, now=real_now())
