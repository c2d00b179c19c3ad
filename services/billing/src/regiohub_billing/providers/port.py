"""What billing wants of a payment provider, whoever it is.

Methods that change something take the frozen request and its idempotency key; all raise :class:`Refused` or
:class:`NoAnswer`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from regiohub_billing.domain.payment import PaymentStatus, Received, RefundStatus


class Refused(Exception):
    """The provider refused for good: nothing has happened and nothing will under this key."""


class NoAnswer(Exception):
    """Whether it happened is unknown; only the same request under the same key may follow."""


class NotFoundThere(Refused):
    """The provider knows no such object."""


class BadSignature(Exception):
    """The webhook was not signed with our secret, or too long ago."""


def uuid_of(text: str) -> UUID | None:
    """Return our id from the provider's metadata, None for anything else."""
    try:
        return UUID(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Checkout:
    """A payment page as the provider sees it."""

    session_id: str
    url: str
    status: PaymentStatus
    provider_payment_id: str
    received: Received
    expires_at: datetime
    operator: str = ""
    """Whose money it is, from the metadata; empty on pages from before that stood there."""


@dataclass(frozen=True, slots=True)
class RefundSeen:
    """A refund as the provider sees it."""

    provider_refund_id: str
    provider_payment_id: str
    refund_id: str
    """Our id from the metadata; empty if it was not made by us."""
    status: RefundStatus
    amount_cents: int
    currency: str
    failure: str
    payment_id: str = ""
    """Our payment's id from the metadata; empty if it was not made by us."""


@dataclass(frozen=True, slots=True)
class DisputeSeen:
    """A payer's bank that takes money back, as the provider sees it."""

    dispute_id: str
    provider_payment_id: str
    status: str
    """In the provider's own word."""
    reason: str
    amount_cents: int
    currency: str
    answer_by: datetime | None
    """Until when the provider takes evidence."""


@dataclass(frozen=True, slots=True)
class Event:
    """A verified webhook, cut down to what triggers work: no names, no mail addresses."""

    id: str
    type: str
    object_id: str
    object_kind: Literal["checkout", "payment", "refund", "dispute", "other"]
    payment_id: str
    """Our id from the object's metadata, if it is there."""
    created_at: datetime
    api_version: str
    livemode: bool


class Provider(Protocol):
    """The seam for Stripe, and later for others."""

    name: str
    livemode: bool

    async def create_checkout(self, request: dict[str, Any], key: str) -> Checkout:
        """Open a payment page."""

    async def get_checkout(self, session_id: str) -> Checkout:
        """Return a payment page as it is now."""

    async def expire_checkout(self, session_id: str, key: str) -> Checkout:
        """Close a payment page; returns it as it is, which may be paid already."""

    async def find_checkout(self, payment_id: str, since: datetime) -> Checkout | None:
        """Look for our id among the pages made since then."""

    async def list_checkouts(self, since: datetime) -> list[Checkout]:
        """Return the pages made since then that name a payment of ours, oldest first: the provider's own books."""

    async def list_refunds(self, since: datetime) -> list[RefundSeen]:
        """Return the refunds made since then, whoever made them, oldest first."""

    async def list_disputes(self, since: datetime) -> list[DisputeSeen]:
        """Return the disputes opened since then, oldest first."""

    async def create_refund(self, request: dict[str, Any], key: str) -> RefundSeen:
        """Give money back."""

    async def get_refund(self, provider_refund_id: str) -> RefundSeen:
        """Return a refund as it is now."""

    async def find_refund(self, provider_payment_id: str, refund_id: str) -> RefundSeen | None:
        """Look for our id among the refunds of a payment."""

    async def get_dispute(self, dispute_id: str) -> DisputeSeen:
        """Return a dispute as it is now."""

    def read_event(self, body: bytes, signature: str) -> Event:
        """Verify a webhook's raw body; raises :class:`BadSignature` or ``ValueError``."""

    async def close(self) -> None:
        """Let go of connections."""
