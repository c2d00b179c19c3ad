"""The columns of booking's database. Constraints that SQLModel cannot say stand in the migrations."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import INT8RANGE, JSONB, TSTZRANGE
from sqlmodel import Field, SQLModel

from regiohub_shared.db.base import new_registry
from regiohub_shared.events.inbox import InboxRow
from regiohub_shared.events.outbox import OutboxDelivery, OutboxRow
from regiohub_shared.idempotency import IdempotencyRow


class Base(SQLModel, registry=new_registry()):
    """Booking's own registry and metadata."""


class Stamp(DateTime):
    """``timestamptz``."""

    cache_ok = True

    def __init__(self) -> None:
        """Every stamp has a zone."""
        super().__init__(timezone=True)


class Outbox(Base, OutboxRow, table=True):
    """Facts that leave with the change."""

    __table_args__ = (Index("ix_outbox_subject", "subject"),)


class Delivery(Base, OutboxDelivery, table=True):
    """One row per fact and subscriber."""

    __table_args__ = (
        # Without dead_at in its condition: readiness counts dead letters too.
        Index("ix_outbox_delivery_due", "subscriber", "next_at", postgresql_where=text("delivered_at IS NULL")),
    )


class Inbox(Base, InboxRow, table=True):
    """Facts that were applied."""


class IdempotencyKey(Base, IdempotencyRow, table=True):
    """Responses of earlier POSTs."""

    __table_args__ = (Index("ix_idempotency_key_created_at", "created_at"),)


class Operator(Base, table=True):
    """Legal entity that runs hubs and is paid."""

    __tablename__ = "operator"

    slug: str = Field(primary_key=True, sa_type=Text)
    name: str = Field(sa_type=Text)
    version: int = 1


class Hub(Base, table=True):
    """A site; opening hours of its resources are wall time in ``time_zone``."""

    __tablename__ = "hub"

    slug: str = Field(primary_key=True, sa_type=Text)
    operator: str = Field(sa_type=Text, index=True, foreign_key="operator.slug")
    name: str = Field(sa_type=Text)
    street: str = Field(default="", sa_type=Text)
    postcode: str = Field(default="", sa_type=Text)
    city: str = Field(default="", sa_type=Text)
    door_hint: str = Field(default="", sa_type=Text)
    time_zone: str = Field(default="Europe/Berlin", sa_type=Text)
    version: int = 1


class Resource(Base, table=True):
    """What can be booked. With rows in ``resource_part`` it is a whole and occupies its parts, else it is a leaf."""

    __tablename__ = "resource"
    __table_args__ = (
        CheckConstraint("cents_per_hour >= 0", name="price"),
        CheckConstraint("granularity_minutes BETWEEN 5 AND 1440", name="granularity"),
        CheckConstraint("min_minutes > 0 AND max_minutes >= min_minutes", name="duration"),
        CheckConstraint("buffer_before_minutes >= 0 AND buffer_after_minutes >= 0", name="buffer"),
        CheckConstraint("horizon_days > 0", name="horizon"),
        CheckConstraint("tax_code IN ('S19', 'S07', 'E12', 'K19', 'O2B')", name="tax_code"),
    )

    id: UUID = Field(primary_key=True)
    hub: str = Field(sa_type=Text, index=True, foreign_key="hub.slug")
    name: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    description: str = Field(default="", sa_type=Text)
    position: int = 0
    cents_per_hour: int = Field(sa_type=Integer)
    tax_code: str = Field(sa_type=Text)
    granularity_minutes: int = 30
    min_minutes: int = 30
    max_minutes: int = 1440
    horizon_days: int = 457
    buffer_before_minutes: int = 0
    buffer_after_minutes: int = 0
    is_active: bool = True
    version: int = 1


class ResourcePart(Base, table=True):
    """``part_id`` is a leaf of the whole ``resource_id``."""

    __tablename__ = "resource_part"
    __table_args__ = (CheckConstraint("resource_id <> part_id", name="not_itself"),)

    resource_id: UUID = Field(primary_key=True, foreign_key="resource.id")
    part_id: UUID = Field(primary_key=True, index=True, foreign_key="resource.id")


class OpeningHours(Base, table=True):
    """Weekly wall time in minutes after midnight; rows of a resource replace those of its hub."""

    __tablename__ = "opening_hours"
    __table_args__ = (
        CheckConstraint("weekday BETWEEN 1 AND 7", name="weekday"),
        CheckConstraint("opens >= 0 AND opens < closes AND closes <= 1440", name="minutes"),
    )

    id: UUID = Field(primary_key=True)
    hub: str = Field(sa_type=Text, index=True, foreign_key="hub.slug")
    resource_id: UUID | None = Field(default=None, index=True, foreign_key="resource.id")
    weekday: int
    opens: int
    closes: int


class Closure(Base, table=True):
    """A time without bookings for one resource, or for the whole hub if ``resource_id`` is NULL."""

    __tablename__ = "closure"
    __table_args__ = (CheckConstraint("starts_at < ends_at", name="order"),)

    id: UUID = Field(primary_key=True)
    hub: str = Field(sa_type=Text, index=True, foreign_key="hub.slug")
    resource_id: UUID | None = Field(default=None, foreign_key="resource.id")
    starts_at: datetime = Field(sa_type=Stamp)
    ends_at: datetime = Field(sa_type=Stamp)
    reason: str = Field(sa_type=Text)
    created_by: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=Stamp)


class Member(Base, table=True):
    """Name and verified mail, read from Keycloak with the member's own token; without a mail it is asked for again."""

    __tablename__ = "member"

    sub: str = Field(primary_key=True, sa_type=Text)
    name: str = Field(sa_type=Text)
    mail: str | None = Field(default=None, sa_type=Text)
    read_at: datetime = Field(sa_type=Stamp)


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


class Line(Base, table=True):
    """One resource and slot of a booking with its frozen price; never changed after the insert."""

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
        UniqueConstraint("booking_id", "kind"),
        CheckConstraint("kind IN ('confirmed', 'cancelled')", name="kind"),
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
