"""Facts out and in, and answers that can be repeated."""

from regiohub_shared.events.inbox import InboxRow
from regiohub_shared.events.outbox import OutboxDelivery, OutboxRow
from regiohub_shared.idempotency import IdempotencyRow

from .base import Base


class Outbox(Base, OutboxRow, table=True):
    """Facts on their way out."""


class Delivery(Base, OutboxDelivery, table=True):
    """One row per fact and subscriber."""


class Inbox(Base, InboxRow, table=True):
    """Facts that were applied."""


class IdempotencyKey(Base, IdempotencyRow, table=True):
    """Stored responses; status 0 marks a request whose provider call is still open."""
