"""What only a restore asks of the books: what may be missing, counters that leap, payments and refunds written anew."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.chain import GENESIS
from regiohub_billing.tables import (
    Charge,
    JournalEntry,
    NumberGap,
    NumberSeries,
    Payment,
    ProviderIntent,
    Refund,
    Seller,
)

_HIGHEST = text(
    "SELECT coalesce((SELECT max(version) FROM charge), 0) AS booking, "
    "coalesce((SELECT max(version) FROM payment), 0) AS billing"
)
_LEAD = text("UPDATE payment SET version = :floor")
_ENDING_AFTER = text(
    "SELECT booking_id FROM charge c WHERE EXISTS (SELECT 1 FROM jsonb_array_elements(c.lines) l "
    "WHERE CAST(l ->> 'end' AS timestamptz) > :since) ORDER BY 1"
)
_UNBILLED = text(
    "SELECT operator, count(*) FROM payment p WHERE paid_cents > refunded_cents AND livemode = :livemode "
    "AND NOT EXISTS (SELECT 1 FROM document d WHERE d.payment_id = p.id AND d.kind = 'invoice') GROUP BY operator"
)
_CREDITABLE = text(
    "SELECT operator, count(*) FROM document i WHERE kind = 'invoice' AND test = :test AND supply_to > :since "
    "AND NOT EXISTS (SELECT 1 FROM document c WHERE c.refers_to = i.id) GROUP BY operator"
)


_OVERTAKEN = text(
    "DELETE FROM outbox_delivery d USING outbox o WHERE o.id = d.outbox_id AND d.delivered_at IS NULL "
    "AND EXISTS (SELECT 1 FROM outbox n WHERE n.type = o.type AND n.subject = o.subject AND n.sequence > o.sequence)"
)


async def highest_versions(session: AsyncSession) -> dict[str, int]:
    """Return the highest version of a payment given here, and the highest of a booking heard."""
    return {name: int(value) for name, value in (await session.execute(_HIGHEST)).mappings().one().items()}


async def lead(session: AsyncSession, floor: int) -> None:
    """Give every payment a version that nobody has heard."""
    await session.execute(_LEAD, {"floor": floor})


async def charges_ending_after(session: AsyncSession, since: datetime) -> Sequence[Charge]:
    """Return the charges of bookings that end after then."""
    ids = list((await session.execute(_ENDING_AFTER, {"since": since})).scalars())
    return (await session.exec(select(Charge).where(col(Charge.booking_id).in_(ids)))).all()


async def unbilled(session: AsyncSession, *, livemode: bool) -> Counter[str]:
    """Return per operator how many payments are kept and have no invoice here."""
    rows = (await session.execute(_UNBILLED, {"livemode": livemode})).all()
    return Counter({row[0]: row[1] for row in rows})


async def creditable(session: AsyncSession, *, test: bool, since: datetime) -> Counter[str]:
    """Return per operator how many invoices could be cancelled after then."""
    rows = (await session.execute(_CREDITABLE, {"test": test, "since": since})).all()
    return Counter({row[0]: row[1] for row in rows})


async def with_entries(session: AsyncSession) -> set[str]:
    """Return the operators whose journal has begun."""
    return set((await session.exec(select(JournalEntry.operator).distinct())).all())


async def list_sellers(session: AsyncSession) -> list[str]:
    """Return all operators that sell."""
    return list((await session.exec(select(Seller.operator).order_by(col(Seller.operator)))).all())


async def leave_out(
    session: AsyncSession, operator: str, series: str, *, upto: int | None, count: int, epoch: int, reason: str,
    now: datetime,
) -> NumberGap | None:  # fmt: skip
    """Move a counter past ``count`` numbers, or past the number ``upto`` if that is further; write down the gap."""
    query = select(NumberSeries).where(NumberSeries.operator == operator, NumberSeries.series == series)
    counter = (await session.exec(query.with_for_update())).one_or_none()
    if counter is None:
        counter = NumberSeries(operator=operator, series=series, last_number=0, last_hash=GENESIS)
    first, last = counter.last_number + 1, max(counter.last_number + count, upto or 0)
    if last < first:
        return None
    counter.last_number = last
    gap = NumberGap(
        operator=operator, series=series, first_number=first, last_number=last, epoch=epoch, reason=reason, noted_at=now
    )
    session.add_all((counter, gap))
    await session.flush()
    return gap


async def paid_of(session: AsyncSession, bookings: Sequence[UUID]) -> Sequence[Payment]:
    """Return the payments of these bookings that brought money."""
    query = select(Payment).where(col(Payment.booking_id).in_(bookings), Payment.paid_cents > 0)
    return (await session.exec(query.order_by(col(Payment.id)))).all()


async def drop_overtaken(session: AsyncSession) -> None:
    """Take back facts that nobody has heard and that a newer one of the same payment makes untrue.

    Money that came and went in the lost window must not confirm a booking in between.
    """
    await session.execute(_OVERTAKEN)


async def find_uncalled_refund(session: AsyncSession, payment_id: UUID, cents: int) -> ProviderIntent | None:
    """Return a refund's call of this amount that nobody has made yet from here."""
    query = (
        select(ProviderIntent)
        .join(Refund, col(Refund.id) == col(ProviderIntent.refund_id))
        .where(
            ProviderIntent.payment_id == payment_id,
            ProviderIntent.kind == "refund",
            ProviderIntent.state == "pending",
            col(ProviderIntent.first_called_at).is_(None),
            Refund.amount_cents == cents,
        )
        .order_by(col(ProviderIntent.created_at))
        .limit(1)
        .with_for_update(of=ProviderIntent)
    )
    return (await session.exec(query)).one_or_none()
