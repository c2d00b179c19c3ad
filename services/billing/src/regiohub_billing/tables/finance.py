"""What the finance offices work with: files handed over, and money that people must look at."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from regiohub_billing.tables.base import UTC_TIME, Base


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
    """Money that people must look at: a failed refund, a payment that matches nothing, a dispute. Resolved once, for good."""

    __tablename__ = "clearing_item"
    __table_args__ = (
        # Money is a case once, ever; a booking can get stuck again after its case was closed.
        Index(
            "uq_clearing_item_case",
            "kind",
            "source",
            unique=True,
            postgresql_where=text("resolved_at IS NULL OR kind <> 'not_invoiced'"),
        ),
        Index("ix_clearing_item_operator", "operator"),
    )

    KINDS: ClassVar[tuple[str, ...]] = (
        "refund_failed",
        "refund_unmatched",
        "payment_unmatched",
        "not_invoiced",
        "dispute",
        "restored",
    )

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
    resolved_by: str = Field(default="", sa_type=Text)
    """Who closed it; ``system`` if the reason went away by itself."""
    note: str = Field(default="", sa_type=Text)
