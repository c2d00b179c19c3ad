"""Bookings, free slots and prices as JSON."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from regiohub_booking.api.schemas.common import BERLIN, Moment, QuotePublic, StepPublic, Strict, steps
from regiohub_booking.domain.booking import Booking, Line
from regiohub_booking.domain.rules import MAX_LINES
from regiohub_booking.usecases.availability import HubFree, Offer, Verdict
from regiohub_shared.money import CURRENCY


class LineCreate(Strict):
    """One wanted resource and slot ``[start, end)``."""

    resource_id: UUID
    start: Moment
    end: Moment


class BookingCreate(Strict):
    """One booking in one hub."""

    lines: Annotated[list[LineCreate], Field(min_length=1, max_length=MAX_LINES)]


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


class HubFreePublic(BaseModel):
    """A hub's first free slot and what can be had for it; ``start`` and ``end`` are null when nothing is free."""

    hub: str
    start: datetime | None
    end: datetime | None
    offers: list[SlotPublic]

    @classmethod
    def of(cls, found: HubFree) -> Self:
        """Build from the domain's value."""
        offers = [SlotPublic.of(offer) for offer in found.offers]
        start, end = (offers[0].start, offers[0].end) if offers else (None, None)
        return cls(hub=found.hub, start=start, end=end, offers=offers)


class HubFreeList(BaseModel):
    """One entry per hub that has such resources."""

    items: list[HubFreePublic]
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
    hub_name: str
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
            lines=[LinePublic.of(line, BERLIN) for line in booking.lines],
            starts_at=booking.starts_at.astimezone(BERLIN), ends_at=booking.ends_at.astimezone(BERLIN), **more,
        )  # fmt: skip


class ShownBookingPublic(BookingPublic):
    """One booking as its reader sees it; operators also read those of others, whose key and papers are not theirs."""

    is_own: bool


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


class SubjectExport(BaseModel):
    """All that booking holds about a member; ``closures`` are those that they made as a hub's operator."""

    member: dict[str, Any] | None
    bookings: list[dict[str, Any]]
    mails: list[dict[str, Any]]
    responses: list[dict[str, Any]]
    closures: list[dict[str, Any]]


class DeadMail(BaseModel):
    """A mail that was given up; ``last_error`` is an error's name, never an address."""

    id: UUID
    booking_id: UUID
    kind: str
    attempts: int
    dead_at: datetime
    last_error: str


class DeadMailList(BaseModel):
    """The oldest 200; sending them again makes room for the next."""

    items: list[DeadMail]
    next: str | None


class MailReplay(Strict):
    """Which mails to send again; without ``ids`` all of them."""

    ids: Annotated[list[UUID], Field(min_length=1, max_length=200)] | None = None


class MailReplayed(BaseModel):
    """How many mails start anew."""

    replayed: int
