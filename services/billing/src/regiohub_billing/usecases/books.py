"""The provider's own books beside ours: what it has taken and given back for us since a moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.payment import PaymentStatus, RefundStatus
from regiohub_billing.providers.port import Checkout, DisputeSeen, NoAnswer, Provider, RefundSeen, Refused, uuid_of
from regiohub_billing.repo import bookings as repo

PAGE_LIFE = timedelta(hours=25)
"""A page that was opened so long before a moment can still have been paid after it."""


class BooksClosed(RuntimeError):
    """The provider does not show its books, so nothing that depends on them is done."""


@dataclass(frozen=True, slots=True)
class Books:
    """Pages that name a payment of ours, refunds and disputes; oldest first."""

    checkouts: tuple[Checkout, ...]
    refunds: tuple[RefundSeen, ...]
    disputes: tuple[DisputeSeen, ...]

    def refunds_of(self, provider_payment_id: str) -> list[RefundSeen]:
        """Return what went back of one payment."""
        return [seen for seen in self.refunds if seen.provider_payment_id == provider_payment_id]


async def read_books(provider: Provider, since: datetime) -> Books:
    """Read what was opened, paid and given back since then; raises :class:`BooksClosed`."""
    try:
        return Books(
            tuple(await provider.list_checkouts(since - PAGE_LIFE)),
            tuple(await provider.list_refunds(since)),
            tuple(await provider.list_disputes(since)),
        )
    except (NoAnswer, Refused) as error:
        raise BooksClosed(f"the payment provider's books cannot be read: {error}") from error


async def unknown_refunds(session: AsyncSession, books: Books) -> list[RefundSeen]:
    """Return the refunds made by us (they name our payment) that stand or stood, and of which our books know nothing."""
    found = []
    for seen in books.refunds:
        if uuid_of(seen.payment_id) is None or seen.status is RefundStatus.FAILED:
            continue
        refund_id = uuid_of(seen.refund_id)
        by_id = await repo.find_refund(session, refund_id) if refund_id else None
        if by_id is None and await repo.find_refund_by_provider(session, seen.provider_refund_id) is None:
            found.append(seen)
    return found


async def unknown_money(session: AsyncSession, books: Books) -> list[Checkout]:
    """Return the paid pages whose payment our books do not have, or not as paid."""
    found = []
    for seen in books.checkouts:
        payment_id = uuid_of(seen.received.payment_id)
        payment = await repo.find_payment(session, payment_id) if payment_id else None
        if seen.status is PaymentStatus.SUCCEEDED and (payment is None or not payment.paid_cents):
            found.append(seen)
    return found


async def differences(session: AsyncSession, books: Books) -> list[str]:
    """Return in words where our books and the provider's differ, payment by payment; none: they are equal."""
    wrong = [
        f"payment {seen.received.payment_id}: paid {seen.received.amount_cents} cents at the provider, not here"
        for seen in await unknown_money(session, books)
    ]
    wrong += [
        f"payment {seen.payment_id}: {seen.amount_cents} cents went back at the provider, not here"
        for seen in await unknown_refunds(session, books)
    ]
    for seen in books.checkouts:
        wrong += await _amounts(session, seen, _given(books, seen))
    return wrong


def _given(books: Books, seen: Checkout) -> Mapping[str, int]:
    ours = [one for one in books.refunds_of(seen.provider_payment_id) if one.payment_id]
    return {one.provider_refund_id: one.amount_cents for one in ours if one.status is RefundStatus.SUCCEEDED}


async def _amounts(session: AsyncSession, seen: Checkout, given: Mapping[str, int]) -> list[str]:
    payment_id = uuid_of(seen.received.payment_id)
    payment = await repo.find_payment(session, payment_id) if payment_id else None
    if payment is None or not payment.paid_cents:
        return []
    if seen.status is not PaymentStatus.SUCCEEDED:
        return [f"payment {payment.id}: paid here, {seen.status.value} at the provider"]
    if payment.paid_cents != seen.received.amount_cents:
        return [f"payment {payment.id}: {payment.paid_cents} cents here, {seen.received.amount_cents} at the provider"]
    ours = [one for one in await repo.list_refunds(session, [payment.id]) if one.provider_refund_id in given]
    if ours and sum(one.amount_cents for one in ours) != sum(given.values()):
        return [f"payment {payment.id}: other refunds here than the {sum(given.values())} cents at the provider"]
    return []
