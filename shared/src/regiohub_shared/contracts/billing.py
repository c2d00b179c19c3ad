"""What billing tells booking. Data only."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class PaymentChanged(BaseModel):
    """Cumulative state of one payment, in cents."""

    model_config = ConfigDict(frozen=True)

    type: ClassVar[str] = "regiohub.payment.changed"
    subscribers: ClassVar[tuple[str, ...]] = ("booking",)

    payment_id: UUID
    booking_id: UUID
    sub: str
    operator: str
    version: int
    amount_cents: int
    paid_cents: int
    refunded_cents: int
    currency: str
    paid_at: datetime | None

    @property
    def subject(self) -> str:
        """The payment that this is about, never the booking."""
        return str(self.payment_id)

    @property
    def sequence(self) -> int:
        """Version of the subject; later is larger."""
        return self.version
