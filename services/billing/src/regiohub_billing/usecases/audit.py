"""Walk the hash chains of documents and journal: what was issued is what stands there."""

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.chain import first_break
from regiohub_billing.repo import ledger as repo

from . import ledger


async def broken_chains(session: AsyncSession) -> list[dict[str, str | int]]:
    """Return the first row that does not fit of each broken chain; an empty list means all is well."""
    broken: list[dict[str, str | int]] = []
    for operator, series in await repo.series_of_documents(session):
        documents = await repo.documents_in(session, operator, series)
        lines = await repo.document_lines(session, [document.id for document in documents])
        rows = [(d.prev_hash, d.hash, ledger.document_content(d, lines[d.id])) for d in documents]
        serials = [d.serial for d in documents]
        broken += _report(operator, series, serials, first_break(rows))
    for operator, series in await repo.series_of_journal(session):
        entries = await repo.entries_in(session, operator, series)
        content = [ledger.entry_content(entry, await repo.entry_lines(session, entry.id)) for entry in entries]
        chained = [(e.prev_hash, e.hash, c) for e, c in zip(entries, content, strict=True)]
        broken += _report(operator, series, [e.serial for e in entries], first_break(chained))
    return broken


def _report(operator: str, series: str, serials: list[int], position: int | None) -> list[dict[str, str | int]]:
    gap = next((n for n, serial in enumerate(serials) if serial != serials[0] + n), None)
    found = min((x for x in (position, gap) if x is not None), default=None)
    return [] if found is None else [{"operator": operator, "series": series, "serial": serials[found]}]
