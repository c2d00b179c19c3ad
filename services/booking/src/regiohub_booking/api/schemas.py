"""The JSON shapes of booking's API. Requests, responses and tables are three different things."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from regiohub_booking.domain.booking import Booking, Line
from regiohub_booking.domain.hours import DAY_MINUTES, Opening
from regiohub_booking.domain.price import Quote
from regiohub_booking.domain.rules import MAX_LINES
from regiohub_booking.tables import Closure, Hub, Operator
from regiohub_booking.usecases.availability import Offer, Verdict
from regiohub_shared.money import CURRENCY

Row = Mapping[str, Any]


def _text_only(value: Any) -> Any:
    """Numbers are no times: lax parsing would take 0 as 1970."""
    if not isinstance(value, (str, datetime)):
        raise ValueError("a time is a text like 2026-11-25T09:00:00+01:00")  # noqa: TRY004 - pydantic wants ValueError
    return value


def _has_zone(value: datetime) -> datetime:
    if value.utcoffset() is None:
        raise ValueError("the time needs an offset from UTC, such as +01:00 or Z")
    if not 2000 <= value.year <= 2200:
        raise ValueError("the year is out of range")
    return value


Moment = Annotated[
    datetime,
    BeforeValidator(_text_only),
    AfterValidator(_has_zone),
    Field(examples=["2026-11-25T09:00:00+01:00"], json_schema_extra={"format": "date-time"}),
]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
ShortText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120, pattern=r"^[^\x00-\x1f]*$")
]
LongText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000, pattern=r"^[^\x00]*$")]
PlainText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=120, pattern=r"^[^\x00-\x1f]*$")]
Kind = Literal["desk", "room", "booth", "event-space", "equipment"]
TaxCode = Literal["S19", "S07", "E12", "K19", "O2B"]
Cents = Annotated[int, Field(ge=0, le=1_000_000)]
Clock = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$"), Field(examples=["08:00"])]


class Strict(BaseModel):
    """Requests: unknown members are an error, not a silent loss."""

    model_config = ConfigDict(extra="forbid")


class LineCreate(Strict):
    """One wanted resource and slot ``[start, end)``."""

    resource_id: UUID
    start: Moment
    end: Moment


class BookingCreate(Strict):
    """One booking in one hub."""

    lines: Annotated[list[LineCreate], Field(min_length=1, max_length=MAX_LINES)]


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
    opening_hours: Week = []


class HubPublic(BaseModel):
    """A hub."""

    slug: str
    name: str
    operator: str
    street: str
    postcode: str
    city: str
    door_hint: str
    time_zone: str
    opening_hours: list[OpeningModel]
    version: int

    @classmethod
    def of(cls, hub: Hub, week: list[Opening]) -> Self:
        """Build from row and hours."""
        return cls(
            slug=hub.slug, name=hub.name, operator=hub.operator, street=hub.street, postcode=hub.postcode,
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
    parts: Annotated[list[UUID], Field(max_length=100)] = []
    opening_hours: Week = []


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


class StepPublic(BaseModel):
    """One applied price rule; ``rule``, ``quantity`` and ``unit_cents`` are for translation, ``label`` is English."""

    rule: str
    label: str
    quantity: int
    unit_cents: int
    cents: int


class QuotePublic(BaseModel):
    """A price in gross cents with its derivation."""

    gross_cents: int
    currency: str
    tax_code: str
    derivation: list[StepPublic]

    @classmethod
    def of(cls, quote: Quote) -> Self:
        """Build from the domain's value."""
        return cls(gross_cents=quote.gross_cents, currency=CURRENCY, tax_code=quote.tax_code, derivation=steps(quote))


def steps(quote: Quote) -> list[StepPublic]:
    """Return the derivation."""
    return [
        StepPublic(rule=s.rule, label=s.label, quantity=s.quantity, unit_cents=s.unit_cents, cents=s.cents)
        for s in quote.derivation
    ]


class SlotPublic(BaseModel):
    """A free slot in the hub's offset with its price."""

    resource_id: UUID
    resource_name: str
    start: datetime
    end: datetime
    price: QuotePublic

    @classmethod
    def of(cls, offer: Offer) -> Self:
        """Build from the domain's value."""
        zone = offer.place.zone
        return cls(
            resource_id=offer.place.id, resource_name=offer.place.name, start=offer.slot.start.astimezone(zone),
            end=offer.slot.end.astimezone(zone), price=QuotePublic.of(offer.quote),
        )  # fmt: skip


class SlotList(BaseModel):
    """Free slots in order."""

    items: list[SlotPublic]
    next: str | None


class AvailabilityItem(BaseModel):
    """A resource for the asked slot: its price, or the name of the rule that refuses it."""

    resource_id: UUID
    resource_name: str
    hub: str
    is_free: bool
    refusal: str | None
    price: QuotePublic | None

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        """Build from the domain's value."""
        price = QuotePublic.of(verdict.offer.quote) if verdict.offer else None
        return cls(
            resource_id=verdict.place.id, resource_name=verdict.place.name, hub=verdict.place.hub,
            is_free=verdict.offer is not None, refusal=verdict.refusal, price=price,
        )  # fmt: skip


class Availability(BaseModel):
    """All resources of the hub (or of all hubs) for one slot; free ones first."""

    start: datetime
    end: datetime
    items: list[AvailabilityItem]
    next: str | None


class LinePublic(BaseModel):
    """One resource and slot with its frozen price."""

    id: UUID
    resource_id: UUID
    resource_name: str
    start: datetime
    end: datetime
    gross_cents: int
    tax_code: str
    derivation: list[StepPublic]

    @classmethod
    def of(cls, line: Line, zone: ZoneInfo) -> Self:
        """Build from the domain's value, times in the hub's offset."""
        return cls(
            id=line.id, resource_id=line.resource_id, resource_name=line.resource_name,
            start=line.slot.start.astimezone(zone), end=line.slot.end.astimezone(zone),
            gross_cents=line.quote.gross_cents, tax_code=line.quote.tax_code, derivation=steps(line.quote),
        )  # fmt: skip


class BookingPublic(BaseModel):
    """A booking as its member sees it; ``version`` is the ETag, stamps are never cleared."""

    id: UUID
    code: str
    hub: str
    operator: str
    status: str
    version: int
    lines: list[LinePublic]
    starts_at: datetime
    ends_at: datetime
    gross_cents: int
    fee_cents: int
    currency: str
    created_at: datetime
    held_at: datetime | None
    hold_until: datetime | None
    confirmed_at: datetime | None
    cancelled_at: datetime | None
    cancelled_by: str | None
    expired_at: datetime | None
    checked_in_at: datetime | None
    completed_at: datetime | None

    @classmethod
    def of(cls, booking: Booking, **more: Any) -> Self:
        """Build from the domain's value."""
        names = cls.model_fields.keys() - {"lines", "currency", "status", "starts_at", "ends_at"} - more.keys()
        return cls(
            **{name: getattr(booking, name) for name in names}, status=booking.status.value, currency=CURRENCY,
            lines=[LinePublic.of(line, _BERLIN) for line in booking.lines],
            starts_at=booking.starts_at.astimezone(_BERLIN), ends_at=booking.ends_at.astimezone(_BERLIN), **more,
        )  # fmt: skip


# Every hub lies in this zone (HubPut allows no other); a second one would travel with the booking.
_BERLIN = ZoneInfo("Europe/Berlin")


class HubBookingPublic(BookingPublic):
    """A booking as the hub's operator sees it."""

    member_name: str | None


class BookingList(BaseModel):
    """Newest first; ``next`` is the cursor of the following page."""

    items: list[BookingPublic]
    next: str | None


class HubBookingList(BaseModel):
    """In order of the start."""

    items: list[HubBookingPublic]
    next: str | None


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
            start=closure.starts_at.astimezone(_BERLIN), end=closure.ends_at.astimezone(_BERLIN),
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


class SubjectExport(BaseModel):
    """All that booking holds about a member."""

    member: dict[str, str | None] | None
    bookings: list[dict[str, Any]]
