"""``Idempotency-Key``: a repeat gets the stored response; only 2xx are stored, with the effect, in its transaction."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Header
from sqlalchemy import DateTime, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_shared.problem import BadRequest, Conflict, Malformed


class IdempotencyKeyMissing(BadRequest):
    """A POST that creates or charges needs a key."""

    type, title = "idempotency-key-missing", "The Idempotency-Key header is missing"


class IdempotencyKeyReused(Malformed):
    """The same key came with another body."""

    type, title = "idempotency-key-reused", "This Idempotency-Key was used for another request"


class RequestInFlight(Conflict):
    """The first request with this key still runs."""

    type, title = "request-in-flight", "The same request is still being worked on"


class IdempotencyRow(SQLModel):
    """Mixin of table ``idempotency_key``."""

    __tablename__ = "idempotency_key"

    sub: str = Field(primary_key=True, sa_type=Text)
    route: str = Field(primary_key=True, sa_type=Text)
    key: str = Field(primary_key=True, sa_type=Text)
    fingerprint: str = Field(sa_type=Text)
    status: int
    body: Any = Field(sa_type=JSONB)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))


@dataclass(frozen=True, slots=True)
class Stored:
    """The response of the first run."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request under a key; ``fingerprint`` is the sha256 of its canonical body."""

    sub: str
    route: str
    key: str
    fingerprint: str


def attempt(*, sub: str, route: str, key: str, body: Any) -> Attempt:
    """Describe a request; ``body`` is its parsed JSON. The key may come bare or as a quoted string."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), default=str)
    return Attempt(sub, route, key.strip().strip('"'), hashlib.sha256(canonical.encode()).hexdigest())


def check(found: Stored | None, fingerprint: str, wanted: Attempt) -> Stored | None:
    """Return the stored response; raise :class:`IdempotencyKeyReused` if the body differs."""
    if found is not None and fingerprint != wanted.fingerprint:
        raise IdempotencyKeyReused
    return found


async def find_stored(session: AsyncSession, wanted: Attempt) -> Stored | None:
    """Lock the key for this transaction and return the first run's response, if there is one.

    Raises :class:`RequestInFlight` while another transaction holds the key.
    """
    names = {"sub": wanted.sub, "route": wanted.route, "key": wanted.key}
    lock = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:sub || ' ' || :route || ' ' || :key, 0))")
    if not (await session.execute(lock, names)).scalar_one():
        raise RequestInFlight(headers={"Retry-After": "1"})
    query = text(
        "SELECT status, body, fingerprint FROM idempotency_key WHERE sub = :sub AND route = :route AND key = :key"
    )
    row = (await session.execute(query, names)).one_or_none()
    return check(Stored(row.status, row.body) if row else None, row.fingerprint if row else "", wanted)


async def store(session: AsyncSession, wanted: Attempt, stored: Stored, *, now: datetime) -> None:
    """Keep a 2xx response beside its effect."""
    insert = text(
        "INSERT INTO idempotency_key (sub, route, key, fingerprint, status, body, created_at) "
        "VALUES (:sub, :route, :key, :fingerprint, :status, CAST(:body AS jsonb), :now)"
    )
    await session.execute(
        insert,
        {
            "sub": wanted.sub,
            "route": wanted.route,
            "key": wanted.key,
            "fingerprint": wanted.fingerprint,
            "status": stored.status,
            "body": json.dumps(stored.body, default=str),
            "now": now,
        },
    )


def require_key(idempotency_key: Annotated[str | None, Header(max_length=255)] = None) -> str:
    """FastAPI dependency: the header, or 400."""
    if not idempotency_key or not idempotency_key.strip().strip('"'):
        raise IdempotencyKeyMissing("Send a new random Idempotency-Key with each booking or payment.")
    return idempotency_key
