"""Facts out and in, and answers that can be repeated."""

from sqlalchemy import Index, text

from regiohub_billing.tables.base import Base
from regiohub_shared.db.epoch import EpochRow
from regiohub_shared.events.inbox import InboxRow
from regiohub_shared.events.outbox import OutboxDelivery, OutboxRow
from regiohub_shared.idempotency import IdempotencyRow


class Outbox(Base, OutboxRow, table=True):
    """Facts on their way out."""


class Delivery(Base, OutboxDelivery, table=True):
    """One row per fact and subscriber."""

    __table_args__ = (
        Index("ix_outbox_delivery_due", "subscriber", "next_at", postgresql_where=text("delivered_at IS NULL")),
    )


class Inbox(Base, InboxRow, table=True):
    """Facts that were applied."""


class IdempotencyKey(Base, IdempotencyRow, table=True):
    """Stored responses; status 0 marks a request whose provider call is still open."""


class Epoch(Base, EpochRow, table=True):
    """One row per restore from a backup."""
