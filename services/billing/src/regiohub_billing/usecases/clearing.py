"""Close a case of the clearing list: who, when, what was done. Once, for good."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.payment import RefundStatus
from regiohub_billing.repo import bookings as repo
from regiohub_billing.repo import ledger
from regiohub_billing.tables import ClearingItem
from regiohub_billing.usecases.outcomes import lock_payment
from regiohub_billing.usecases.planning import plan_refund
from regiohub_shared.auth.principal import Principal
from regiohub_shared.problem import Conflict, NotFound


class CaseClosed(Conflict):
    """Somebody has closed this case already."""

    type = "case-closed"
    title = "This case is closed already"


class NoRefundToRetry(Conflict):
    """Only a failed refund can be tried again, and only while money of its payment is left."""

    type = "no-refund-to-retry"
    title = "There is no refund to try again"


_NONE = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Case:
    """A case with what it is about: the booking's code and the numbers of its documents, if its payment is known."""

    item: ClearingItem
    booking_code: str
    documents: tuple[str, ...]


async def name_cases(session: AsyncSession, items: Sequence[ClearingItem]) -> list[Case]:
    """Return the cases with their names, in order."""
    payments = [item.payment_id for item in items if item.payment_id]
    codes = await repo.booking_codes(session, payments)
    # What has no invoice yet is about its booking, whatever was paid for it.
    unbilled = {item.id: UUID(item.source) for item in items if item.kind == "not_invoiced"}
    stuck = await repo.codes_of(session, list(unbilled.values()))
    documents = await ledger.documents_of_payments(session, payments)
    return [
        Case(
            item, codes.get(item.payment_id, "") if item.payment_id else stuck.get(unbilled.get(item.id, _NONE), ""),
            tuple(sorted(one.number for one in documents if one.payment_id == item.payment_id)),
        )
        for item in items
    ]  # fmt: skip


async def resolve(
    session: AsyncSession, principal: Principal, case_id: UUID, *, note: str, retry_refund: bool, now: datetime
) -> ClearingItem:
    """Close a case, with a new refund in place of a failed one if asked for.

    The same request again returns the closed case. Raises ``NotFound``, :class:`CaseClosed`,
    :class:`NoRefundToRetry`.
    """
    found = await repo.find_clearing(session, case_id)
    if found is None or not principal.is_finance_of(found.operator):
        raise NotFound("There is no such case.")
    # The order of locks: charge and payments before anything that hangs on them.
    payment = await lock_payment(session, found.payment_id) if retry_refund and found.payment_id else None
    item = await repo.lock_clearing(session, case_id)
    if item.resolved_at is not None:
        if (item.resolved_by, item.note) == (principal.sub, note):
            return item
        raise CaseClosed(resolved_at=item.resolved_at.isoformat())
    if retry_refund:
        failed = await repo.find_refund(session, UUID(item.source)) if item.kind == "refund_failed" else None
        if payment is None or failed is None or failed.status != RefundStatus.FAILED:
            raise NoRefundToRetry
        again = await plan_refund(
            session, payment, failed.amount_cents, reason=failed.reason, document_id=failed.document_id
        )
        if again is None:
            raise NoRefundToRetry
    item.resolved_at, item.resolved_by, item.note = now, principal.sub, note
    await session.flush()
    return item
