"""Bring a booking's money to where its newest fact and its payments say it must be.

Every step is done at most once and each is implied by the snapshot, so facts, webhooks and repeats may come in any
order: paid and accepted and confirmed → invoice; cancelled → Stornorechnung, then refund; verdict ``refund`` without
an invoice → the prepayment goes back.
"""

from datetime import datetime
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.document import CANCELLATION, INVOICE
from regiohub_billing.domain.payment import SellerIncomplete
from regiohub_billing.domain.tax import NoTaxRule
from regiohub_billing.repo import bookings as repo
from regiohub_billing.repo import ledger as ledger_repo
from regiohub_billing.tables import Charge, Document, Payment
from regiohub_billing.usecases import ledger
from regiohub_billing.usecases.planning import clearing, plan_refund
from regiohub_shared.contracts.booking import BookingChanged
from regiohub_shared.problem import Malformed


class AmountsDiffer(Malformed):
    """A booking's lines do not add up to its price."""

    type = "amounts-differ"
    title = "The lines do not add up to the price"


class TermsChanged(Malformed):
    """A later fact has another price or seller than the one that was charged; a booking never changes these."""

    type = "terms-changed"
    title = "The booking was agreed on other terms"


_AGREED = ("code", "hub", "operator", "gross_cents")
"""Frozen for the app role too."""


async def apply_booking(session: AsyncSession, fact: BookingChanged, *, now: datetime) -> None:
    """Take over a booking's newest snapshot and settle what it implies; an older one changes nothing."""
    if sum(line.gross_cents for line in fact.lines) != fact.gross_cents:
        raise AmountsDiffer
    values = _charge_values(fact)
    if not await repo.add_charge(session, values | {"problem": ""}):
        charge = await repo.lock_charge(session, fact.booking_id)
        if charge is None or charge.version >= fact.version:
            return
        if any(getattr(charge, name) != values[name] for name in _AGREED):
            raise TermsChanged
        # The member of a booking never changes; an erased one must not come back with a later fact.
        for name in values.keys() - {"booking_id", "sub", *_AGREED}:
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
        # The hub stands at each line, because a line of a document says on its own where something was supplied.
        "lines": [line.model_dump(mode="json") | {"hub_name": fact.hub_name} for line in fact.lines],
        "verdicts": {str(item.payment_id): item.verdict for item in fact.payments},
    }


async def settle(session: AsyncSession, *, booking_id: UUID, now: datetime) -> None:
    """Do every step that is due for a booking's payments; what cannot be done yet is noted and tried again."""
    charge = await repo.lock_charge(session, booking_id)
    if charge is None:
        await _give_back_unknown(session, booking_id)
        return
    problem = ""
    for payment in await repo.lock_payments(session, booking_id):
        try:
            await _settle_payment(session, charge, payment, now=now)
        except (SellerIncomplete, NoTaxRule) as found:
            # One payment that cannot be invoiced must not hold back the money of another.
            problem = found.type
    if problem != charge.problem:
        await _note_problem(session, charge, problem, now=now)
    await session.flush()


async def _give_back_unknown(session: AsyncSession, booking_id: UUID) -> None:
    """Give back what was paid for a booking that nobody has: only a restore can have lost it."""
    for payment in await repo.lock_payments(session, booking_id):
        if payment.paid_cents:
            await _refund(session, payment, payment.paid_cents, reason="lost_slot", document_id=None)


async def _settle_payment(session: AsyncSession, charge: Charge, payment: Payment, *, now: datetime) -> None:
    if not payment.paid_cents:
        return
    verdict = charge.verdicts.get(str(payment.id))
    invoice = await ledger_repo.find_document(session, payment.id, INVOICE)
    if invoice is None and verdict == "accepted" and charge.confirmed_at is not None:
        invoice = await _invoice(session, charge, payment, now=now)
    if invoice is None:
        if verdict == "refund":
            await _refund(session, payment, payment.paid_cents, reason="lost_slot", document_id=None)
        return
    if charge.cancelled_at is not None or verdict == "refund":
        await _take_back(session, charge, payment, now=now)


async def _invoice(session: AsyncSession, charge: Charge, payment: Payment, *, now: datetime) -> Document | None:
    """Issue the invoice; what cannot be invoiced and was cancelled without a fee goes back as a prepayment instead.

    Once it has gone back like that, no invoice may follow: it would bill money that is not there.
    """
    if any(refund.document_id is None for refund in await repo.list_refunds(session, [payment.id])):
        return None
    try:
        return await ledger.issue_invoice(session, charge, payment, now=now)
    except (SellerIncomplete, NoTaxRule):
        if charge.cancelled_at is None or charge.fee_cents:
            raise
        await _refund(session, payment, payment.paid_cents, reason="cancelled", document_id=None)
        return None


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
    """Once per reason; one that failed is a case for people, who may try it again."""
    known = await repo.list_refunds(session, [payment.id])
    if not any(refund.reason == reason for refund in known):
        await plan_refund(session, payment, cents, reason=reason, document_id=document_id)


async def _note_problem(session: AsyncSession, charge: Charge, why: str, *, now: datetime) -> None:
    """Open a case when settling gets stuck, close it when it runs again."""
    charge.problem, source = why, str(charge.booking_id)
    if not why:
        await repo.resolve_clearing(session, "not_invoiced", source, now=now)
        return
    item = clearing("not_invoiced", source, charge.operator, None, cents=charge.gross_cents, detail=why, now=now)
    await repo.note_clearing(session, item)
