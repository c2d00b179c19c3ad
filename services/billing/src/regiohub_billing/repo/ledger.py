"""Sellers, numbers, documents, journal and exports. A seller's row is the lock of its ledger."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import defer
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.chain import GENESIS
from regiohub_billing.domain.document import Line
from regiohub_billing.domain.journal import EntryKind
from regiohub_billing.domain.tax import TaxRule
from regiohub_billing.tables import (
    Document,
    DocumentLine,
    ExportBatch,
    ExportRow,
    JournalEntry,
    JournalLine,
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


async def add_seller(session: AsyncSession, values: dict[str, Any]) -> bool:
    """Insert unless another transaction was first; return whether we were."""
    statement = insert(Seller).values(**values).on_conflict_do_nothing().returning(col(Seller.operator))
    return (await session.execute(statement)).one_or_none() is not None


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


async def entry_lines(session: AsyncSession, entry_ids: Sequence[UUID]) -> dict[UUID, list[JournalLine]]:
    """Return the lines of each entry."""
    query = select(JournalLine).where(col(JournalLine.entry_id).in_(entry_ids))
    found: dict[UUID, list[JournalLine]] = {entry_id: [] for entry_id in entry_ids}
    for line in (await session.exec(query.order_by(col(JournalLine.entry_id), col(JournalLine.position)))).all():
        found[line.entry_id].append(line)
    return found


async def list_unexported(
    session: AsyncSession, operator: str, *, test: bool, after: int, limit: int
) -> Sequence[JournalEntry]:
    """Return the real or the sandbox entries that stand in no batch yet, behind serial ``after``, in their order."""
    exported = exists().where(col(ExportRow.entry_id) == col(JournalEntry.id))
    query = (
        select(JournalEntry)
        .where(
            col(JournalEntry.operator) == operator,
            col(JournalEntry.test).is_(test),
            col(JournalEntry.serial) > after,
            ~exported,
        )
        .order_by(col(JournalEntry.serial))
        .limit(limit)
    )
    return (await session.exec(query)).all()


async def unexported_invoices(
    session: AsyncSession, operator: str, *, test: bool, numbers: Collection[str]
) -> set[str]:
    """Return those of these invoices whose own real or sandbox entry stands in no batch yet."""
    exported = exists().where(col(ExportRow.entry_id) == col(JournalEntry.id))
    query = (
        select(Document.number)
        .join(JournalEntry, col(JournalEntry.source_id) == col(Document.id))
        .where(
            col(Document.operator) == operator,
            col(Document.number).in_(numbers),
            col(JournalEntry.kind) == EntryKind.INVOICE.value,
            col(JournalEntry.test).is_(test),
            ~exported,
        )
    )
    return set((await session.exec(query)).all())


_ANY_EXPORTED = text("SELECT EXISTS (SELECT 1 FROM export_row WHERE entry_id = ANY (CAST(:entries AS uuid[])))")
_ADD_ROWS = text(
    "INSERT INTO export_row (entry_id, part, batch_id, position) SELECT entry_id, part, :batch_id, position "
    "FROM unnest(CAST(:entries AS uuid[]), CAST(:parts AS integer[]), CAST(:positions AS integer[])) "
    "AS t (entry_id, part, position)"
)


async def any_exported(session: AsyncSession, entries: Sequence[UUID]) -> bool:
    """Say whether one of these entries stands in a batch already."""
    return bool((await session.execute(_ANY_EXPORTED, {"entries": list(entries)})).scalar_one())


async def add_export_rows(session: AsyncSession, batch_id: UUID, rows: Sequence[tuple[UUID, int, int]]) -> None:
    """Note where each part of each entry stands: ``(entry, part, position)``."""
    entries, parts, positions = ([row[n] for row in rows] for n in range(3))
    names = {"batch_id": batch_id, "entries": entries, "parts": parts, "positions": positions}
    await session.execute(_ADD_ROWS, names)


async def documents_of_payments(session: AsyncSession, payment_ids: Sequence[UUID]) -> Sequence[Document]:
    """Return the documents for these payments."""
    return (await session.exec(select(Document).where(col(Document.payment_id).in_(payment_ids)))).all()


async def find_batch(session: AsyncSession, batch_id: UUID) -> ExportBatch | None:
    """Return one batch."""
    return await session.get(ExportBatch, batch_id)


async def list_batches(
    session: AsyncSession, operator: str, *, before: int | None, limit: int
) -> Sequence[ExportBatch]:
    """Return an operator's batches without their files, newest first."""
    # SQLModel's rows do not show their columns to the type checker.
    slim = defer(ExportBatch.content)  # type: ignore[arg-type]
    query = select(ExportBatch).options(slim).where(col(ExportBatch.operator) == operator)
    if before is not None:
        query = query.where(col(ExportBatch.number) < before)
    return (await session.exec(query.order_by(col(ExportBatch.number).desc()).limit(limit))).all()
