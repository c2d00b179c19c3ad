"""Who members are, and their calendars."""

from datetime import datetime

from sqlalchemy import CheckConstraint, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field

from regiohub_booking.tables.base import Base, Stamp


class Member(Base, table=True):
    """Name and verified mail, read from Keycloak with the member's own token; without a mail it is asked for again."""

    __tablename__ = "member"

    sub: str = Field(primary_key=True, sa_type=Text)
    name: str = Field(sa_type=Text)
    mail: str | None = Field(default=None, sa_type=Text)
    read_at: datetime = Field(sa_type=Stamp)


class CalendarFeed(Base, table=True):
    """A member's calendar address; of its secret only the digest is kept, so that it can be shown but once."""

    __tablename__ = "calendar_feed"
    __table_args__ = (UniqueConstraint("token_digest"), CheckConstraint("length(token_digest) = 32", name="digest"))

    sub: str = Field(primary_key=True, sa_type=Text)
    token_digest: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(sa_type=Stamp)
