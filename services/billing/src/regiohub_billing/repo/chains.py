"""The hash chains as they stand: their ends as noted when each number was taken, and their rows in pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.tables import Document, JournalEntry


@dataclass(frozen=True, slots=True)
class End:
    """The last number of a chain and the hash of the row that took it."""

    operator: str
    series: str
    journal: bool
    last_number: int
    last_hash: str


_ENDS = text(
    "SELECT s.operator, s.series, s.series IN ('J', 'TEST-J') AS journal, s.last_number, s.last_hash "
    "FROM number_series s WHERE s.series <> 'HKR' UNION ALL "
    # Rows whose counter is gone: nothing says where they end, so the end cannot fit.
    "SELECT d.operator, d.series, d.journal, 0, '' FROM ("
    "SELECT operator, series, false AS journal FROM document UNION SELECT operator, series, true FROM journal_entry"
    ") d WHERE NOT EXISTS (SELECT 1 FROM number_series n WHERE n.operator = d.operator AND n.series = d.series) "
    "ORDER BY 1, 2"
)


async def ends(session: AsyncSession) -> list[End]:
    """Return every chain with its noted end."""
    rows = (await session.execute(_ENDS)).all()
    return [End(row.operator, row.series, row.journal, row.last_number, row.last_hash) for row in rows]


_GAPS = text(
    "SELECT operator, series, first_number, last_number FROM number_gap ORDER BY operator, series, first_number"
)


async def gaps(session: AsyncSession) -> dict[tuple[str, str], dict[int, int]]:
    """Return the numbers that are left out on record: per operator and series the first and the last of each gap."""
    found: dict[tuple[str, str], dict[int, int]] = {}
    for row in (await session.execute(_GAPS)).all():
        found.setdefault((row.operator, row.series), {})[row.first_number] = row.last_number
    return found


async def documents(session: AsyncSession, end: End, *, after: int, limit: int) -> Sequence[Document]:
    """Return the next documents of a chain, up to its noted end."""
    query = select(Document).where(
        col(Document.operator) == end.operator, col(Document.series) == end.series,
        col(Document.serial) > after, col(Document.serial) <= end.last_number,
    )  # fmt: skip
    return (await session.exec(query.order_by(col(Document.serial)).limit(limit))).all()


async def entries(session: AsyncSession, end: End, *, after: int, limit: int) -> Sequence[JournalEntry]:
    """Return the next journal entries of a chain, up to its noted end."""
    query = select(JournalEntry).where(
        col(JournalEntry.operator) == end.operator, col(JournalEntry.series) == end.series,
        col(JournalEntry.serial) > after, col(JournalEntry.serial) <= end.last_number,
    )  # fmt: skip
    return (await session.exec(query.order_by(col(JournalEntry.serial)).limit(limit))).all()
