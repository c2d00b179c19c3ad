"""After a restore: numbers go on after the last one that can be known outside, and each gap is written down."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.numbering import FILES, Known, Lost, skips
from regiohub_billing.providers.port import uuid_of
from regiohub_billing.repo import bookings as repo
from regiohub_billing.repo import restoring
from regiohub_billing.tables import ClearingItem, NumberGap
from regiohub_billing.usecases.books import Books, unknown_money, unknown_refunds
from regiohub_billing.usecases.planning import clearing

_NOBODY = ""
"""Whose operator cannot be told counts for everybody."""


@dataclass(frozen=True, slots=True)
class Restore:
    """The restore that a gap belongs to; ``now`` is business time."""

    epoch: int
    backup_at: datetime
    livemode: bool
    now: datetime


async def leave_out(
    session: AsyncSession, restore: Restore, books: Books, known: Sequence[Known], owners: Mapping[UUID, str]
) -> list[NumberGap]:
    """Let every counter leap; ``owners`` names the operator of bookings that only a neighbour knows."""
    lost = await _lost(session, restore, books, owners)
    gaps: list[NumberGap] = []
    for operator in await restoring.list_sellers(session):
        own = await _leap(session, restore, operator, lost, [one for one in known if one.operator == operator])
        if own:
            await repo.note_clearing(session, _case(restore, operator, own))
        gaps += own
    return gaps


async def _leap(
    session: AsyncSession, restore: Restore, operator: str, lost: Mapping[str, Lost], known: Sequence[Known]
) -> list[NumberGap]:
    reason = f"restored from the backup of {restore.backup_at:%Y-%m-%d %H:%M:%S}Z; documents issued later are lost"
    told = {one.series: one.number for one in known}
    since, until = restore.backup_at, restore.now
    wanted = {
        # A file's number is told or leaps widely; a told one is better than a guess.
        series: 0 if series == FILES and series in told else count
        for series, count in skips(lost[operator], since=since, until=until, test=not restore.livemode)
    }
    gaps = [
        await restoring.leave_out(
            session, operator, series, upto=told.get(series), count=wanted.get(series, 0), epoch=restore.epoch,
            reason=reason, now=restore.now,
        )
        for series in sorted(wanted.keys() | told.keys())
    ]  # fmt: skip
    return [gap for gap in gaps if gap is not None]


async def _lost(session: AsyncSession, restore: Restore, books: Books, owners: Mapping[UUID, str]) -> dict[str, Lost]:
    invoices = await restoring.unbilled(session, livemode=restore.livemode)
    refunds: Counter[str] = Counter()
    for page in await unknown_money(session, books):
        booking_id = uuid_of(page.received.booking_id)
        invoices[await _owner(session, booking_id, owners) or page.operator] += 1
    pages = {page.received.payment_id: page for page in books.checkouts}
    for seen in await unknown_refunds(session, books):
        payment_id = uuid_of(seen.payment_id)
        payment = await repo.find_payment(session, payment_id) if payment_id else None
        named = pages.get(seen.payment_id)
        refunds[payment.operator if payment else named.operator if named else _NOBODY] += 1
    creditable = await restoring.creditable(session, test=not restore.livemode, since=restore.backup_at)
    begun = await restoring.with_entries(session)
    return {
        operator: Lost(
            invoices[operator] + invoices[_NOBODY], refunds[operator] + refunds[_NOBODY], creditable[operator],
            has_books=operator in begun or bool(invoices[operator] + invoices[_NOBODY]),
        )
        for operator in await restoring.list_sellers(session)
    }  # fmt: skip


async def _owner(session: AsyncSession, booking_id: UUID | None, owners: Mapping[UUID, str]) -> str:
    charge = await repo.find_charge(session, booking_id) if booking_id else None
    return charge.operator if charge else owners.get(booking_id, _NOBODY) if booking_id else _NOBODY


def _case(restore: Restore, operator: str, gaps: Sequence[NumberGap]) -> ClearingItem:
    said = ", ".join(f"{gap.series} {gap.first_number}-{gap.last_number}" for gap in gaps)
    return clearing(
        "restored", f"{operator}:{restore.epoch}", operator, None, cents=0, now=restore.now,
        detail=f"Backup of {restore.backup_at:%Y-%m-%d %H:%M:%S}Z. Left out: {said}",
    )  # fmt: skip
