"""Charges, payments and refunds. The order of locks is always: charge, payments, seller."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import or_, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.payment import UNPAID
from regiohub_billing.tables import Charge, ClearingItem, Document, Payment, Refund
from regiohub_shared.auth.principal import Principal

ERASED = "erased:"
"""How the alias of a forgotten member begins."""
ENDED = ("rejected", "expired", "cancelled", "no_show", "completed")


def may_read(principal: Principal, charge: Charge) -> bool:
    """Who may see a booking's money: its member, the town's finance office, the county's."""
    return charge.sub == principal.sub or principal.is_finance_of(charge.operator)


async def find_charge(session: AsyncSession, booking_id: UUID) -> Charge | None:
    """Return the charge of a booking."""
    return await session.get(Charge, booking_id)


async def lock_charge(session: AsyncSession, booking_id: UUID) -> Charge | None:
    """Return the charge and keep others from deciding about it until the transaction ends."""
    query = select(Charge).where(col(Charge.booking_id) == booking_id).with_for_update()
    return (await session.exec(query.execution_options(populate_existing=True))).one_or_none()


async def add_charge(session: AsyncSession, values: dict[str, Any]) -> bool:
    """Insert unless another transaction was first; return whether we were."""
    statement = insert(Charge).values(**values).on_conflict_do_nothing().returning(col(Charge.booking_id))
    return (await session.execute(statement)).one_or_none() is not None


async def lock_payments(session: AsyncSession, booking_id: UUID) -> Sequence[Payment]:
    """Return the payments of a booking, oldest first, locked."""
    query = select(Payment).where(col(Payment.booking_id) == booking_id).order_by(col(Payment.id)).with_for_update()
    return (await session.exec(query.execution_options(populate_existing=True))).all()


async def list_payments(session: AsyncSession, booking_id: UUID) -> Sequence[Payment]:
    """Return the payments of a booking, oldest first."""
    query = select(Payment).where(col(Payment.booking_id) == booking_id).order_by(col(Payment.id))
    return (await session.exec(query)).all()


async def find_payment(session: AsyncSession, payment_id: UUID) -> Payment | None:
    """Return one payment."""
    return await session.get(Payment, payment_id)


async def find_payment_by_provider(session: AsyncSession, provider_payment_id: str) -> Payment | None:
    """Return the payment that the provider knows by this id."""
    query = select(Payment).where(col(Payment.provider_payment_id) == provider_payment_id)
    return (await session.exec(query)).first() if provider_payment_id else None


async def booking_codes(session: AsyncSession, payment_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the code of the booking that each payment is for."""
    query = select(Payment.id, Charge.code).join(Charge, col(Charge.booking_id) == col(Payment.booking_id))
    return dict((await session.exec(query.where(col(Payment.id).in_(payment_ids)))).all())


async def codes_of(session: AsyncSession, booking_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the code of each booking."""
    query = select(Charge.booking_id, Charge.code).where(col(Charge.booking_id).in_(booking_ids))
    return dict((await session.exec(query)).all())


async def list_refunds(session: AsyncSession, payment_ids: Sequence[UUID]) -> Sequence[Refund]:
    """Return the refunds of these payments, oldest first."""
    query = select(Refund).where(col(Refund.payment_id).in_(payment_ids)).order_by(col(Refund.id))
    return (await session.exec(query)).all()


async def find_refund(session: AsyncSession, refund_id: UUID) -> Refund | None:
    """Return one refund."""
    return await session.get(Refund, refund_id)


async def find_refund_by_provider(session: AsyncSession, provider_refund_id: str) -> Refund | None:
    """Return the refund that the provider knows by this id."""
    query = select(Refund).where(col(Refund.provider_refund_id) == provider_refund_id)
    return (await session.exec(query)).one_or_none()


async def claim_stale_payments(session: AsyncSession, *, now: datetime, age: timedelta, limit: int) -> list[str]:
    """Return provider session ids of open payments not looked at for ``age``, and note that we look now."""
    due = (
        select(Payment.id)
        .where(
            col(Payment.status).in_(("open", "processing")),
            col(Payment.checked_at) <= now - age,
            col(Payment.provider_session_id) != "",
        )
        .order_by(col(Payment.checked_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    statement = (
        update(Payment)
        .where(col(Payment.id).in_(due))
        .values(checked_at=now)
        .returning(col(Payment.provider_session_id))
        .execution_options(synchronize_session=False)
    )
    return list((await session.execute(statement)).scalars())


async def claim_stale_refunds(session: AsyncSession, *, now: datetime, limit: int) -> list[str]:
    """Return provider ids of refunds to look at: pending ones every 5 minutes, done ones daily for two weeks."""
    waiting = (col(Refund.status) == "pending") & (col(Refund.checked_at) <= now - timedelta(minutes=5))
    recent = (
        (col(Refund.status) == "succeeded")
        & (col(Refund.checked_at) <= now - timedelta(days=1))
        & (col(Refund.created_at) >= now - timedelta(days=14))
    )
    # The order is fair, and keeps the planner from reading the whole table in hope of an early find.
    oldest = select(Refund.id).where(or_(waiting, recent)).order_by(col(Refund.checked_at))
    due = oldest.limit(limit).with_for_update(skip_locked=True)
    statement = (
        update(Refund)
        .where(col(Refund.id).in_(due))
        .values(checked_at=now)
        .returning(col(Refund.provider_refund_id))
        .execution_options(synchronize_session=False)
    )
    return list((await session.execute(statement)).scalars())


async def list_overdue(session: AsyncSession, *, business_now: datetime, limit: int) -> list[UUID]:
    """Return bookings that no longer wait for money but have an unpaid payment page."""
    query = (
        select(Payment.booking_id)
        .join(Charge, col(Charge.booking_id) == col(Payment.booking_id))
        .where(
            col(Payment.status).in_(UNPAID),
            or_(
                col(Charge.status).in_(ENDED),
                (col(Charge.status) == "held") & (col(Charge.hold_until) <= business_now),
            ),
        )
        .limit(limit)
    )
    return list((await session.exec(query)).all())


async def list_stuck(session: AsyncSession, *, after: UUID, limit: int) -> list[UUID]:
    """Return bookings whose last settling stopped on a problem, in the order of their ids, those behind ``after``."""
    query = select(Charge.booking_id).where(col(Charge.problem) != "", col(Charge.booking_id) > after)
    return list((await session.exec(query.order_by(col(Charge.booking_id)).limit(limit))).all())


async def note_clearing(session: AsyncSession, item: ClearingItem) -> None:
    """Put money on the list that people look at; the same case is noted once."""
    values = item.model_dump()
    await session.execute(insert(ClearingItem).values(**values).on_conflict_do_nothing())


async def resolve_clearing(session: AsyncSession, kind: str, source: str, *, now: datetime) -> None:
    """Take a case off the open list, because its reason went away."""
    statement = (
        update(ClearingItem)
        .where(
            col(ClearingItem.kind) == kind, col(ClearingItem.source) == source, col(ClearingItem.resolved_at).is_(None)
        )
        .values(resolved_at=now, resolved_by="system")
    )
    await session.execute(statement)


async def find_clearing(session: AsyncSession, case_id: UUID) -> ClearingItem | None:
    """Return one case."""
    return await session.get(ClearingItem, case_id)


async def lock_clearing(session: AsyncSession, case_id: UUID) -> ClearingItem:
    """Return a case that is known to exist, locked."""
    query = select(ClearingItem).where(col(ClearingItem.id) == case_id).with_for_update()
    return (await session.exec(query.execution_options(populate_existing=True))).one()


async def lock_case(session: AsyncSession, kind: str, source: str) -> ClearingItem:
    """Return the case of money that is known to have one, locked."""
    query = select(ClearingItem).where(col(ClearingItem.kind) == kind, col(ClearingItem.source) == source)
    return (await session.exec(query.with_for_update().execution_options(populate_existing=True))).one()


async def list_clearing(
    session: AsyncSession, operators: Sequence[str] | None, *, resolved: bool, after: UUID | None, limit: int
) -> Sequence[ClearingItem]:
    """Return open or closed cases, newest first; ``None`` means all, also those that belong to no operator."""
    at = col(ClearingItem.resolved_at)
    query = select(ClearingItem).where(at.is_not(None) if resolved else at.is_(None))
    if operators is not None:
        query = query.where(col(ClearingItem.operator).in_(operators))
    if after is not None:
        query = query.where(col(ClearingItem.id) < after)
    return (await session.exec(query.order_by(col(ClearingItem.id).desc()).limit(limit))).all()


async def count_clearing(session: AsyncSession) -> int:
    """Return how many cases are open."""
    statement = text("SELECT count(*) FROM clearing_item WHERE resolved_at IS NULL")
    return int((await session.execute(statement)).scalar_one())


async def subject_data(session: AsyncSession, sub: str) -> dict[str, list[dict[str, Any]]]:
    """Return everything that names this member."""
    charges = (await session.exec(select(Charge).where(col(Charge.sub) == sub))).all()
    payments = (await session.exec(select(Payment).where(col(Payment.sub) == sub))).all()
    bookings = [charge.booking_id for charge in charges]
    documents = (await session.exec(select(Document).where(col(Document.booking_id).in_(bookings)))).all()
    refunds = await list_refunds(session, [payment.id for payment in payments])
    return {
        "charges": [row.model_dump(mode="json") for row in charges],
        "payments": [row.model_dump(mode="json") for row in payments],
        "refunds": [row.model_dump(mode="json") for row in refunds],
        "documents": [row.model_dump(mode="json") for row in documents],
    }


_NO_LONGER_NEEDED = (
    "(status IN ('failed', 'expired') OR refunded_cents > 0 "
    "OR EXISTS (SELECT 1 FROM document d WHERE d.payment_id = payment.id))"
)
"""A buyer is needed while money may become an invoice; afterwards only the issued document keeps it."""
_ERASE = (
    "UPDATE charge SET sub = :alias WHERE sub = :sub",
    f"UPDATE payment SET buyer = '{{}}' WHERE sub = :sub AND {_NO_LONGER_NEEDED}",
    "UPDATE payment SET sub = :alias WHERE sub = :sub",
    "DELETE FROM idempotency_key WHERE sub = :sub",
    # Facts that were delivered and those still under way: no receiver reads the member from them.
    "UPDATE outbox SET data = data || jsonb_build_object('sub', CAST(:alias AS text)) WHERE data ->> 'sub' = :sub",
)
_FORGET_BUYERS = text(
    f"UPDATE payment SET buyer = '{{}}' WHERE sub LIKE '{ERASED}%' AND buyer <> '{{}}' AND {_NO_LONGER_NEEDED}"
)


async def erase_subject(session: AsyncSession, sub: str, alias: str) -> None:
    """Cut the tie between money and member; issued documents stay as the law wants them (8 and 10 years)."""
    for statement in _ERASE:
        await session.execute(text(statement), {"sub": sub, "alias": alias} if ":alias" in statement else {"sub": sub})


async def forget_buyers(session: AsyncSession) -> None:
    """Drop the name and address of erased members where they have become unneeded since."""
    await session.execute(_FORGET_BUYERS)
