"""The gateway's own rows: sessions and the memory of its limits."""

from datetime import datetime

from sqlalchemy import TIMESTAMP, CheckConstraint, Column, LargeBinary
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from regiohub_shared.db.base import new_registry

_TIME = TIMESTAMP(timezone=True)


class Base(SQLModel, registry=new_registry()):
    """Root of the gateway's tables."""


class Session(Base, table=True):
    """One login. ``id`` is the SHA-256 of what the cookie holds: a copy of this table opens no session."""

    __tablename__ = "session"
    __table_args__ = (CheckConstraint("refresh_attempt >= 0", name="refresh_attempt"),)

    id: str = Field(primary_key=True, max_length=64)
    sub: str = Field(index=True)
    keycloak_sid: str = Field(index=True)
    csrf: str
    tokens: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """AES-GCM over JSON: access, refresh and ID token, name; bound to ``id``."""
    access_expires_at: datetime = Field(sa_type=_TIME)
    refresh_lease_until: datetime | None = Field(default=None, sa_type=_TIME)
    refresh_attempt: int = Field(default=0)
    """Rises with each claim of the refresh, so that a late answer of an older claim is dropped."""
    created_at: datetime = Field(sa_type=_TIME)
    seen_at: datetime = Field(sa_type=_TIME)
    expires_at: datetime = Field(sa_type=_TIME, index=True)


class RateLimit(Base, table=True):
    """The hits of one bucket that still count."""

    __tablename__ = "rate_limit"

    bucket: str = Field(primary_key=True)
    hits: list[datetime] = Field(sa_column=Column(ARRAY(_TIME), nullable=False))
    last_at: datetime = Field(sa_type=_TIME, index=True)


class LogoutToken(Base, table=True):
    """A back-channel logout that was carried out; the same token is refused a second time."""

    __tablename__ = "logout_token"

    jti: str = Field(primary_key=True)
    received_at: datetime = Field(sa_type=_TIME)
