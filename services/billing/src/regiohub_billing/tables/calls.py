"""Calls to the provider, and its webhooks."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from regiohub_billing.tables.base import UTC_TIME, Base


class ProviderIntent(Base, table=True):
    """A provider call that we decided to make: the exact request, a lease, an outcome.

    The idempotency key stays the same while the answer is unknown; a definite refusal ends the intent, and a new
    attempt is a new row with the next number. ``fence`` counts claims: an outcome counts only for its own claim.
    """

    __tablename__ = "provider_intent"
    __table_args__ = (
        Index("ix_provider_intent_due", "next_at", postgresql_where=text("state = 'pending'")),
        Index("ix_provider_intent_payment_id", "payment_id"),
        UniqueConstraint("idempotency_key"),
    )

    id: UUID = Field(primary_key=True)
    kind: str = Field(sa_type=Text)
    payment_id: UUID = Field(sa_column_args=(ForeignKey("payment.id"),))
    refund_id: UUID | None = Field(sa_column_args=(ForeignKey("refund.id"),))
    attempt: int
    idempotency_key: str = Field(sa_type=Text)
    request: dict[str, Any] = Field(sa_type=JSONB)
    state: str = Field(sa_type=Text)
    fence: int = 0
    leased_until: datetime | None = Field(default=None, sa_type=UTC_TIME)
    next_at: datetime = Field(sa_type=UTC_TIME)
    first_called_at: datetime | None = Field(default=None, sa_type=UTC_TIME)
    created_at: datetime = Field(sa_type=UTC_TIME)
    finished_at: datetime | None = Field(default=None, sa_type=UTC_TIME)
    last_error: str = Field(default="", sa_type=Text)


class StripeEvent(Base, table=True):
    """Webhook inbox: a trigger, never the truth."""

    __tablename__ = "stripe_event"
    __table_args__ = (Index("ix_stripe_event_due", "next_at", postgresql_where=text("handled_at IS NULL")),)

    id: str = Field(primary_key=True, sa_type=Text)
    type: str = Field(sa_type=Text)
    object_id: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=UTC_TIME)
    api_version: str = Field(sa_type=Text)
    livemode: bool
    payload: dict[str, Any] = Field(sa_type=JSONB)
    received_at: datetime = Field(sa_type=UTC_TIME)
    handled_at: datetime | None = Field(default=None, sa_type=UTC_TIME)
    attempts: int = 0
    leased_until: datetime | None = Field(default=None, sa_type=UTC_TIME)
    next_at: datetime = Field(sa_type=UTC_TIME)
    last_error: str = Field(default="", sa_type=Text)
