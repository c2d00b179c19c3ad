"""What bookings cost, what was paid for them and what went back."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from regiohub_billing.tables.base import UTC_TIME, Base


class Charge(Base, table=True):
    """What a booking costs: our copy of its newest fact. ``erased`` bookings keep no member."""

    __tablename__ = "charge"
    __table_args__ = (Index("ix_charge_stuck", "booking_id", postgresql_where=text("problem <> ''")),)

    booking_id: UUID = Field(primary_key=True)
    version: int = Field(sa_type=BigInteger)
    code: str = Field(sa_type=Text)
    sub: str = Field(sa_type=Text, index=True)
    hub: str = Field(sa_type=Text)
    operator: str = Field(sa_type=Text, index=True)
    status: str = Field(sa_type=Text)
    gross_cents: int = Field(sa_type=BigInteger)
    fee_cents: int = Field(sa_type=BigInteger)
    hold_until: datetime | None = Field(sa_type=UTC_TIME)
    confirmed_at: datetime | None = Field(sa_type=UTC_TIME)
    cancelled_at: datetime | None = Field(sa_type=UTC_TIME)
    lines: list[dict[str, Any]] = Field(sa_type=JSONB)
    verdicts: dict[str, str] = Field(sa_type=JSONB)
    """Payment id → ``accepted`` or ``refund``."""
    problem: str = Field(default="", sa_type=Text)
    """Why the last settling stopped; the worker tries again."""


class Payment(Base, table=True):
    """One attempt to be paid for one booking; at most one is open at a time (partial unique index)."""

    __tablename__ = "payment"
    __table_args__ = (
        Index(
            "uq_payment_open",
            "booking_id",
            unique=True,
            postgresql_where=text("status IN ('created', 'open', 'processing')"),
        ),
        Index("ix_payment_booking_id", "booking_id"),
        Index("ix_payment_provider_payment_id", "provider_payment_id"),
        Index("ix_payment_status", "status"),
    )

    id: UUID = Field(primary_key=True)
    booking_id: UUID
    operator: str = Field(sa_type=Text)
    sub: str = Field(sa_type=Text, index=True)
    version: int = Field(default=0, sa_type=BigInteger)
    status: str = Field(sa_type=Text)
    amount_cents: int = Field(sa_type=BigInteger)
    paid_cents: int = Field(default=0, sa_type=BigInteger)
    refunded_cents: int = Field(default=0, sa_type=BigInteger)
    currency: str = Field(sa_type=Text)
    livemode: bool
    buyer: dict[str, Any] = Field(sa_type=JSONB)
    provider: str = Field(sa_type=Text)
    provider_session_id: str = Field(default="", sa_type=Text)
    provider_payment_id: str = Field(default="", sa_type=Text)
    checkout_url: str = Field(default="", sa_type=Text)
    expires_at: datetime | None = Field(default=None, sa_type=UTC_TIME)
    """End of the provider's page, real time."""
    paid_at: datetime | None = Field(default=None, sa_type=UTC_TIME)
    created_at: datetime = Field(sa_type=UTC_TIME)
    checked_at: datetime = Field(sa_type=UTC_TIME)
    """When the provider was last asked, real time."""


class Refund(Base, table=True):
    """Money that goes back for one payment; the document comes first."""

    __tablename__ = "refund"
    __table_args__ = (
        Index("ix_refund_payment_id", "payment_id"),
        Index("ix_refund_provider_refund_id", "provider_refund_id"),
        Index("ix_refund_waiting", "checked_at", postgresql_where=text("status = 'pending'")),
        Index("ix_refund_recent", "created_at", "checked_at", postgresql_where=text("status = 'succeeded'")),
    )

    id: UUID = Field(primary_key=True)
    payment_id: UUID = Field(sa_column_args=(ForeignKey("payment.id"),))
    document_id: UUID | None = Field(sa_column_args=(ForeignKey("document.id"),))
    reason: str = Field(sa_type=Text)
    amount_cents: int = Field(sa_type=BigInteger)
    status: str = Field(sa_type=Text)
    provider_refund_id: str = Field(default="", sa_type=Text)
    failure: str = Field(default="", sa_type=Text)
    created_at: datetime = Field(sa_type=UTC_TIME)
    settled_at: datetime | None = Field(default=None, sa_type=UTC_TIME)
    checked_at: datetime = Field(sa_type=UTC_TIME)
