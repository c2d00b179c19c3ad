"""The columns of access. Tables do not validate (``api/schemas.py`` does); the migration's CHECKs guarantee.

Everything about a person hangs on ``grant.sub``: passes, PINs and door events name grants and passes only.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, ForeignKeyConstraint, Index, Integer, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from regiohub_shared.db.base import new_registry
from regiohub_shared.db.epoch import EpochRow
from regiohub_shared.events.inbox import InboxRow
from regiohub_shared.events.outbox import OutboxDelivery, OutboxRow


class Base(SQLModel, registry=new_registry()):
    """Access's own registry and metadata."""


def _at(*, nullable: bool = False) -> Any:
    return Field(sa_type=DateTime(timezone=True), nullable=nullable)


def _big(default: int = 0) -> Any:
    return Field(default=default, sa_type=BigInteger)


class Hub(Base, table=True):
    """A site: its margins and the counters of what its readers must know.

    ``change_sequence`` rises with everything that a reader's long poll should wake for; ``pins_digest`` is that of
    the PIN table numbered ``pins_sequence``. ``epoch`` leads all sequences and rises when a restored database may
    have lost numbers that readers already hold. ``event_hash`` is the head of the chain of door events, which was
    checked up to ``chain_checked`` in this round; ``chain_broken`` is the first event found not to fit.
    """

    __tablename__ = "hub"
    slug: str = Field(primary_key=True)
    margin_minutes: int = 10
    address: str | None = None
    version: int = 1
    change_sequence: int = _big()
    epoch: int = _big(1)
    deny_sequence: int = _big()
    pins_sequence: int = _big()
    pins_digest: bytes | None = None
    event_number: int = _big()
    event_hash: bytes | None = None
    chain_checked: int = _big()
    chain_broken: int | None = Field(default=None, sa_type=BigInteger)


class Door(Base, table=True):
    """A door of a hub; an outer one belongs to every grant at the hub."""

    __tablename__ = "door"
    hub: str = Field(primary_key=True, foreign_key="hub.slug")
    number: int = Field(primary_key=True)
    name: str
    is_outer: bool = False


class DoorResource(Base, table=True):
    """A door leads to this resource."""

    __tablename__ = "door_resource"
    __table_args__ = (ForeignKeyConstraint(["hub", "number"], ["door.hub", "door.number"], ondelete="CASCADE"),)
    hub: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    resource_id: UUID = Field(primary_key=True)


class Reader(Base, table=True):
    """What reads credentials at a hub; its id is its Keycloak client.

    ``log_id`` is its present chain of events, ``log_sequence`` and ``log_hash`` the last one stored; ``deny_*`` is what
    it said it holds. ``commands_version``: which commands it understands; 1 has none.
    """

    __tablename__ = "reader"
    id: str = Field(primary_key=True)
    hub: str = Field(foreign_key="hub.slug", index=True)
    created_at: datetime = _at()
    last_sync_at: datetime | None = _at(nullable=True)
    log_id: str | None = None
    log_sequence: int = _big()
    log_hash: str | None = None
    deny_epoch: int | None = Field(default=None, sa_type=BigInteger)
    deny_sequence: int | None = Field(default=None, sa_type=BigInteger)
    commands_version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})


class Grant(Base, table=True):
    """Who may open doors for one booking; ``version`` is the booking's, ``sub`` is None once erased.

    ``activated_at`` is None while nobody ever could open a door with it.
    """

    __tablename__ = "grant"
    id: UUID = Field(primary_key=True)
    booking_id: UUID = Field(unique=True)
    hub: str = Field(foreign_key="hub.slug", index=True)
    sub: str | None = Field(default=None, index=True)
    version: int
    status: str
    created_at: datetime = _at()
    activated_at: datetime | None = _at(nullable=True)
    revoked_at: datetime | None = _at(nullable=True)
    erased_at: datetime | None = _at(nullable=True)
    opened_version: int = 0
    first_opened_at: datetime | None = _at(nullable=True)


class GrantLine(Base, table=True):
    """A booked resource and slot ``[starts_at, ends_at)``, without margins."""

    __tablename__ = "grant_line"
    grant_id: UUID = Field(primary_key=True, foreign_key="grant.id", ondelete="CASCADE")
    line_id: UUID = Field(primary_key=True)
    resource_id: UUID
    starts_at: datetime = _at()
    ends_at: datetime = _at()


class Pin(Base, table=True):
    """The PIN of a live grant; deleted when the grant is revoked or over.

    ``sealed`` is the PIN encrypted; ``digest`` (keyed, so that six digits cannot be tried out) makes it unique in
    its hub.
    """

    __tablename__ = "pin"
    __table_args__ = (UniqueConstraint("hub", "digest"),)
    grant_id: UUID = Field(primary_key=True, foreign_key="grant.id", ondelete="CASCADE")
    hub: str = Field(foreign_key="hub.slug")
    sealed: bytes
    digest: bytes


class ArmedPin(Base, table=True):
    """Since when a reader reports that it holds this grant's PIN as it is now."""

    __tablename__ = "armed_pin"
    reader_id: str = Field(primary_key=True, foreign_key="reader.id")
    grant_id: UUID = Field(primary_key=True, foreign_key="pin.grant_id", ondelete="CASCADE", index=True)
    armed_at: datetime = _at()


class HolderKey(Base, table=True):
    """A phone's public key that may hold passes of a grant; ``thumbprint`` is RFC 7638's, raw."""

    __tablename__ = "holder_key"
    grant_id: UUID = Field(primary_key=True, foreign_key="grant.id", ondelete="CASCADE")
    thumbprint: bytes = Field(primary_key=True)
    created_at: datetime = _at()
    replaced_at: datetime | None = _at(nullable=True)


class Pass(Base, table=True):
    """An issued RH1 pass: useless without the phone's key, so it is kept and returned again as it is."""

    __tablename__ = "pass"
    # One live pass per day (piece of a window) and key.
    __table_args__ = (
        Index(
            "uq_pass_live", "grant_id", "thumbprint", "starts_at",
            unique=True, postgresql_where=text("revoked_at IS NULL"),
        ),
    )  # fmt: skip
    id: bytes = Field(primary_key=True)
    grant_id: UUID = Field(foreign_key="grant.id", ondelete="CASCADE", index=True)
    hub: str = Field(foreign_key="hub.slug")
    thumbprint: bytes
    kid: bytes
    doors: list[int] = Field(sa_column=Column(ARRAY(Integer), nullable=False))
    starts_at: datetime = _at()
    ends_at: datetime = _at()
    token: bytes
    issued_at: datetime = _at()
    revoked_at: datetime | None = _at(nullable=True)


class DenyEntry(Base, table=True):
    """A pass that no reader of its hub may accept, until it ends anyway."""

    __tablename__ = "deny_entry"
    __table_args__ = (UniqueConstraint("hub", "sequence"),)
    hub: str = Field(primary_key=True, foreign_key="hub.slug")
    pass_id: bytes = Field(primary_key=True)
    sequence: int = Field(sa_type=BigInteger)
    ends_at: datetime = _at()


class IssuerKey(Base, table=True):
    """A P-256 key that signs passes from ``active_at``; ``sealed`` is the private number, encrypted."""

    __tablename__ = "issuer_key"
    kid: bytes = Field(primary_key=True)
    x: bytes
    y: bytes
    sealed: bytes
    created_at: datetime = _at()
    active_at: datetime = _at()


class DoorEventRow(Base, table=True):
    """A decision at a door: append-only, pseudonymous, kept 30 (allowed) or 90 days.

    ``doubt`` says why an opening that was reported cannot be true.
    """

    __tablename__ = "door_event"
    __table_args__ = (
        UniqueConstraint("reader_id", "reader_log", "reader_sequence", name="uq_door_event_reader"),
        Index("ix_door_event_received_at", "received_at"),
        Index("ix_door_event_credential", "credential"),
    )
    hub: str = Field(primary_key=True, foreign_key="hub.slug")
    number: int = Field(primary_key=True, sa_type=BigInteger)
    reader_id: str
    reader_log: str
    reader_sequence: int = Field(sa_type=BigInteger)
    door: int
    at: datetime = _at()
    received_at: datetime = _at()
    method: str
    decision: str
    reason: str
    credential: str | None = None
    late: bool = False
    is_chained: bool = True
    doubt: str | None = None


class Command(Base, table=True):
    """An operator's order to open a door now; ``expires_at`` is real time, the other times are business time.

    ``reader_id`` and ``reader_chain`` are the one reader that got it. ``created_by`` is None once that person is erased.
    """

    __tablename__ = "command"
    __table_args__ = (Index("ix_command_hub_created_at", "hub", "created_at"),)
    id: UUID = Field(primary_key=True)
    hub: str = Field(foreign_key="hub.slug")
    door: int
    reason: str
    created_by: str | None = None
    created_at: datetime = _at()
    expires_at: datetime = _at()
    reader_id: str | None = Field(default=None, foreign_key="reader.id")
    reader_chain: str | None = None
    outcome: str | None = None
    outcome_reason: str | None = None
    decided_at: datetime | None = _at(nullable=True)


class ChainLink(Base, table=True):
    """The hash of a door event, kept when the event is deleted."""

    __tablename__ = "chain_link"
    hub: str = Field(primary_key=True, foreign_key="hub.slug")
    number: int = Field(primary_key=True, sa_type=BigInteger)
    hash: bytes


class Outbox(Base, OutboxRow, table=True):
    """Facts on their way out."""

    __tablename__ = "outbox"


class Delivery(Base, OutboxDelivery, table=True):
    """One fact for one subscriber."""

    __tablename__ = "outbox_delivery"
    __table_args__ = (
        Index(
            "ix_outbox_delivery_due", "subscriber", "next_at", postgresql_where=text("delivered_at IS NULL"),
        ),
    )  # fmt: skip


class Inbox(Base, InboxRow, table=True):
    """Facts that took effect."""

    __tablename__ = "inbox"


class Epoch(Base, EpochRow, table=True):
    """One row per restore from a backup; each hub has an epoch of its own for its readers."""

    __tablename__ = "epoch"
