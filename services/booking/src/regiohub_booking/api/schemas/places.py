"""Operators, hubs, resources, hours, closures as JSON."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field

from regiohub_booking.api.schemas.common import (
    BERLIN,
    Cents,
    Clock,
    Kind,
    LongText,
    Moment,
    PlainText,
    Row,
    ShortText,
    Slug,
    Strict,
    TaxCode,
)
from regiohub_booking.domain.hours import DAY_MINUTES, Opening
from regiohub_booking.tables import Closure, Hub, Operator
from regiohub_shared.money import CURRENCY


class OpeningModel(Strict):
    """Open on ISO ``weekday`` (Monday is 1), wall time of the hub; ``24:00`` is the end of the day."""

    weekday: Annotated[int, Field(ge=1, le=7)]
    opens: Clock
    closes: Clock

    def opening(self) -> Opening:
        """Return the domain's value."""
        return Opening(self.weekday, _minutes(self.opens), _minutes(self.closes))

    @classmethod
    def of(cls, opening: Opening) -> Self:
        """Build from the domain's value."""
        return cls(weekday=opening.weekday, opens=_clock(opening.opens), closes=_clock(opening.closes))


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def _clock(minutes: int) -> str:
    return "24:00" if minutes == DAY_MINUTES else f"{minutes // 60:02d}:{minutes % 60:02d}"


Week = Annotated[list[OpeningModel], Field(max_length=50)]


class HoursPut(Strict):
    """The whole week anew."""

    opening_hours: Week


class OperatorPut(Strict):
    """Legal entity that is paid."""

    name: ShortText


class OperatorPublic(BaseModel):
    """An operator."""

    slug: str
    name: str
    version: int

    @classmethod
    def of(cls, operator: Operator) -> Self:
        """Build from the row."""
        return cls(slug=operator.slug, name=operator.name, version=operator.version)


class HubPut(Strict):
    """A site with its weekly hours."""

    operator: Slug
    name: ShortText
    street: PlainText = ""
    postcode: PlainText = ""
    city: PlainText = ""
    door_hint: PlainText = ""
    time_zone: Literal["Europe/Berlin"] = "Europe/Berlin"
    opening_hours: Week = Field(default_factory=list)


class HubPublic(BaseModel):
    """A hub."""

    slug: str
    name: str
    operator: str
    operator_name: str
    street: str
    postcode: str
    city: str
    door_hint: str
    time_zone: str
    opening_hours: list[OpeningModel]
    version: int

    @classmethod
    def of(cls, hub: Hub, week: list[Opening], operator_name: str) -> Self:
        """Build from row, hours and the name of who runs it."""
        return cls(
            slug=hub.slug, name=hub.name, operator=hub.operator, operator_name=operator_name, street=hub.street, postcode=hub.postcode,
            city=hub.city, door_hint=hub.door_hint, time_zone=hub.time_zone,
            opening_hours=[OpeningModel.of(opening) for opening in week], version=hub.version,
        )  # fmt: skip


class ResourcePatch(Strict):
    """What a hub's operator may change; members that are left out stay."""

    name: ShortText | None = None
    description: LongText | None = None
    cents_per_hour: Cents | None = None
    is_active: bool | None = None
    granularity_minutes: Annotated[int, Field(ge=5, le=1440)] | None = None
    min_minutes: Annotated[int, Field(ge=5, le=44640)] | None = None
    max_minutes: Annotated[int, Field(ge=5, le=44640)] | None = None
    horizon_days: Annotated[int, Field(ge=1, le=1100)] | None = None
    buffer_before_minutes: Annotated[int, Field(ge=0, le=1440)] | None = None
    buffer_after_minutes: Annotated[int, Field(ge=0, le=1440)] | None = None
    opening_hours: Week | None = None
    """Own hours; an empty list means those of the hub."""


class ResourcePut(Strict):
    """A whole resource. ``parts`` lists the leaves of a whole; own hours replace those of the hub."""

    hub: Slug
    name: ShortText
    kind: Kind
    description: LongText = ""
    position: Annotated[int, Field(ge=0, le=10_000)] = 0
    cents_per_hour: Cents
    tax_code: TaxCode
    granularity_minutes: Annotated[int, Field(ge=5, le=1440)] = 30
    min_minutes: Annotated[int, Field(ge=5, le=44640)] = 30
    max_minutes: Annotated[int, Field(ge=5, le=44640)] = 1440
    horizon_days: Annotated[int, Field(ge=1, le=1100)] = 457
    buffer_before_minutes: Annotated[int, Field(ge=0, le=1440)] = 0
    buffer_after_minutes: Annotated[int, Field(ge=0, le=1440)] = 0
    is_active: bool = True
    parts: Annotated[list[UUID], Field(max_length=100)] = Field(default_factory=list)
    opening_hours: Week = Field(default_factory=list)


class ResourcePublic(BaseModel):
    """A resource; ``opening_hours`` are those that apply, ``has_own_hours`` says whose they are."""

    id: UUID
    hub: str
    operator: str
    name: str
    kind: str
    description: str
    position: int
    cents_per_hour: int
    currency: str
    tax_code: str
    granularity_minutes: int
    min_minutes: int
    max_minutes: int
    horizon_days: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    is_active: bool
    parts: list[UUID]
    has_own_hours: bool
    opening_hours: list[OpeningModel]
    time_zone: str
    version: int

    @classmethod
    def of(cls, row: Row) -> Self:
        """Build from the joined row."""
        week = [OpeningModel.of(Opening(*day)) for day in row["own_week"] or row["hub_week"] or ()]
        names = cls.model_fields.keys() - {"currency", "parts", "has_own_hours", "opening_hours"}
        return cls(
            **{name: row[name] for name in names}, currency=CURRENCY, parts=row["parts"] or [],
            has_own_hours=bool(row["own_week"]), opening_hours=week,
        )  # fmt: skip


class ClosureCreate(Strict):
    """Close ``resource_id``, or with ``all`` the whole hub."""

    resource_id: UUID | None = None
    all: bool = False
    start: Moment
    end: Moment
    reason: ShortText
    cancel_conflicting: bool = False


class ClosurePublic(BaseModel):
    """A closure; ``resource_id`` null means the whole hub."""

    id: UUID
    hub: str
    resource_id: UUID | None
    start: datetime
    end: datetime
    reason: str
    created_at: datetime

    @classmethod
    def of(cls, closure: Closure) -> Self:
        """Build from the row."""
        return cls(
            id=closure.id, hub=closure.hub, resource_id=closure.resource_id,
            start=closure.starts_at.astimezone(BERLIN), end=closure.ends_at.astimezone(BERLIN),
            reason=closure.reason, created_at=closure.created_at,
        )  # fmt: skip


class ClosureList(BaseModel):
    """Running and coming closures."""

    items: list[ClosurePublic]
    next: str | None


class HubList(BaseModel):
    """All hubs."""

    items: list[HubPublic]
    next: str | None


class ResourceList(BaseModel):
    """All resources of a hub."""

    items: list[ResourcePublic]
    next: str | None
