"""Provider calls and webhooks: claimed by a lease, fenced by a counter, never by a held lock."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.tables import IdempotencyKey, ProviderIntent, StripeEvent

LEASE = timedelta(seconds=30)
"""Longer than a provider call with its retry."""

_CLAIM = """
UPDATE {table} SET {counter} = {counter} + 1, leased_until = :until {extra}
WHERE id IN (
    SELECT id FROM {table} WHERE {due} AND next_at <= :now AND (leased_until IS NULL OR leased_until <= :now)
    ORDER BY next_at LIMIT :limit FOR UPDATE SKIP LOCKED
)
RETURNING id
"""
_CLAIM_INTENTS = text(
    _CLAIM.format(
        table="provider_intent",
        counter="fence",
        extra=", first_called_at = coalesce(first_called_at, :now)",
        due="state = 'pending'",
    )
)
_CLAIM_EVENTS = text(_CLAIM.format(table="stripe_event", counter="attempts", extra="", due="handled_at IS NULL"))


async def claim_intents(session: AsyncSession, *, now: datetime, limit: int) -> Sequence[ProviderIntent]:
    """Lease calls that are due: new ones, and those whose caller died."""
    ids = (await session.execute(_CLAIM_INTENTS, {"now": now, "until": now + LEASE, "limit": limit})).scalars().all()
    return (await session.exec(select(ProviderIntent).where(col(ProviderIntent.id).in_(ids)))).all()


async def claim_events(session: AsyncSession, *, now: datetime, limit: int) -> Sequence[StripeEvent]:
    """Lease webhooks that are due."""
    ids = (await session.execute(_CLAIM_EVENTS, {"now": now, "until": now + LEASE, "limit": limit})).scalars().all()
    query = select(StripeEvent).where(col(StripeEvent.id).in_(ids)).order_by(col(StripeEvent.created_at))
    return (await session.exec(query)).all()


def lease(intent: ProviderIntent, *, now: datetime) -> None:
    """Claim a locked intent for a call that this process makes now."""
    intent.fence += 1
    intent.leased_until = now + LEASE
    intent.first_called_at = intent.first_called_at or now


async def lock_intent(session: AsyncSession, intent_id: UUID) -> ProviderIntent | None:
    """Return the intent, locked."""
    query = select(ProviderIntent).where(col(ProviderIntent.id) == intent_id).with_for_update()
    return (await session.exec(query.execution_options(populate_existing=True))).one_or_none()


async def last_intent(session: AsyncSession, payment_id: UUID, kind: str) -> ProviderIntent | None:
    """Return the newest intent of a kind for a payment, locked."""
    query = (
        select(ProviderIntent)
        .where(col(ProviderIntent.payment_id) == payment_id, col(ProviderIntent.kind) == kind)
        .order_by(col(ProviderIntent.attempt).desc())
        .limit(1)
        .with_for_update()
    )
    return (await session.exec(query.execution_options(populate_existing=True))).one_or_none()


async def add_event(session: AsyncSession, values: dict[str, Any]) -> bool:
    """Insert a webhook once; return whether it is new."""
    statement = insert(StripeEvent).values(**values).on_conflict_do_nothing().returning(col(StripeEvent.id))
    return (await session.execute(statement)).one_or_none() is not None


async def finish_event(session: AsyncSession, event: StripeEvent, *, now: datetime, note: str = "") -> None:
    """Mark as handled, unless another claim came after ours."""
    await _event_outcome(session, event, handled_at=now, leased_until=None, last_error=note[:300])


async def postpone_event(session: AsyncSession, event: StripeEvent, *, until: datetime, error: str) -> None:
    """Try again later, unless another claim came after ours."""
    await _event_outcome(session, event, next_at=until, leased_until=None, last_error=error[:300])


async def _event_outcome(session: AsyncSession, event: StripeEvent, **values: Any) -> None:
    statement = (
        update(StripeEvent)
        .where(col(StripeEvent.id) == event.id, col(StripeEvent.attempts) == event.attempts)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    await session.execute(statement)


async def count_unhandled(session: AsyncSession, *, older_than: datetime) -> int:
    """Return how many webhooks wait for longer than that."""
    statement = text("SELECT count(*) FROM stripe_event WHERE handled_at IS NULL AND received_at <= :then")
    return int((await session.execute(statement, {"then": older_than})).scalar_one())


_ANSWERED = text(
    "UPDATE idempotency_key SET status = :status, body = CAST(:body AS jsonb) "
    "WHERE sub = :sub AND route = :route AND key = :key"
)


async def answer_key(session: AsyncSession, *, sub: str, route: str, key: str, status: int, body: str) -> None:
    """Complete the key of a request whose provider call has ended; ``body`` is JSON text."""
    names = {"sub": sub, "route": route, "key": key, "status": status, "body": body}
    await session.execute(_ANSWERED, names)


async def forget_key(session: AsyncSession, *, sub: str, route: str, key: str) -> None:
    """Drop the key of a request that was refused: only successes are replayed."""
    found = await session.get(IdempotencyKey, (sub, route, key))
    if found is not None:
        await session.delete(found)


_OLD_EVENTS = text("DELETE FROM stripe_event WHERE handled_at <= :before")


async def drop_old_events(session: AsyncSession, *, now: datetime) -> None:
    """Forget handled webhooks after Stripe's own 30 days."""
    await session.execute(_OLD_EVENTS, {"before": now - timedelta(days=30)})
