"""Open a payment page for a held booking: intent (commit) → call → outcome (commit)."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.document import ZONE, invoice_lines
from regiohub_billing.domain.payment import (
    NothingToPay,
    PaymentInFlight,
    PaymentRefused,
    PaymentStatus,
    ProviderUnavailable,
    SellerIncomplete,
    session_expiry,
)
from regiohub_billing.providers.port import Checkout, NoAnswer, Provider, Refused
from regiohub_billing.repo import bookings as repo
from regiohub_billing.repo import calls
from regiohub_billing.repo import ledger as ledger_repo
from regiohub_billing.tables import Charge, Payment, ProviderIntent
from regiohub_billing.usecases import intents, ledger, settling
from regiohub_shared.auth.principal import Principal
from regiohub_shared.clock import now as business_now
from regiohub_shared.clock import real_now
from regiohub_shared.contracts.booking import BookingChanged
from regiohub_shared.db.database import Database
from regiohub_shared.idempotency import Attempt, Stored, find_stored, store
from regiohub_shared.ids import new_id
from regiohub_shared.money import CURRENCY
from regiohub_shared.problem import Conflict, NotFound

_MIN_CENTS = 50
_ROUNDS = 3


class AmountTooSmall(Conflict):
    """The provider takes no payment below half a euro."""

    type = "amount-too-small"
    title = "This amount is too small for an online payment"


class BookingSource(Protocol):
    """The one allowed question to a neighbour: a booking whose fact has not arrived yet."""

    async def find(self, booking_id: UUID) -> BookingChanged | None:
        """Return the booking's snapshot, or None."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the pay form says."""

    booking_id: UUID
    buyer: dict[str, str]
    locale: Literal["de", "en"]


@dataclass(frozen=True, slots=True)
class Returns:
    """Where the provider sends the member afterwards; ``{booking_id}`` is filled in."""

    success_url: str
    cancel_url: str


@dataclass(frozen=True, slots=True)
class Shop:
    """What opening a payment needs besides the request."""

    db: Database
    provider: Provider
    bookings: BookingSource
    returns: Returns


@dataclass(frozen=True, slots=True)
class _Call:
    payment: Payment
    intent: ProviderIntent


@dataclass(frozen=True, slots=True)
class _Refresh:
    session_id: str


def payment_json(payment: Payment) -> dict[str, Any]:
    """Return a payment as its member sees it right after asking for it."""
    return {
        "id": str(payment.id),
        "booking_id": str(payment.booking_id),
        "status": payment.status,
        "checkout_url": payment.checkout_url or None,
        "amount_cents": payment.amount_cents,
        "currency": payment.currency,
        "expires_at": payment.expires_at.isoformat() if payment.expires_at else None,
    }


async def open_payment(shop: Shop, *, principal: Principal, order: Order, wanted: Attempt) -> Stored:
    """Return the open payment of a booking, making it if there is none: 201 if made, 200 if reopened."""
    await _know_booking(shop, order.booking_id)
    for _ in range(_ROUNDS):
        async with shop.db.session() as session:
            step = await _decide(session, shop, principal, order, wanted)
        if isinstance(step, Stored):
            return step
        if isinstance(step, _Call):
            return await _make(shop, step, wanted)
        await _refresh(shop, step.session_id)
    raise PaymentInFlight(headers={"Retry-After": "2"})


async def _know_booking(shop: Shop, booking_id: UUID) -> None:
    async with shop.db.session() as session:
        known = await repo.find_charge(session, booking_id)
    if known is not None:
        return
    fact = await shop.bookings.find(booking_id)
    if fact is None:
        raise NotFound("There is no such booking.")
    async with shop.db.session() as session:
        await settling.apply_booking(session, fact, now=business_now())


async def _decide(
    session: AsyncSession, shop: Shop, principal: Principal, order: Order, wanted: Attempt
) -> Stored | _Call | _Refresh:
    stored = await find_stored(session, wanted)
    if stored is not None and stored.status:
        return stored
    charge = await repo.lock_charge(session, order.booking_id)
    if charge is None or charge.sub != principal.sub:
        raise NotFound("There is no such booking.")
    payments = await repo.lock_payments(session, order.booking_id)
    known = next((p for p in payments if p.status in ("created", "open", "processing")), None)
    if known is None:
        await _check_payable(session, charge, payments)
    step = await (_open(session, shop, charge, order) if known is None else _reopen(session, known, order))
    if isinstance(step, Stored):
        await _answer(session, wanted, step, fresh=stored is None)
    elif isinstance(step, _Call) and stored is None:
        # Status 0: the call runs; a repeat with this key finds the payment's lease, not a second payment.
        await store(session, wanted, Stored(0, {"payment_id": str(step.payment.id)}), now=real_now())
    return step


async def _check_payable(session: AsyncSession, charge: Charge, payments: Any) -> None:
    """Refuse money that could not be kept or could not be put on an invoice."""
    verdicts = charge.verdicts
    paid = any(p.paid_cents and verdicts.get(str(p.id)) != "refund" for p in payments)
    lapsed = charge.hold_until is not None and charge.hold_until <= business_now()
    if charge.status != "held" or paid or lapsed or not charge.gross_cents:
        raise NothingToPay(status_of_booking=charge.status, paid=paid, lapsed=lapsed)
    if charge.gross_cents < _MIN_CENTS:
        raise AmountTooSmall(minimum_cents=_MIN_CENTS)
    if await ledger_repo.find_seller(session, charge.operator) is None:
        raise SellerIncomplete(operator=charge.operator)
    invoice_lines(ledger.items_of(charge), await ledger_repo.list_rules(session, charge.operator))


async def _open(session: AsyncSession, shop: Shop, charge: Charge, order: Order) -> _Call:
    now = real_now()
    payment = Payment(
        id=new_id(), booking_id=charge.booking_id, operator=charge.operator, sub=charge.sub,
        status=PaymentStatus.CREATED, amount_cents=charge.gross_cents, currency=CURRENCY,
        livemode=shop.provider.livemode, buyer=order.buyer, provider=shop.provider.name, created_at=now,
        checked_at=now, expires_at=session_expiry(_real_hold_end(charge, now), now),
    )  # fmt: skip
    session.add(payment)
    await session.flush()
    intent = ProviderIntent(
        id=new_id(), kind="checkout", payment_id=payment.id, refund_id=None, attempt=1,
        idempotency_key=f"cs:{payment.id}:1", request=_checkout_request(shop.returns, charge, payment, order),
        state="pending", next_at=now, created_at=now,
    )  # fmt: skip
    calls.lease(intent, now=now)
    session.add(intent)
    await session.flush()
    return _Call(payment, intent)


async def _reopen(session: AsyncSession, payment: Payment, order: Order) -> Stored | _Call | _Refresh:
    """Use the open payment; the newest buyer counts for the document."""
    now = real_now()
    payment.buyer = order.buyer
    if payment.status == PaymentStatus.OPEN:
        if payment.expires_at is None or payment.expires_at <= now + timedelta(seconds=5):
            return _Refresh(payment.provider_session_id)
        return Stored(200, payment_json(payment))
    if payment.status == PaymentStatus.PROCESSING:
        return Stored(200, payment_json(payment))
    intent = await calls.last_intent(session, payment.id, "checkout")
    if intent is None or intent.state != "pending" or (intent.leased_until and intent.leased_until > now):
        raise PaymentInFlight(headers={"Retry-After": "2"})
    calls.lease(intent, now=now)
    await session.flush()
    return _Call(payment, intent)


async def _answer(session: AsyncSession, wanted: Attempt, answer: Stored, *, fresh: bool) -> None:
    if fresh:
        await store(session, wanted, answer, now=real_now())
        return
    await calls.answer_key(
        session, sub=wanted.sub, route=wanted.route, key=wanted.key, status=answer.status, body=json.dumps(answer.body)
    )


async def _make(shop: Shop, step: _Call, wanted: Attempt) -> Stored:
    answer = await intents.call(shop.provider, step.intent, step.payment)
    async with shop.db.session() as session:
        payment = await intents.record(session, step.intent, answer)
        if payment is None or isinstance(answer, intents.Unknown) or payment.status == PaymentStatus.CREATED:
            # Still created after an answer: ours came late, another claim of the same call is under way.
            stored = None
        elif payment.status == PaymentStatus.FAILED:
            await calls.forget_key(session, sub=wanted.sub, route=wanted.route, key=wanted.key)
            stored = None
        else:
            stored = Stored(201, payment_json(payment))
            await _answer(session, wanted, stored, fresh=False)
    if isinstance(answer, intents.Refusal):
        raise PaymentRefused(answer.why)
    if isinstance(answer, Checkout) and payment is not None and payment.status == PaymentStatus.FAILED:
        raise PaymentRefused("The provider's page does not show what was ordered. Please try again.")
    if stored is None:
        raise ProviderUnavailable("Please try again in a moment.", retry_after_s=2)
    return stored


async def _refresh(shop: Shop, session_id: str) -> None:
    try:
        await intents.refresh_checkout(shop.db, shop.provider, session_id)
    except (NoAnswer, Refused) as error:
        raise ProviderUnavailable("Please try again in a moment.", retry_after_s=2) from error


def _real_hold_end(charge: Charge, now: datetime) -> datetime:
    """The hold ends in business time, the provider lives in real time."""
    return (charge.hold_until or now) - (business_now() - now)


def _checkout_request(returns: Returns, charge: Charge, payment: Payment, order: Order) -> dict[str, Any]:
    # A restore finds by these whose payment it was, should our own books have lost it.
    ids = {"payment_id": str(payment.id), "booking_id": str(charge.booking_id), "operator": charge.operator}
    expires_at = payment.expires_at or real_now()
    return {
        "mode": "payment",
        "ui_mode": "hosted_page",
        "locale": order.locale,
        "client_reference_id": str(payment.id),
        "line_items": [
            _line_item(item.text, item.start, item.end, item.gross_cents) for item in ledger.items_of(charge)
        ],
        # Cards only: a delayed method would hold the door shut for days.
        "allowed_payment_method_types": ["card"],
        "expires_at": int(expires_at.timestamp()) + 1,
        "success_url": returns.success_url.format(booking_id=charge.booking_id),
        "cancel_url": returns.cancel_url.format(booking_id=charge.booking_id),
        "metadata": ids,
        "payment_intent_data": {"metadata": ids, "description": f"RegioHub {charge.code}"},
    }


def _line_item(text: str, start: datetime, end: datetime, gross_cents: int) -> dict[str, Any]:
    begins, ends = start.astimezone(ZONE), end.astimezone(ZONE)
    until = f"{ends:%H:%M}" if begins.date() == ends.date() else f"{ends:%d.%m.%Y %H:%M}"
    name = f"{text[:200]}, {begins:%d.%m.%Y %H:%M}–{until}"
    price = {"currency": CURRENCY.lower(), "unit_amount": gross_cents, "product_data": {"name": name}}
    return {"price_data": price, "quantity": 1}
