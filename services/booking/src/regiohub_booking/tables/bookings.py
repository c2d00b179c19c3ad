"""Bookings with their lines, what they occupy, what was decided about money, and their mails."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import INT8RANGE, JSONB, TSTZRANGE
from sqlmodel import Field

from regiohub_booking.tables.base import Base, Stamp


class Booking(Base, table=True):
    """One booking of one member in one hub; no stamp is ever cleared."""

    __tablename__ = "booking"
    __table_args__ = (
        UniqueConstraint("code"),
        CheckConstraint(
            "status IN ('requested', 'held', 'confirmed', 'checked_in', 'completed', 'rejected', 'expired', "
            "'cancelled', 'no_show')",
            name="status",
        ),
        CheckConstraint("status NOT IN ('held', 'requested') OR hold_until IS NOT NULL", name="hold_has_end"),
        CheckConstraint(
            "status NOT IN ('confirmed', 'checked_in', 'completed') OR confirmed_at IS NOT NULL", name="confirmed"
        ),
        CheckConstraint("status <> 'cancelled' OR cancelled_at IS NOT NULL", name="cancelled"),
        CheckConstraint("starts_at < ends_at", name="order"),
        CheckConstraint("gross_cents >= 0 AND fee_cents >= 0 AND version > 0", name="cents"),
        Index("ix_booking_sub_id", "sub", "id"),
        Index("ix_booking_hold_until", "hold_until", postgresql_where=text("status IN ('held', 'requested')")),
        Index("ix_booking_ends_at", "ends_at", postgresql_where=text("status IN ('confirmed', 'checked_in')")),
    )

    id: UUID = Field(primary_key=True)
    code: str = Field(sa_type=Text)
    sub: str = Field(sa_type=Text)
    hub: str = Field(sa_type=Text, foreign_key="hub.slug")
    operator: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    version: int = 1
    gross_cents: int = Field(sa_type=Integer)
    fee_cents: int = Field(default=0, sa_type=Integer)
    starts_at: datetime = Field(sa_type=Stamp)
    ends_at: datetime = Field(sa_type=Stamp)
    created_at: datetime = Field(sa_type=Stamp)
    held_at: datetime | None = Field(default=None, sa_type=Stamp)
    hold_until: datetime | None = Field(default=None, sa_type=Stamp)
    confirmed_at: datetime | None = Field(default=None, sa_type=Stamp)
    cancelled_at: datetime | None = Field(default=None, sa_type=Stamp)
    cancelled_by: str | None = Field(default=None, sa_type=Text)
    expired_at: datetime | None = Field(default=None, sa_type=Stamp)
    checked_in_at: datetime | None = Field(default=None, sa_type=Stamp)
    completed_at: datetime | None = Field(default=None, sa_type=Stamp)
    moved_at: datetime | None = Field(default=None, sa_type=Stamp)
    moved_by: str | None = Field(default=None, sa_type=Text)


class Line(Base, table=True):
    """One resource and slot of a booking; it may be moved, its price stays (no right to change it)."""

    __tablename__ = "line"
    __table_args__ = (
        UniqueConstraint("booking_id", "position"),
        Index("ix_line_resource_id_starts_at", "resource_id", "starts_at"),
        CheckConstraint("starts_at < ends_at", name="order"),
        CheckConstraint("gross_cents >= 0", name="cents"),
    )

    id: UUID = Field(primary_key=True)
    booking_id: UUID = Field(foreign_key="booking.id")
    position: int
    resource_id: UUID = Field(foreign_key="resource.id")
    resource_name: str = Field(sa_type=Text)
    starts_at: datetime = Field(sa_type=Stamp)
    ends_at: datetime = Field(sa_type=Stamp)
    gross_cents: int = Field(sa_type=Integer)
    tax_code: str = Field(sa_type=Text)
    derivation: list[dict[str, Any]] = Field(sa_type=JSONB)


class Occupancy(Base, table=True):
    """Who holds a leaf when. The exclusion constraint ``occupancy_no_overlap`` stands in the migration.

    ``resource_id`` has no foreign key: resources are never deleted, and each check would lock a row on the hot path.
    """

    __tablename__ = "occupancy"
    __table_args__ = (
        CheckConstraint("num_nonnulls(line_id, closure_id) = 1", name="one_owner"),
        CheckConstraint("NOT isempty(span) AND NOT lower_inf(span) AND NOT upper_inf(span)", name="span"),
        CheckConstraint("NOT isempty(lane)", name="lane"),
    )
    model_config: ClassVar[Any] = {"arbitrary_types_allowed": True}

    id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_args=(Identity(always=True),))
    line_id: UUID | None = Field(default=None, index=True, foreign_key="line.id")
    closure_id: UUID | None = Field(default=None, index=True, foreign_key="closure.id")
    resource_id: UUID
    span: Any = Field(sa_type=TSTZRANGE)
    lane: Any = Field(sa_type=INT8RANGE)


class PaymentVerdict(Base, table=True):
    """Last known state of a payment and what was decided; NULL means: wait."""

    __tablename__ = "payment_verdict"
    __table_args__ = (
        CheckConstraint("verdict IN ('accepted', 'refund')", name="verdict"),
        Index("uq_payment_verdict_accepted", "booking_id", unique=True, postgresql_where=text("verdict = 'accepted'")),
    )

    payment_id: UUID = Field(primary_key=True)
    booking_id: UUID = Field(index=True, foreign_key="booking.id")
    version: int = Field(sa_type=BigInteger)
    paid_cents: int = Field(sa_type=Integer)
    refunded_cents: int = Field(sa_type=Integer)
    verdict: str | None = Field(default=None, sa_type=Text)
    decided_at: datetime | None = Field(default=None, sa_type=Stamp)


class MailJob(Base, table=True):
    """A mail to send, made in the transaction of its cause; the lease is real time."""

    __tablename__ = "mail_job"
    __table_args__ = (
        CheckConstraint("kind IN ('confirmed', 'moved', 'cancelled')", name="kind"),
        Index(
            "uq_mail_job_booking_id_kind", "booking_id", "kind", unique=True, postgresql_where=text("kind <> 'moved'")
        ),
        Index("uq_mail_job_moved", "booking_id", "sequence", unique=True, postgresql_where=text("kind = 'moved'")),
        Index("ix_mail_job_due", "next_at", postgresql_where=text("sent_at IS NULL AND dead_at IS NULL")),
    )

    id: UUID = Field(primary_key=True)
    booking_id: UUID = Field(foreign_key="booking.id")
    kind: str = Field(sa_type=Text)
    sequence: int
    """iCalendar's SEQUENCE: the booking's version when the mail was caused."""
    attempts: int = 0
    next_at: datetime = Field(sa_type=Stamp)
    leased_until: datetime | None = Field(default=None, sa_type=Stamp)
    sent_at: datetime | None = Field(default=None, sa_type=Stamp)
    dead_at: datetime | None = Field(default=None, sa_type=Stamp)
    last_error: str = Field(default="", sa_type=Text)
