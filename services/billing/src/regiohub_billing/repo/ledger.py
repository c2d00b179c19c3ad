"""Sellers, numbers, documents, journal and exports. A seller's row is the lock of its ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, exists, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.chain import GENESIS
from regiohub_billing.domain.document import Line
from regiohub_billing.domain.tax import TaxRule
from regiohub_billing.tables import (
    Document,
    DocumentLine,
    ExportBatch,
    ExportRow,
    JournalEntry,
    JournalLine,
    Payment,
    Seller,
    TaxRuleRow,
)


@dataclass(frozen=True, slots=True)
class Taken:
    """A number and the hash of the row before it."""

    number: int
    last_hash: str


async def find_seller(session: AsyncSession, operator: str) -> Seller | None:
    """Return the seller of an operator."""
    return await session.get(Seller, operator)


async def lock_seller(session: AsyncSession, operator: str) -> Seller | None:
    """Return the seller and be alone in its ledger until the transaction ends."""
    query = select(Seller).where(col(Seller.operator) == operator).with_for_update()
    return (await session.exec(query.execution_options(populate_existing=True))).one_or_none()


async def list_rules(session: AsyncSession, operator: str) -> list[TaxRule]:
    """Return all tax rules of a seller, past and future ones too."""
    query = select(TaxRuleRow).where(col(TaxRuleRow.operator) == operator)
    rows = (await session.exec(query.order_by(col(TaxRuleRow.tax_code), col(TaxRuleRow.valid_from)))).all()
    return [
        TaxRule(
            tax_code=row.tax_code,
            valid_from=row.valid_from,
            rate_percent=row.rate_percent,
            category=row.category,
            note=row.note,
            revenue_account=row.revenue_account,
        )
        for row in rows
    ]


async def replace_rules(session: AsyncSession, operator: str, rules: Sequence[TaxRule]) -> None:
    """Replace the seller's rules; issued lines keep their own copy."""
    await session.execute(delete(TaxRuleRow).where(col(TaxRuleRow.operator) == operator))
    for rule in rules:
        session.add(
            TaxRuleRow(
                operator=operator,
                tax_code=rule.tax_code,
                valid_from=rule.valid_from,
                rate_percent=rule.rate_percent,
                category=rule.category,
                note=rule.note,
                revenue_account=rule.revenue_account,
            )
        )
    await session.flush()


_TAKE = text(
    "UPDATE number_series SET last_number = last_number + 1 WHERE operator = :operator AND series = :series "
    "RETURNING last_number, last_hash"
)
_OPEN_SERIES = text(
    "INSERT INTO number_series (operator, series, last_number, last_hash) VALUES (:operator, :series, 0, :genesis) "
    "ON CONFLICT DO NOTHING"
)
_CHAIN = text("UPDATE number_series SET last_hash = :hash WHERE operator = :operator AND series = :series")


async def take_number(session: AsyncSession, operator: str, series: str) -> Taken:
    """Take the next number; a rollback gives it back, so no gap can arise."""
    names = {"operator": operator, "series": series}
    row = (await session.execute(_TAKE, names)).one_or_none()
    if row is None:
        await session.execute(_OPEN_SERIES, names | {"genesis": GENESIS})
        row = (await session.execute(_TAKE, names)).one()
    return Taken(row.last_number, row.last_hash)


async def chain(session: AsyncSession, operator: str, series: str, row_hash: str) -> None:
    """Remember the hash of the row that took the last number."""
    await session.execute(_CHAIN, {"operator": operator, "series": series, "hash": row_hash})


async def find_document(session: AsyncSession, payment_id: UUID, kind: str) -> Document | None:
    """Return the document of a kind for a payment."""
    query = select(Document).where(col(Document.payment_id) == payment_id, col(Document.kind) == kind)
    return (await session.exec(query)).one_or_none()


async def get_document(session: AsyncSession, document_id: UUID) -> Document | None:
    """Return one document."""
    return await session.get(Document, document_id)


async def list_documents(session: AsyncSession, booking_id: UUID) -> Sequence[Document]:
    """Return a booking's documents in the order of issue."""
    query = select(Document).where(col(Document.booking_id) == booking_id).order_by(col(Document.id))
    return (await session.exec(query)).all()


async def document_lines(session: AsyncSession, document_ids: Sequence[UUID]) -> dict[UUID, tuple[Line, ...]]:
    """Return the lines of each document."""
    query = select(DocumentLine).where(col(DocumentLine.document_id).in_(document_ids))
    rows = (await session.exec(query.order_by(col(DocumentLine.document_id), col(DocumentLine.position)))).all()
    found: dict[UUID, list[Line]] = {document_id: [] for document_id in document_ids}
    for row in rows:
        found[row.document_id].append(
            Line(
                position=row.position,
                text=row.text,
                supply_from=row.supply_from,
                supply_to=row.supply_to,
                gross_cents=row.gross_cents,
                net_cents=row.net_cents,
                tax_cents=row.tax_cents,
                tax_code=row.tax_code,
                rate_percent=row.rate_percent,
                category=row.category,
                note=row.note,
                revenue_account=row.revenue_account,
            )
        )
    return {document_id: tuple(lines) for document_id, lines in found.items()}


async def find_entry(session: AsyncSession, kind: str, source_id: UUID) -> JournalEntry | None:
    """Return the entry of a kind for a source."""
    query = select(JournalEntry).where(col(JournalEntry.kind) == kind, col(JournalEntry.source_id) == source_id)
    return (await session.exec(query)).one_or_none()


async def entry_lines(session: AsyncSession, entry_id: UUID) -> Sequence[JournalLine]:
    """Return an entry's lines."""
    query = select(JournalLine).where(col(JournalLine.entry_id) == entry_id).order_by(col(JournalLine.position))
    return (await session.exec(query)).all()


async def list_unexported(session: AsyncSession, operator: str, *, limit: int) -> Sequence[JournalEntry]:
    """Return the entries that stand in no batch yet, in the order of the books."""
    exported = exists().where(col(ExportRow.entry_id) == col(JournalEntry.id))
    query = (
        select(JournalEntry)
        .where(col(JournalEntry.operator) == operator, ~exported)
        .order_by(col(JournalEntry.id))
        .limit(limit)
    )
    return (await session.exec(query)).all()


async def documents_of_payments(session: AsyncSession, payment_ids: Sequence[UUID]) -> Sequence[Document]:
    """Return the documents for these payments."""
    return (await session.exec(select(Document).where(col(Document.payment_id).in_(payment_ids)))).all()


async def provider_ids(session: AsyncSession, payment_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the provider's id of each payment."""
    query = select(Payment.id, Payment.provider_payment_id).where(col(Payment.id).in_(payment_ids))
    return dict((await session.exec(query)).all())


async def find_batch(session: AsyncSession, batch_id: UUID) -> ExportBatch | None:
    """Return one batch."""
    return await session.get(ExportBatch, batch_id)


async def list_batches(
    session: AsyncSession, operator: str, *, before: int | None, limit: int
) -> Sequence[ExportBatch]:
    """Return an operator's batches, newest first."""
    query = select(ExportBatch).where(col(ExportBatch.operator) == operator)
    if before is not None:
        query = query.where(col(ExportBatch.number) < before)
    return (await session.exec(query.order_by(col(ExportBatch.number).desc()).limit(limit))).all()


async def series_of_documents(session: AsyncSession) -> list[tuple[str, str]]:
    """Return every (operator, series) of issued documents."""
    query = select(Document.operator, Document.series).distinct()
    return list((await session.exec(query)).all())


async def series_of_journal(session: AsyncSession) -> list[tuple[str, str]]:
    """Return every (operator, series) of the journal."""
    query = select(JournalEntry.operator, JournalEntry.series).distinct()
    return list((await session.exec(query)).all())


async def documents_in(session: AsyncSession, operator: str, series: str) -> Sequence[Document]:
    """Return the documents of a series in the order of their numbers."""
    query = select(Document).where(col(Document.operator) == operator, col(Document.series) == series)
    return (await session.exec(query.order_by(col(Document.serial)))).all()


async def entries_in(session: AsyncSession, operator: str, series: str) -> Sequence[JournalEntry]:
    """Return the entries of a series in the order of their numbers."""
    query = select(JournalEntry).where(col(JournalEntry.operator) == operator, col(JournalEntry.series) == series)
    return (await session.exec(query.order_by(col(JournalEntry.serial)))).all()
