"""States of payments and refunds. They only move forward: a late or repeated message never takes money back."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from regiohub_shared.problem import Conflict, Unavailable

MIN_SESSION_AHEAD = timedelta(minutes=31)
"""Stripe refuses a Checkout session that expires in less than 30 minutes; one minute is for the way."""

LONGEST_SESSION = timedelta(hours=23)
"""Stripe refuses more than 24 hours."""


class PaymentStatus(StrEnum):
    """Where a payment stands."""

    CREATED = "created"
    """Our row exists, the provider has not answered yet."""
    OPEN = "open"
    """The member can pay on the provider's page."""
    PROCESSING = "processing"
    """The member has acted, the money is on its way."""
    FAILED = "failed"
    """The provider refused for good; a new payment may be started."""
    EXPIRED = "expired"
    """The session ended without money; money that arrives nevertheless still counts."""
    SUCCEEDED = "succeeded"
    """The money is there. Never left; refunds are counted beside it."""


class RefundStatus(StrEnum):
    """Where a refund stands."""

    CREATED = "created"
    """Decided by us, the provider has not answered yet."""
    PENDING = "pending"
    """The provider has accepted it."""
    SUCCEEDED = "succeeded"
    """The money is on its way back."""
    FAILED = "failed"
    """It came back or was refused; people must look. Final, even after ``succeeded``."""


_DISPUTE_OVER = ("won", "lost", "warning_closed", "prevented")


def dispute_text(status: str, reason: str, provider_payment_id: str, answer_by: datetime | None) -> str:
    """Say how a dispute stands; the status comes first, so that :func:`is_dispute_over` can read it back."""
    until = f", answer by {answer_by:%Y-%m-%d}" if answer_by and status not in _DISPUTE_OVER else ""
    return f"{status}: {reason or 'no reason given'}, payment {provider_payment_id or 'unknown'}{until}"


def is_dispute_over(text: str) -> bool:
    """Say whether a text of :func:`dispute_text` tells how the dispute ended."""
    return text.partition(":")[0] in _DISPUTE_OVER


_PAYMENT_RANK = {status: rank for rank, status in enumerate(PaymentStatus)}
_REFUND_RANK = {status: rank for rank, status in enumerate(RefundStatus)}

UNPAID = (PaymentStatus.CREATED, PaymentStatus.OPEN, PaymentStatus.PROCESSING)
"""At most one payment of a booking is in one of these."""


class NothingToPay(Conflict):
    """The booking is not waiting for money: paid, ended, lapsed or free."""

    type = "nothing-to-pay"
    title = "There is nothing to pay for this booking"


class PaymentInFlight(Conflict):
    """The same payment is being opened at the provider right now."""

    type = "payment-in-flight"
    title = "This payment is being opened right now"


class PaymentRefused(Conflict):
    """The payment provider refused the request for good."""

    type = "payment-refused"
    title = "The payment provider refused this payment"


class ProviderUnavailable(Unavailable):
    """The provider's answer is not known; the same request may be sent again."""

    type = "payment-provider-unavailable"
    title = "The payment provider does not answer"


class SellerIncomplete(Conflict):
    """The operator cannot issue invoices yet, so it may not take money."""

    type = "seller-incomplete"
    title = "This operator cannot take payments yet"


def next_status(current: PaymentStatus, seen: PaymentStatus) -> PaymentStatus:
    """Return the later of two payment states; older news changes nothing."""
    return max(current, seen, key=_PAYMENT_RANK.__getitem__)


def next_refund_status(current: RefundStatus, seen: RefundStatus) -> RefundStatus:
    """Return the later of two refund states."""
    return max(current, seen, key=_REFUND_RANK.__getitem__)


def session_expiry(hold_end: datetime, now: datetime) -> datetime:
    """Return when the Checkout session ends: with the hold, but within what the provider accepts.

    Both times are real time, in UTC.
    """
    return min(max(hold_end, now + MIN_SESSION_AHEAD), now + LONGEST_SESSION)


@dataclass(frozen=True, slots=True)
class Received:
    """What a provider says about one payment, in the provider's own figures."""

    payment_id: str
    booking_id: str
    amount_cents: int
    currency: str
    livemode: bool


def mismatches(expected: Received, seen: Received) -> list[str]:
    """Name the fields in which the provider's figures differ from ours; an empty list means they match."""
    fields = ("payment_id", "booking_id", "amount_cents", "currency", "livemode")
    return [name for name in fields if getattr(expected, name) != getattr(seen, name)]


def refundable(paid_cents: int, requested_cents: int, wanted_cents: int) -> int:
    """Cap a refund at what was paid and is not being refunded already, in cents (never negative)."""
    return max(0, min(wanted_cents, paid_cents - requested_cents))
