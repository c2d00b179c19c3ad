"""What time takes from every service: facts that arrived, ids that were remembered, responses that were kept.

Each worker runs it beside its other loops::

    every(HOUSEKEEPING_S, "housekeeping", partial(keep_house, db))
"""

from datetime import datetime, timedelta

from sqlalchemy import TextClause, text
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_shared.clock import real_now
from regiohub_shared.db.database import Database
from regiohub_shared.events.watch import beat

HOUSEKEEPING_S = 600.0
KEEP_FACTS = timedelta(days=30)
"""Delivered facts and remembered ids; a repeat that comes later still changes nothing, since handlers skip versions."""
KEEP_KEYS = timedelta(days=7)
"""Responses under an ``Idempotency-Key``; a client that repeats gives up much sooner."""
_BATCH = 1000


# Rows that another replica deletes at this moment are left to it.
_DELIVERED = text(
    "DELETE FROM outbox_delivery WHERE (outbox_id, subscriber) IN (SELECT outbox_id, subscriber FROM outbox_delivery "
    f"WHERE delivered_at < :before LIMIT {_BATCH} FOR UPDATE SKIP LOCKED) RETURNING 1"
)
_UNCLAIMED = text(
    "DELETE FROM outbox WHERE id IN (SELECT o.id FROM outbox o WHERE o.occurred_at < :before "
    f"AND NOT EXISTS (SELECT 1 FROM outbox_delivery d WHERE d.outbox_id = o.id) LIMIT {_BATCH}) RETURNING 1"
)
_SEEN = text(
    f"DELETE FROM inbox WHERE event_id IN (SELECT event_id FROM inbox WHERE received_at < :before LIMIT {_BATCH}) "
    "RETURNING 1"
)
_KEYS = text(
    "DELETE FROM idempotency_key WHERE (sub, route, key) IN "
    f"(SELECT sub, route, key FROM idempotency_key WHERE created_at < :before LIMIT {_BATCH}) RETURNING 1"
)


async def forget_facts(session: AsyncSession, *, before: datetime) -> int:
    """Delete a batch of deliveries that arrived, facts that nobody waits for, ids that were applied; return how many.

    Dead letters and what is still under way stay, however old. ``before`` is real time.
    """
    return sum([await _count(session, statement, before) for statement in (_DELIVERED, _UNCLAIMED, _SEEN)])


async def forget_keys(session: AsyncSession, *, before: datetime) -> int:
    """Delete a batch of stored responses; return how many. ``before`` is real time."""
    return await _count(session, _KEYS, before)


async def _count(session: AsyncSession, statement: TextClause, before: datetime) -> int:
    return len((await session.execute(statement, {"before": before})).all())


async def keep_house(
    db: Database, *, keep_facts: timedelta = KEEP_FACTS, keep_keys: timedelta | None = KEEP_KEYS
) -> None:
    """Delete batch by batch, each in a transaction of its own; ``keep_keys`` None: the service has no such table."""
    now, left = real_now(), 1
    while left:
        async with db.session() as session:
            left = await forget_facts(session, before=now - keep_facts)
            if keep_keys is not None:
                left += await forget_keys(session, before=now - keep_keys)
        beat()
