"""What may be seen by whom: a booking's payments and documents; anything else is as if it were not there."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.document import Line
from regiohub_billing.render.document import Printed
from regiohub_billing.repo import bookings as repo
from regiohub_billing.repo import ledger as ledger_repo
from regiohub_billing.tables import Charge, Document, Payment, Refund
from regiohub_shared.auth.principal import Principal
from regiohub_shared.problem import NotFound


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A document with its lines."""

    document: Document
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Paper:
    """A document to print, and whose booking it is about."""

    printed: Printed
    booking_id: UUID
    is_own: bool
    """The reader is the member who booked."""


async def get_charge(session: AsyncSession, principal: Principal, booking_id: UUID) -> Charge:
    """Return a booking's charge; raises ``NotFound`` for others' bookings."""
    charge = await repo.find_charge(session, booking_id)
    if charge is None or not repo.may_read(principal, charge):
        raise NotFound("There is no such booking.")
    return charge


async def list_payments(
    session: AsyncSession, principal: Principal, booking_id: UUID
) -> list[tuple[Payment, list[Refund]]]:
    """Return a booking's payments with their refunds, oldest first."""
    await get_charge(session, principal, booking_id)
    payments = await repo.list_payments(session, booking_id)
    refunds = await repo.list_refunds(session, [payment.id for payment in payments])
    return [(payment, [refund for refund in refunds if refund.payment_id == payment.id]) for payment in payments]


async def list_documents(session: AsyncSession, principal: Principal, booking_id: UUID) -> Sequence[DocumentView]:
    """Return a booking's documents in the order of issue."""
    await get_charge(session, principal, booking_id)
    documents = await ledger_repo.list_documents(session, booking_id)
    lines = await ledger_repo.document_lines(session, [document.id for document in documents])
    return [DocumentView(document, lines[document.id]) for document in documents]


async def get_paper(session: AsyncSession, principal: Principal, document_id: UUID) -> Paper:
    """Return what the printable page of a document shows, and to whom; raises ``NotFound``."""
    document = await ledger_repo.get_document(session, document_id)
    charge = await repo.find_charge(session, document.booking_id) if document else None
    # The same words for one that does not exist and one that is another's.
    if document is None or charge is None or not repo.may_read(principal, charge):
        raise NotFound("There is no such document.")
    lines = (await ledger_repo.document_lines(session, [document_id]))[document_id]
    payment = await repo.find_payment(session, document.payment_id)
    printed = Printed(
        kind=document.kind,
        number=document.number,
        refers_number=document.refers_number,
        test=document.test,
        issue_date=document.issue_date,
        booking_code=document.booking_code,
        seller=document.seller,
        buyer=document.buyer,
        lines=lines,
        net_cents=document.net_cents,
        tax_cents=document.tax_cents,
        gross_cents=document.gross_cents,
        payment_reference=payment.provider_payment_id if payment else "",
    )
    return Paper(printed, document.booking_id, is_own=charge.sub == principal.sub)
