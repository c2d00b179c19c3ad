"""Operators, hubs, resources, hours, closures."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Integer, Text
from sqlmodel import Field

from regiohub_booking.tables.base import Base, Stamp


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
