"""Bring a booking's money to where its newest fact and its payments say it must be.

Every step is done at most once and each is implied by the snapshot, so facts, webhooks and repeats may come in any
order: paid and accepted and confirmed → invoice; cancelled → Stornorechnung, then refund; verdict ``refund`` without
an invoice → the prepayment goes back.
"""

from datetime import datetime
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.document import CANCELLATION, INVOICE
from regiohub_billing.domain.payment import (
    RefundStatus,
    SellerIncomplete,
    refundable,
)
from regiohub_billing.domain.tax import NoTaxRule
from regiohub_billing.repo import bookings as repo
from regiohub_billing.repo import ledger as ledger_repo
from regiohub_billing.tables import Charge, ClearingItem, Payment, ProviderIntent, Refund
from regiohub_shared.clock import real_now
from regiohub_shared.contracts.booking import BookingChanged
from regiohub_shared.ids import new_id
from regiohub_shared.problem import Malformed

from . import ledger


class AmountsDiffer(Malformed):
    """A booking's lines do not add up to its price."""

    type = "amounts-differ"
    title = "The lines do not add up to the price"


async def apply_booking(session: AsyncSession, fact: BookingChanged, *, now: datetime) -> None:
    """Take over a booking's newest snapshot and settle what it implies; an older one changes nothing."""
    if sum(line.gross_cents for line in fact.lines) != fact.gross_cents:
        raise AmountsDiffer
    values = _charge_values(fact)
    if not await repo.add_charge(session, values | {"problem": ""}):
        charge = await repo.lock_charge(session, fact.booking_id)
        if charge is None or charge.version >= fact.version:
            return
        # The member of a booking never changes; an erased one must not come back with a later fact.
        for name in values.keys() - {"booking_id", "sub"}:
            setattr(charge, name, values[name])
    await session.flush()
    await settle(session, booking_id=fact.booking_id, now=now)


def _charge_values(fact: BookingChanged) -> dict[str, object]:
    copied = fact.model_dump(
        include={
            "booking_id", "version", "code", "sub", "hub", "operator", "status", "gross_cents", "fee_cents",
            "hold_until", "confirmed_at", "cancelled_at",
        }
    )  # fmt: skip
    return copied | {
        "lines": [line.model_dump(mode="json") for line in fact.lines],
        "verdicts": {str(item.payment_id): item.verdict for item in fact.payments},
    }


async def settle(session: AsyncSession, *, booking_id: UUID, now: datetime) -> None:
    """Do every step that is due for a booking's payments; what cannot be done yet is noted and tried again."""
    charge = await repo.lock_charge(session, booking_id)
    if charge is None:
        return
    payments = await repo.lock_payments(session, booking_id)
    try:
        for payment in payments:
            await _settle_payment(session, charge, payment, now=now)
    except (SellerIncomplete, NoTaxRule) as problem:
        await _note_stuck(session, charge, problem.type, now=now)
        return
    if charge.problem:
        charge.problem = ""
        await repo.resolve_clearing(session, "not_invoiced", str(booking_id), now=now)
    await session.flush()


async def _settle_payment(session: AsyncSession, charge: Charge, payment: Payment, *, now: datetime) -> None:
    if not payment.paid_cents:
        return
    verdict = charge.verdicts.get(str(payment.id))
    invoice = await ledger_repo.find_document(session, payment.id, INVOICE)
    if invoice is None and verdict == "accepted" and charge.confirmed_at is not None:
        invoice = await ledger.issue_invoice(session, charge, payment, now=now)
    if invoice is None:
        if verdict == "refund":
            await _refund(session, payment, payment.paid_cents, reason="lost_slot", document_id=None)
        return
    if charge.cancelled_at is not None or verdict == "refund":
        await _take_back(session, charge, payment, now=now)


async def _take_back(session: AsyncSession, charge: Charge, payment: Payment, *, now: datetime) -> None:
    """The credit document first, then the money."""
    invoice = await ledger_repo.find_document(session, payment.id, INVOICE)
    credit = await ledger_repo.find_document(session, payment.id, CANCELLATION)
    if credit is None and invoice is not None and charge.fee_cents < invoice.gross_cents:
        credit = await ledger.issue_cancellation(session, charge, payment, invoice, now=now)
    if credit is not None:
        await _refund(session, payment, credit.gross_cents, reason="cancelled", document_id=credit.id)


async def _refund(
    session: AsyncSession, payment: Payment, cents: int, *, reason: str, document_id: UUID | None
) -> None:
    """Decide a refund once per reason, capped at what is left, and write down the call that makes it."""
    known = await repo.list_refunds(session, [payment.id])
    if any(refund.reason == reason for refund in known):
        return
    requested = sum(refund.amount_cents for refund in known if refund.status != RefundStatus.FAILED)
    amount = refundable(payment.paid_cents, requested, cents)
    if not amount:
        return
    now = real_now()
    refund = Refund(
        id=new_id(), payment_id=payment.id, document_id=document_id, reason=reason, amount_cents=amount,
        status=RefundStatus.CREATED, created_at=now, checked_at=now,
    )  # fmt: skip
    session.add(refund)
    await session.flush()
    session.add(refund_intent(payment, refund, attempt=1, now=now))
    await session.flush()


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


async def _note_stuck(session: AsyncSession, charge: Charge, why: str, *, now: datetime) -> None:
    charge.problem = why
    item = clearing(
        "not_invoiced", str(charge.booking_id), charge.operator, None, cents=charge.gross_cents, detail=why, now=now
    )
    await repo.note_clearing(session, item)
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
