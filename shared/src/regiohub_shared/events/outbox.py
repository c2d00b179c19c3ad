"""A fact leaves in the transaction of its change: one outbox row per fact, one delivery row per subscriber."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Text, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_shared.events.envelope import Fact
from regiohub_shared.ids import new_id
from regiohub_shared.tracing import trace_context


class OutboxRow(SQLModel):
    """Mixin of table ``outbox``."""

    __tablename__ = "outbox"

    id: UUID = Field(primary_key=True)
    type: str = Field(sa_type=Text)
    subject: str = Field(sa_type=Text)
    sequence: int = Field(sa_type=BigInteger)
    occurred_at: datetime = Field(sa_type=DateTime(timezone=True))
    data: dict[str, Any] = Field(sa_type=JSONB)
    trace: dict[str, Any] = Field(sa_type=JSONB)


class OutboxDelivery(SQLModel):
    """Mixin of table ``outbox_delivery``.

    ``attempts`` fences: an outcome counts only for the attempt it belongs to. ``refusals`` counts the attempts that the
    subscriber answered with a refusal; only they make a dead letter, never its absence.
    """

    __tablename__ = "outbox_delivery"

    outbox_id: UUID = Field(foreign_key="outbox.id", primary_key=True)
    subscriber: str = Field(primary_key=True, sa_type=Text)
    attempts: int = 0
    refusals: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_at: datetime = Field(sa_type=DateTime(timezone=True))
    leased_until: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    delivered_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    dead_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    last_error: str = Field(default="", sa_type=Text)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A fact as the two tables store it; for SQL written by hand on the hot path."""

    id: UUID
    type: str
    subject: str
    sequence: int
    data: dict[str, Any]
    trace: dict[str, str]
    subscribers: tuple[str, ...]


def parcel(fact: Fact) -> Parcel:
    """Give the fact its id and the trace context of the current request."""
    return Parcel(
        id=new_id(), type=fact.type, subject=fact.subject, sequence=fact.sequence,
        data=fact.model_dump(mode="json"), trace=trace_context(), subscribers=fact.subscribers,
    )  # fmt: skip


INSERT_SQL = """
WITH fact AS (
    INSERT INTO outbox (id, type, subject, sequence, occurred_at, data, trace)
    VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id
)
INSERT INTO outbox_delivery (outbox_id, subscriber, attempts, next_at, last_error)
SELECT fact.id, subscriber, 0, $5, '' FROM fact, unnest($8::text[]) AS subscriber
"""
"""Positional form for asyncpg: id, type, subject, sequence, now, data, trace, subscribers."""

_INSERT = text(
    """
WITH fact AS (
    INSERT INTO outbox (id, type, subject, sequence, occurred_at, data, trace)
    VALUES (:id, :type, :subject, :sequence, :now, :data, :trace) RETURNING id
)
INSERT INTO outbox_delivery (outbox_id, subscriber, attempts, next_at, last_error)
SELECT fact.id, subscriber, 0, :now, '' FROM fact, unnest(CAST(:subscribers AS text[])) AS subscriber
"""
).bindparams(bindparam("data", type_=JSONB), bindparam("trace", type_=JSONB))


async def emit(session: AsyncSession, fact: Fact, *, now: datetime) -> None:
    """Write the fact and its deliveries; ``now`` is real time, since leases and back-off count from it."""
    made = parcel(fact)
    await session.execute(
        _INSERT,
        {
            "id": made.id,
            "type": made.type,
            "subject": made.subject,
            "sequence": made.sequence,
            "now": now,
            "data": made.data,
            "trace": made.trace,
            "subscribers": list(made.subscribers),
        },
    )


async def emit_on(connection: Any, fact: Fact, *, now: datetime) -> None:
    """The same on a plain asyncpg connection."""
    made = parcel(fact)
    await connection.execute(
        INSERT_SQL, made.id, made.type, made.subject, made.sequence, now, made.data, made.trace, list(made.subscribers)
    )
