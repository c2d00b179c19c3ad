"""What booking tells its neighbours. Data only; a receiver skips versions older than the one it has."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

BookingStatus = Literal[
    "requested", "held", "confirmed", "checked_in", "completed", "rejected", "expired", "cancelled", "no_show"
]


class BookedLine(BaseModel):
    """One resource and slot ``[start, end)`` of a booking; ``gross_cents`` includes tax."""

    model_config = ConfigDict(frozen=True)

    line_id: UUID
    resource_id: UUID
    resource_name: str
    start: datetime
    end: datetime
    gross_cents: int
    tax_code: str


class PaymentVerdict(BaseModel):
    """What booking decided about one payment: keep it, or give it back."""

    model_config = ConfigDict(frozen=True)

    payment_id: UUID
    verdict: Literal["accepted", "refund"]


class BookingChanged(BaseModel):
    """Full snapshot of a booking with its stamps, of which nothing is ever cleared."""

    model_config = ConfigDict(frozen=True)

    type: ClassVar[str] = "regiohub.booking.changed"
    subscribers: ClassVar[tuple[str, ...]] = ("access", "billing")

    booking_id: UUID
    code: str
    sub: str
    hub: str
    hub_name: str = ""
    """As people know it; empty in a fact from before it was told."""
    operator: str
    status: BookingStatus
    version: int
    lines: tuple[BookedLine, ...]
    gross_cents: int
    fee_cents: int
    held_at: datetime | None
    hold_until: datetime | None
    confirmed_at: datetime | None
    cancelled_at: datetime | None
    expired_at: datetime | None
    checked_in_at: datetime | None
    completed_at: datetime | None
    payments: tuple[PaymentVerdict, ...] = ()

    @property
    def subject(self) -> str:
        """The booking that this is about."""
        return str(self.booking_id)

    @property
    def sequence(self) -> int:
        """Version of the subject; later is larger."""
        return self.version
