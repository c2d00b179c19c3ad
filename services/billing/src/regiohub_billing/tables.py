"""Billing's tables. What guards them (triggers, rights, partial indexes) is in the migration."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Date, DateTime, ForeignKey, Index, LargeBinary, Numeric, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from regiohub_shared.db.base import new_registry
from regiohub_shared.events.inbox import InboxRow
from regiohub_shared.events.outbox import OutboxDelivery, OutboxRow
from regiohub_shared.idempotency import IdempotencyRow

UTC_TIME: Any = DateTime(timezone=True)


class Base(SQLModel, registry=new_registry()):
    """Own registry and metadata, so that services can share a process."""


class Outbox(Base, OutboxRow, table=True):
    """Facts on their way out."""


class Delivery(Base, OutboxDelivery, table=True):
    """One row per fact and subscriber."""


class Inbox(Base, InboxRow, table=True):
    """Facts that were applied."""


class IdempotencyKey(Base, IdempotencyRow, table=True):
    """Stored responses; status 0 marks a request whose provider call is still open."""


class Seller(Base, table=True):
    """The operator of hubs that is paid and issues documents. Its row is also the lock of its ledger."""

    __tablename__ = "seller"

    operator: str = Field(primary_key=True, sa_type=Text)
    version: int = 1
    name: str = Field(sa_type=Text)
    street: str = Field(sa_type=Text)
    postcode: str = Field(sa_type=Text)
    city: str = Field(sa_type=Text)
    country: str = Field(sa_type=Text)
    tax_number: str = Field(sa_type=Text)
    vat_id: str = Field(sa_type=Text)
    accounts: dict[str, Any] = Field(sa_type=JSONB)
    hkr_profile: str = Field(sa_type=Text)
    updated_at: datetime = Field(sa_type=UTC_TIME)


class TaxRuleRow(Base, table=True):
    """How a seller taxes a code from a day on."""

    __tablename__ = "tax_rule"

    operator: str = Field(sa_column_args=(ForeignKey("seller.operator"),), primary_key=True, sa_type=Text)
    tax_code: str = Field(primary_key=True, sa_type=Text)
    valid_from: date = Field(primary_key=True, sa_type=Date)
    rate_percent: Decimal = Field(sa_type=Numeric(5, 2))
    category: str = Field(sa_type=Text)
    note: str = Field(sa_type=Text)
    revenue_account: str = Field(sa_type=Text)


class Charge(Base, table=True):
    """What a booking costs: our copy of its newest fact. ``erased`` bookings keep no member."""

    __tablename__ = "charge"

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
        Index("ix_refund_status", "status"),
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


class ProviderIntent(Base, table=True):
    """A provider call that we decided to make: the exact request, a lease, an outcome.

    The idempotency key stays the same while the answer is unknown; a definite refusal ends the intent, and a new
    attempt is a new row with the next number. ``fence`` counts claims: an outcome counts only for its own claim.
    """

    __tablename__ = "provider_intent"
    __table_args__ = (
        Index("ix_provider_intent_due", "next_at", postgresql_where=text("state = 'pending'")),
        Index("ix_provider_intent_payment_id", "payment_id"),
        UniqueConstraint("idempotency_key"),
    )

    id: UUID = Field(primary_key=True)
    kind: str = Field(sa_type=Text)
    payment_id: UUID = Field(sa_column_args=(ForeignKey("payment.id"),))
    refund_id: UUID | None = Field(sa_column_args=(ForeignKey("refund.id"),))
    attempt: int
    idempotency_key: str = Field(sa_type=Text)
    request: dict[str, Any] = Field(sa_type=JSONB)
    state: str = Field(sa_type=Text)
    fence: int = 0
    leased_until: datetime | None = Field(default=None, sa_type=UTC_TIME)
    next_at: datetime = Field(sa_type=UTC_TIME)
    first_called_at: datetime | None = Field(default=None, sa_type=UTC_TIME)
    created_at: datetime = Field(sa_type=UTC_TIME)
    finished_at: datetime | None = Field(default=None, sa_type=UTC_TIME)
    last_error: str = Field(default="", sa_type=Text)


class StripeEvent(Base, table=True):
    """Webhook inbox: a trigger, never the truth."""

    __tablename__ = "stripe_event"
    __table_args__ = (Index("ix_stripe_event_due", "next_at", postgresql_where=text("handled_at IS NULL")),)

    id: str = Field(primary_key=True, sa_type=Text)
    type: str = Field(sa_type=Text)
    object_id: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=UTC_TIME)
    api_version: str = Field(sa_type=Text)
    livemode: bool
    payload: dict[str, Any] = Field(sa_type=JSONB)
    received_at: datetime = Field(sa_type=UTC_TIME)
    handled_at: datetime | None = Field(default=None, sa_type=UTC_TIME)
    attempts: int = 0
    leased_until: datetime | None = Field(default=None, sa_type=UTC_TIME)
    next_at: datetime = Field(sa_type=UTC_TIME)
    last_error: str = Field(default="", sa_type=Text)


class NumberSeries(Base, table=True):
    """Gapless counters: taken by ``UPDATE … RETURNING`` in the issuing transaction, so a rollback gives it back."""

    __tablename__ = "number_series"

    operator: str = Field(primary_key=True, sa_type=Text)
    series: str = Field(primary_key=True, sa_type=Text)
    last_number: int = Field(default=0, sa_type=BigInteger)
    last_hash: str = Field(sa_type=Text)


class Document(Base, table=True):
    """An issued invoice or its cancellation: a snapshot that nobody can change."""

    __tablename__ = "document"
    __table_args__ = (
        UniqueConstraint("operator", "number"),
        UniqueConstraint("operator", "series", "serial"),
        UniqueConstraint("payment_id", "kind"),
        Index("ix_document_booking_id", "booking_id"),
    )

    id: UUID = Field(primary_key=True)
    kind: str = Field(sa_type=Text)
    operator: str = Field(sa_type=Text)
    series: str = Field(sa_type=Text)
    serial: int = Field(sa_type=BigInteger)
    number: str = Field(sa_type=Text)
    test: bool
    booking_id: UUID
    booking_code: str = Field(sa_type=Text)
    payment_id: UUID = Field(sa_column_args=(ForeignKey("payment.id"),))
    refers_to: UUID | None = Field(sa_column_args=(ForeignKey("document.id"),))
    refers_number: str = Field(sa_type=Text)
    issued_at: datetime = Field(sa_type=UTC_TIME)
    issue_date: date = Field(sa_type=Date)
    supply_from: datetime = Field(sa_type=UTC_TIME)
    supply_to: datetime = Field(sa_type=UTC_TIME)
    seller: dict[str, Any] = Field(sa_type=JSONB)
    buyer: dict[str, Any] = Field(sa_type=JSONB)
    currency: str = Field(sa_type=Text)
    net_cents: int = Field(sa_type=BigInteger)
    tax_cents: int = Field(sa_type=BigInteger)
    gross_cents: int = Field(sa_type=BigInteger)
    line_count: int
    """Checked with the sums at commit, so that no line can be added later."""
    prev_hash: str = Field(sa_type=Text)
    hash: str = Field(sa_type=Text)


class DocumentLine(Base, table=True):
    """One line of a document, with the tax of its day of supply."""

    __tablename__ = "document_line"

    document_id: UUID = Field(sa_column_args=(ForeignKey("document.id"),), primary_key=True)
    position: int = Field(primary_key=True)
    text: str = Field(sa_type=Text)
    supply_from: datetime = Field(sa_type=UTC_TIME)
    supply_to: datetime = Field(sa_type=UTC_TIME)
    gross_cents: int = Field(sa_type=BigInteger)
    net_cents: int = Field(sa_type=BigInteger)
    tax_cents: int = Field(sa_type=BigInteger)
    tax_code: str = Field(sa_type=Text)
    rate_percent: Decimal = Field(sa_type=Numeric(5, 2))
    category: str = Field(sa_type=Text)
    note: str = Field(sa_type=Text)
    revenue_account: str = Field(sa_type=Text)


class JournalEntry(Base, table=True):
    """One business event in the books; one entry of a kind per source, chained per operator."""

    __tablename__ = "journal_entry"
    __table_args__ = (
        UniqueConstraint("kind", "source_id"),
        UniqueConstraint("operator", "series", "serial"),
        Index("ix_journal_entry_payment_id", "payment_id"),
    )

    id: UUID = Field(primary_key=True)
    operator: str = Field(sa_type=Text)
    series: str = Field(sa_type=Text)
    serial: int = Field(sa_type=BigInteger)
    test: bool
    kind: str = Field(sa_type=Text)
    source_id: UUID
    """The payment, document or refund that it books."""
    payment_id: UUID = Field(sa_column_args=(ForeignKey("payment.id"),))
    document_id: UUID | None = Field(sa_column_args=(ForeignKey("document.id"),))
    amount_cents: int = Field(sa_type=BigInteger)
    reference: str = Field(sa_type=Text)
    """The provider's id of the money."""
    posted_on: date = Field(sa_type=Date)
    posted_at: datetime = Field(sa_type=UTC_TIME)
    line_count: int
    """Checked at commit together with debit = credit, so that no line can be added later."""
    prev_hash: str = Field(sa_type=Text)
    hash: str = Field(sa_type=Text)


class JournalLine(Base, table=True):
    """One side of an entry: either debit or credit is positive."""

    __tablename__ = "journal_line"

    entry_id: UUID = Field(sa_column_args=(ForeignKey("journal_entry.id"),), primary_key=True)
    position: int = Field(primary_key=True)
    account: str = Field(sa_type=Text, index=True)
    debit_cents: int = Field(sa_type=BigInteger)
    credit_cents: int = Field(sa_type=BigInteger)
    tax_code: str = Field(sa_type=Text)


class ExportBatch(Base, table=True):
    """A file handed to a treasury, kept byte for byte."""

    __tablename__ = "export_batch"
    __table_args__ = (UniqueConstraint("operator", "number"),)

    id: UUID = Field(primary_key=True)
    operator: str = Field(sa_type=Text)
    number: int = Field(sa_type=BigInteger)
    productive: bool
    profile: str = Field(sa_type=Text)
    file_name: str = Field(sa_type=Text)
    content: bytes = Field(sa_type=LargeBinary)
    sha256: str = Field(sa_type=Text)
    row_count: int
    sum_cents: int = Field(sa_type=BigInteger)
    replaced: list[dict[str, Any]] = Field(sa_type=JSONB)
    created_by: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=UTC_TIME)


class ExportRow(Base, table=True):
    """Which part of which entry stands in which batch: once, ever."""

    __tablename__ = "export_row"
    __table_args__ = (Index("ix_export_row_batch_id", "batch_id"),)

    entry_id: UUID = Field(sa_column_args=(ForeignKey("journal_entry.id"),), primary_key=True)
    part: int = Field(primary_key=True)
    batch_id: UUID = Field(sa_column_args=(ForeignKey("export_batch.id"),))
    position: int


class ClearingItem(Base, table=True):
    """Money that people must look at: a failed refund or a payment that matches nothing."""

    __tablename__ = "clearing_item"
    __table_args__ = (UniqueConstraint("kind", "source"), Index("ix_clearing_item_operator", "operator"))

    KINDS: ClassVar[tuple[str, ...]] = ("refund_failed", "refund_unmatched", "payment_unmatched", "not_invoiced")

    id: UUID = Field(primary_key=True)
    kind: str = Field(sa_type=Text)
    source: str = Field(sa_type=Text)
    """The provider's or our id of what went wrong."""
    operator: str = Field(sa_type=Text)
    """Empty when it cannot be told whose money it is: then only the county sees it."""
    payment_id: UUID | None = Field(default=None)
    amount_cents: int = Field(sa_type=BigInteger)
    currency: str = Field(sa_type=Text)
    detail: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=UTC_TIME)
    resolved_at: datetime | None = Field(default=None, sa_type=UTC_TIME)
