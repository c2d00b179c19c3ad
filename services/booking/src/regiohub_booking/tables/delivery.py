"""Facts on their way, the epoch that their versions are in, and answers of earlier requests."""

from sqlalchemy import Index, text

from regiohub_booking.tables.base import Base
from regiohub_shared.db.epoch import EpochRow
from regiohub_shared.events.inbox import InboxRow
from regiohub_shared.events.outbox import OutboxDelivery, OutboxRow
from regiohub_shared.idempotency import IdempotencyRow


class Outbox(Base, OutboxRow, table=True):
    """Facts that leave with the change."""

    __table_args__ = (Index("ix_outbox_subject", "subject"),)


class Delivery(Base, OutboxDelivery, table=True):
    """One row per fact and subscriber."""

    __table_args__ = (
        # Without dead_at in its condition: readiness counts dead letters too.
        Index("ix_outbox_delivery_due", "subscriber", "next_at", postgresql_where=text("delivered_at IS NULL")),
    )


class Inbox(Base, InboxRow, table=True):
    """Facts that were applied."""


class IdempotencyKey(Base, IdempotencyRow, table=True):
    """Responses of earlier POSTs."""

    __table_args__ = (Index("ix_idempotency_key_created_at", "created_at"),)


class Epoch(Base, EpochRow, table=True):
    """One row per restore from a backup."""
