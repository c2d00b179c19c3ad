"""After a restore: payments lead, numbers leap, and the provider's books are taken over, once each.

``lead`` comes before booking's reconcile and says what booking must know; ``reconcile`` comes after it. Both run as the
schema's owner while no program does, and both may be repeated.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.document import INVOICE
from regiohub_billing.domain.numbering import read_known
from regiohub_billing.domain.payment import PaymentStatus, RefundStatus
from regiohub_billing.providers.port import Checkout, NoAnswer, Provider, RefundSeen, Refused, uuid_of
from regiohub_billing.repo import bookings as repo
from regiohub_billing.repo import ledger as ledger_repo
from regiohub_billing.repo import restoring
from regiohub_billing.tables import Charge, Payment, Refund
from regiohub_billing.usecases import numbering, outcomes, settling
from regiohub_billing.usecases.books import Books, read_books, unknown_refunds
from regiohub_billing.usecases.planning import plan_expiry
from regiohub_shared.clock import real_now
from regiohub_shared.contracts.booking import BookedLine, BookingChanged, PaymentVerdict
from regiohub_shared.contracts.witness import GivenBack, Witness
from regiohub_shared.db.database import Database
from regiohub_shared.db.epoch import find_epoch, floor_of, raise_epoch
from regiohub_shared.problem import Problem
from regiohub_shared.restore import Report, Restored

# ---------------------------------------------------------------- lead


async def lead(db: Database, provider: Provider, restored: Restored, report: Report, *, now: datetime) -> Witness:
    """Raise the epoch, let the numbers leap (once per backup), and say what is known here and at the provider.

    Raises ``BooksClosed`` and ``UnreadableNumber`` before anything is written. ``now`` is business time.
    """
    known = [read_known(text) for text in restored.numbers]
    books = await read_books(provider, restored.backup_at)
    async with db.session() as session:
        if await find_epoch(session, restored.backup_at) is None:
            own = (await restoring.highest_versions(session))["billing"]
            epoch = await raise_epoch(
                session, backup_at=restored.backup_at, heard=[own, *restored.heard_from("billing")], now=real_now()
            )
            await restoring.lead(session, floor_of(epoch))
            booking = restored.of("booking")
            owners = {fact.booking_id: fact.operator for fact in booking.bookings} if booking else {}
            restore = numbering.Restore(epoch, restored.backup_at, provider.livemode, now)
            gaps = await numbering.leave_out(session, restore, books, known, owners)
            report.say(f"epoch {epoch}: every payment's version leads from {floor_of(epoch)}")
            report.list(
                "numbers left out, since documents with them may be outside:",
                (f"{gap.operator} {gap.series} {gap.first_number}-{gap.last_number}" for gap in gaps),
            )
        else:
            report.say("the epoch was raised and the numbers leapt in an earlier run")
        return await _witness(session, restored, books)


async def witness(db: Database, provider: Provider, restored: Restored) -> Witness:
    """Say what is known here and at the provider, where only a neighbour was restored; raises ``BooksClosed``."""
    books = await read_books(provider, restored.backup_at)
    async with db.session() as session:
        return await _witness(session, restored, books)


async def _witness(session: AsyncSession, restored: Restored, books: Books) -> Witness:
    charges = await restoring.charges_ending_after(session, restored.since)
    return Witness(
        service="billing", since=restored.since, highest=await restoring.highest_versions(session),
        bookings=tuple(_fact(charge) for charge in charges),
        given_back=tuple(await _given_back(session, restored, books)),
    )  # fmt: skip


def _fact(charge: Charge) -> BookingChanged:
    """Return a booking as billing heard it; stamps that no money depends on are not kept here."""
    return BookingChanged.model_validate(
        charge.model_dump(exclude={"lines", "verdicts", "problem"})
        | {
            "hub_name": charge.lines[0].get("hub_name", ""),
            "lines": [BookedLine.model_validate(line) for line in charge.lines],
            "payments": [
                PaymentVerdict.model_validate({"payment_id": key, "verdict": verdict})
                for key, verdict in charge.verdicts.items()
            ],
            "held_at": None, "expired_at": None, "checked_in_at": None, "completed_at": None,
        }
    )  # fmt: skip


async def _given_back(session: AsyncSession, restored: Restored, books: Books) -> list[GivenBack]:
    """Return the bookings that were paid for and kept, and whose money went back after the backup."""
    cents: dict[UUID, int] = {}
    for seen in await unknown_refunds(session, books):
        payment_id = UUID(seen.payment_id)
        cents[payment_id] = cents.get(payment_id, 0) + seen.amount_cents
    paid = {page.received.payment_id: page.received for page in books.checkouts}
    found = []
    for payment_id, back in cents.items():
        payment = await repo.find_payment(session, payment_id)
        page = paid.get(str(payment_id))
        booking_id = payment.booking_id if payment else uuid_of(page.booking_id) if page else None
        if booking_id and await _is_accepted(session, restored, booking_id, payment_id):
            amount = payment.amount_cents if payment else page.amount_cents if page else back
            found.append(GivenBack(booking_id=booking_id, fee_cents=max(0, amount - back)))
    return found


async def _is_accepted(session: AsyncSession, restored: Restored, booking_id: UUID, payment_id: UUID) -> bool:
    charge = await repo.find_charge(session, booking_id)
    if charge is not None and charge.verdicts.get(str(payment_id)) == "accepted":
        return True
    booking = restored.of("booking")
    facts = [fact for fact in booking.bookings if fact.booking_id == booking_id] if booking else []
    return any(item.payment_id == payment_id and item.verdict == "accepted" for f in facts for item in f.payments)


# ---------------------------------------------------------------- reconcile


async def reconcile(
    db: Database, provider: Provider, restored: Restored, report: Report, *, now: datetime, is_restored: bool = True
) -> None:
    """Take over booking's bookings and the provider's books; each payment and each refund ends up here once.

    Raises ``RuntimeError`` unless ``lead`` ran and booking's witness is there. ``now`` is business time.
    """
    booking = restored.of("booking")
    if booking is None:
        raise RuntimeError("billing follows booking: give booking's witness, made after its own reconcile")
    async with db.session() as session:
        if is_restored and await find_epoch(session, restored.backup_at) is None:
            raise RuntimeError("run `lead` for this backup first: no document may be issued before the numbers leap")
    books = await read_books(provider, restored.backup_at)
    for fact in booking.bookings:
        await _follow(db, fact, report, now=now)
    closing = [page for page in books.checkouts if not await _take_over(db, page, report, now=now)]
    for refund in books.refunds:
        async with db.session() as session:
            await _take_refund(session, refund, now=now)
    for dispute in books.disputes:
        async with db.session() as session:
            payment = await repo.find_payment_by_provider(session, dispute.provider_payment_id)
            await outcomes.note_dispute(session, payment, dispute, now=now)
    await _close(provider, closing, report)
    await _tell(db, booking, report)


async def _follow(db: Database, fact: BookingChanged, report: Report, *, now: datetime) -> None:
    try:
        async with db.session() as session:
            await settling.apply_booking(session, fact, now=now)
    except Problem as refusal:
        report.say(f"LOOK AT: booking {fact.code} is not taken over: {refusal.title}")


async def _take_over(db: Database, page: Checkout, report: Report, *, now: datetime) -> bool:
    """Bring one payment to what its page says, written anew if it was lost; False: the page must be closed by us."""
    async with db.session() as session:
        payment_id, booking_id = uuid_of(page.received.payment_id), uuid_of(page.received.booking_id)
        if payment_id is None or booking_id is None:
            return True
        payment = await outcomes.lock_payment(session, payment_id)
        if payment is None:
            payment = await _written_anew(session, page, payment_id, booking_id)
            if payment is None:
                return await _nobodys(session, page, report, now=now)
            charge = await repo.find_charge(session, booking_id)
            report.say(_said(page, charge))
        before = payment.status
        await outcomes.apply_checkout(session, payment, page, now=now)
        if before == PaymentStatus.EXPIRED and page.status is PaymentStatus.OPEN:
            await plan_expiry(session, payment)
    return True


def _said(page: Checkout, charge: Charge | None) -> str:
    money = f"{page.received.amount_cents} cents, payment {page.received.payment_id}"
    if page.status is not PaymentStatus.SUCCEEDED:
        return f"an unpaid page of the lost window is closed: {money}"
    if charge is None:
        return f"paid in the lost window for a booking that is lost, goes back: {money}"
    return f"paid in the lost window, taken over for booking {charge.code}: {money}"


async def _written_anew(session: AsyncSession, page: Checkout, payment_id: UUID, booking_id: UUID) -> Payment | None:
    """Return the payment that was lost; None if nobody can say whose money it is. The buyer's name is lost with it.

    It begins as expired, so that it stands beside another open one; money still moves it on.
    """
    charge = await repo.lock_charge(session, booking_id)
    operator = charge.operator if charge else page.operator
    if await ledger_repo.find_seller(session, operator) is None:
        return None
    now = real_now()
    payment = Payment(
        id=payment_id, booking_id=booking_id, operator=operator, sub=charge.sub if charge else "",
        status=PaymentStatus.EXPIRED, amount_cents=page.received.amount_cents, currency=page.received.currency,
        livemode=page.received.livemode, buyer={}, provider="stripe", provider_session_id=page.session_id,
        created_at=now, checked_at=now, expires_at=page.expires_at,
    )  # fmt: skip
    session.add(payment)
    await session.flush()
    return payment


async def _nobodys(session: AsyncSession, page: Checkout, report: Report, *, now: datetime) -> bool:
    if page.status is PaymentStatus.SUCCEEDED:
        await outcomes.note_unknown_checkout(session, page, now=now)
        report.say(f"LOOK AT: money that belongs to no town, on the county's list: {page.provider_payment_id}")
    return page.status is not PaymentStatus.OPEN


async def _take_refund(session: AsyncSession, seen: RefundSeen, *, now: datetime) -> None:
    """Bring one refund to what the provider says.

    A refund that settling has just planned anew is the one that was made then: it is not made twice.
    """
    found = await repo.find_payment_by_provider(session, seen.provider_payment_id)
    payment = await outcomes.lock_payment(session, found.id) if found else None
    refund_id = uuid_of(seen.refund_id)
    known = await repo.find_refund_by_provider(session, seen.provider_refund_id)
    known = known or (await repo.find_refund(session, refund_id) if refund_id else None)
    if payment is None or (known is None and seen.status is RefundStatus.FAILED):
        return
    if known is None and refund_id is not None:
        known = await _lost_refund(session, payment, seen, refund_id)
    if known is None:
        await outcomes.note_unknown_refund(session, payment, seen, now=now)
    else:
        await outcomes.apply_refund(session, known.id, seen, now=now)


async def _lost_refund(session: AsyncSession, payment: Payment, seen: RefundSeen, refund_id: UUID) -> Refund | None:
    planned = await restoring.find_uncalled_refund(session, payment.id, seen.amount_cents)
    if planned is not None and planned.refund_id is not None:
        planned.state, planned.finished_at = "done", real_now()
        await session.flush()
        return await repo.find_refund(session, planned.refund_id)
    if await ledger_repo.find_document(session, payment.id, INVOICE) is not None:
        return None
    now = real_now()
    refund = Refund(
        id=refund_id, payment_id=payment.id, document_id=None, reason="lost_slot", amount_cents=seen.amount_cents,
        status=RefundStatus.CREATED, created_at=now, checked_at=now,
    )  # fmt: skip
    session.add(refund)
    await session.flush()
    return refund


async def _close(provider: Provider, pages: Sequence[Checkout], report: Report) -> None:
    """Close pages on which somebody could still pay for nothing."""
    for page in pages:
        try:
            await provider.expire_checkout(page.session_id, f"ex:restore:{page.session_id}")
            report.say(f"an unpaid page of nobody's was closed: {page.session_id}")
        except (NoAnswer, Refused) as error:
            report.say(f"LOOK AT: an unpaid page could not be closed: {page.session_id}: {error}")


async def _tell(db: Database, booking: Witness, report: Report) -> None:
    """Tell booking of every payment that it may not have heard of."""
    async with db.session() as session:
        paid = await restoring.paid_of(session, [fact.booking_id for fact in booking.bookings])
        for payment in paid:
            await outcomes.tell_booking(session, payment)
        await restoring.drop_overtaken(session)
        told = {fact.booking_id for fact in booking.bookings}
        charges = await restoring.charges_ending_after(session, booking.since)
        report.say(f"{len(paid)} payments are told anew")
        report.list(
            "LOOK AT: charged here, and no booking of booking's:",
            (f"{charge.code} {charge.status}" for charge in charges if charge.booking_id not in told),
        )
