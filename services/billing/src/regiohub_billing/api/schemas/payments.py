"""Payments, documents, webhooks, and what we hold about a member."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from regiohub_billing.api.schemas.common import Country, Postcode, Strict, Text
from regiohub_billing.tables import Payment, Refund
from regiohub_billing.usecases.reading import DocumentView
from regiohub_shared.auth.principal import Principal


class Buyer(Strict):
    """Who the document is made out to."""

    name: Text = Field(examples=["Erika Beispiel"])
    street: Text = Field(examples=["Hauptstraße 1"])
    postcode: Postcode = Field(examples=["56170"])
    city: Text = Field(examples=["Bendorf"])
    country: Country = "DE"


class PaymentCreate(Strict):
    """Pay for a held booking."""

    booking_id: UUID
    buyer: Buyer
    locale: Literal["de", "en"] = "de"


class PaymentOpened(BaseModel):
    """A payment page to go to."""

    id: UUID
    booking_id: UUID
    status: str
    checkout_url: str | None
    amount_cents: int
    currency: str
    expires_at: datetime | None


class RefundPublic(BaseModel):
    """Money on its way back."""

    id: UUID
    reason: str
    status: str
    amount_cents: int
    created_at: datetime
    settled_at: datetime | None


class PaymentPublic(PaymentOpened):
    """A payment with what became of it."""

    paid_cents: int
    refunded_cents: int
    paid_at: datetime | None
    created_at: datetime
    buyer: Buyer | None
    """Only for the member who sent it; null for everyone else, and once it was forgotten."""
    refunds: list[RefundPublic]

    @classmethod
    def of(cls, payment: Payment, refunds: list[Refund], reader: Principal) -> "PaymentPublic":
        """Leave out what is the provider's, and the buyer for all but the member who sent it."""
        own = payment.model_dump(include=set(cls.model_fields)) | {"checkout_url": payment.checkout_url or None}
        own["buyer"] = payment.buyer or None if payment.sub == reader.sub else None
        return cls(**own, refunds=[RefundPublic(**refund.model_dump()) for refund in refunds])


class LinePublic(BaseModel):
    """One line of a document."""

    position: int
    text: str
    supply_from: datetime
    supply_to: datetime
    net_cents: int
    tax_cents: int
    gross_cents: int
    tax_code: str
    rate_percent: Decimal


class DocumentPublic(BaseModel):
    """An issued invoice or cancellation; amounts are positive in both."""

    id: UUID
    kind: Literal["invoice", "cancellation"]
    number: str
    refers_number: str
    test: bool
    booking_id: UUID
    payment_id: UUID
    issue_date: date
    net_cents: int
    tax_cents: int
    gross_cents: int
    currency: str
    hash: str
    lines: list[LinePublic]

    @classmethod
    def of(cls, view: DocumentView) -> "DocumentPublic":
        """Add the lines."""
        lines = [LinePublic(**{name: getattr(line, name) for name in LinePublic.model_fields}) for line in view.lines]
        return cls(**view.document.model_dump(include=set(cls.model_fields)), lines=lines)


class PaymentList(BaseModel):
    """All payments of a booking, oldest first."""

    items: list[PaymentPublic]
    next: str | None


class DocumentList(BaseModel):
    """All documents of a booking, in the order of issue."""

    items: list[DocumentPublic]
    next: str | None


class WebhookReceipt(BaseModel):
    """The webhook is stored; ``new`` is false for a repeat."""

    received: Literal[True]
    new: bool


class SubjectData(BaseModel):
    """Everything that names a member."""

    charges: list[dict[str, Any]]
    payments: list[dict[str, Any]]
    refunds: list[dict[str, Any]]
    documents: list[dict[str, Any]]
