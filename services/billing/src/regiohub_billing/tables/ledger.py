"""Issued documents and the journal: append-only."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Date, ForeignKey, Index, Numeric, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from regiohub_billing.tables.base import UTC_TIME, Base


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
