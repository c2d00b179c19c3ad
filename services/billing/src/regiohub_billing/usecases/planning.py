"""What is written down for others to do: provider calls for the worker, cases for the finance offices."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.payment import RefundStatus, refundable
from regiohub_billing.repo import bookings as repo
from regiohub_billing.repo import calls
from regiohub_billing.tables import ClearingItem, Payment, ProviderIntent, Refund
from regiohub_shared.clock import real_now
from regiohub_shared.ids import new_id

_EXPIRE_AGAIN = timedelta(minutes=5)


async def plan_refund(
    session: AsyncSession, payment: Payment, cents: int, *, reason: str, document_id: UUID | None
) -> Refund | None:
    """Decide a refund, capped at what is left of the payment, and write down its call; None if nothing is left.

    The payment is locked.
    """
    known = await repo.list_refunds(session, [payment.id])
    requested = sum(refund.amount_cents for refund in known if refund.status != RefundStatus.FAILED)
    amount = refundable(payment.paid_cents, requested, cents)
    if not amount:
        return None
    now = real_now()
    refund = Refund(
        id=new_id(), payment_id=payment.id, document_id=document_id, reason=reason, amount_cents=amount,
        status=RefundStatus.CREATED, created_at=now, checked_at=now,
    )  # fmt: skip
    session.add(refund)
    await session.flush()
    session.add(refund_intent(payment, refund, attempt=1, now=now))
    await session.flush()
    return refund


def refund_intent(payment: Payment, refund: Refund, *, attempt: int, now: datetime) -> ProviderIntent:
    """Return the frozen request of a refund; a new attempt has a new key."""
    request = {
        "payment_intent": payment.provider_payment_id,
        "amount": refund.amount_cents,
        "reason": "requested_by_customer",
        "metadata": {
            "refund_id": str(refund.id),
            "payment_id": str(payment.id),
            "booking_id": str(payment.booking_id),
            "document_id": str(refund.document_id or ""),
        },
    }
    return ProviderIntent(
        id=new_id(), kind="refund", payment_id=payment.id, refund_id=refund.id, attempt=attempt,
        idempotency_key=f"re:{refund.id}:{attempt}", request=request, state="pending", next_at=now, created_at=now,
    )  # fmt: skip


async def plan_expiry(session: AsyncSession, payment: Payment) -> None:
    """Have a payment page closed: one open call at a time, a failed one is tried anew after five minutes."""
    now = real_now()
    last = await calls.last_intent(session, payment.id, "expire")
    if last is not None and (last.state == "pending" or now - last.created_at < _EXPIRE_AGAIN):
        return
    attempt = last.attempt + 1 if last else 1
    session.add(
        ProviderIntent(
            id=new_id(), kind="expire", payment_id=payment.id, refund_id=None, attempt=attempt,
            idempotency_key=f"ex:{payment.id}:{attempt}", request={}, state="pending", next_at=now, created_at=now,
        )
    )  # fmt: skip
    await session.flush()


def clearing(
    kind: str,
    source: str,
    operator: str,
    payment_id: UUID | None,
    *,
    cents: int,
    detail: str,
    now: datetime,
    currency: str = "EUR",
) -> ClearingItem:
    """Return a case for the list that people look at."""
    return ClearingItem(
        id=new_id(), kind=kind, source=source, operator=operator, payment_id=payment_id, amount_cents=cents,
        currency=currency, detail=detail[:500], created_at=now,
    )  # fmt: skip
