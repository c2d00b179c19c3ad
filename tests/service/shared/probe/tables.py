"""Tables of the probe, a service that exists for these tests only."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Text
from sqlmodel import Field, SQLModel

from regiohub_shared.db.base import new_registry
from regiohub_shared.events.inbox import InboxRow
from regiohub_shared.events.outbox import OutboxDelivery, OutboxRow
from regiohub_shared.idempotency import IdempotencyRow


class Base(SQLModel, registry=new_registry()):
    """The probe's own registry and metadata."""


class Outbox(Base, OutboxRow, table=True):
    """Facts on their way out."""


class Delivery(Base, OutboxDelivery, table=True):
    """One row per fact and subscriber."""


class Inbox(Base, InboxRow, table=True):
    """Facts that were taken."""


class IdempotencyKey(Base, IdempotencyRow, table=True):
    """Stored first responses."""


class Note(Base, table=True):
    """Something to write; ``parent_id`` is checked at commit only."""

    __tablename__ = "note"
    id: UUID = Field(primary_key=True)
    text: str = Field(sa_type=Text)
    number: int = Field(default=0, sa_type=BigInteger)
    parent_id: UUID | None = None


class Effect(Base, table=True):
    """Append-only: each applied fact leaves a row, so that a double is seen."""

    __tablename__ = "effect"
    id: UUID = Field(primary_key=True)
    subject: str = Field(sa_type=Text)
    version: int
    applied_at: datetime = Field(sa_type=DateTime(timezone=True))


class Copy(Base, table=True):
    """The newest version of each subject."""

    __tablename__ = "copy"
    subject: str = Field(primary_key=True, sa_type=Text)
    version: int
