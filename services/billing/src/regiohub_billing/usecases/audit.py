"""Walk the hash chains of documents and journal: what was issued is what stands there, up to the last number given."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.chain import GENESIS, first_break
from regiohub_billing.repo import chains
from regiohub_billing.repo import ledger as repo
from regiohub_billing.usecases import ledger
from regiohub_shared.events.watch import beat

_PAGE = 500
Row = tuple[int, str, str, Mapping[str, Any]]
"""Serial, hash of the row before, own hash, content."""
Gaps = Mapping[int, int]
"""First and last number of each recorded gap."""


async def broken_chains(session: AsyncSession) -> list[dict[str, str | int]]:
    """Return the first serial that is missing or does not fit of each broken chain; an empty list: all is well.

    A number that a restore left out on record is not missing.
    """
    broken: list[dict[str, str | int]] = []
    gaps = await chains.gaps(session)
    for end in await chains.ends(session):
        serial = await _first_wrong(session, end, gaps.get((end.operator, end.series), {}))
        if serial is not None:
            broken.append({"operator": end.operator, "series": end.series, "serial": serial})
    return broken


async def _first_wrong(session: AsyncSession, end: chains.End, gaps: Gaps) -> int | None:
    serial, previous = _over_gaps(0, gaps), GENESIS
    while serial < end.last_number:
        page = await (_entries if end.journal else _documents)(session, end, serial)
        # What was looked at is let go, or ten years of books would pile up in memory.
        session.expunge_all()
        beat()
        wrong = _wrong_in(page, serial, previous, gaps)
        if wrong is not None:
            return wrong
        if not page:
            break
        serial, previous = _over_gaps(page[-1][0], gaps), page[-1][2]
    # A tail that was cut off leaves a chain that fits in itself: the counter knows where it ended.
    return None if (serial, previous) == (end.last_number, end.last_hash) else serial + 1


def _over_gaps(serial: int, gaps: Gaps) -> int:
    """Return the last number of the gaps that begin right behind this one, or the number itself."""
    while serial + 1 in gaps:
        serial = gaps[serial + 1]
    return serial


def _wrong_in(page: Sequence[Row], serial: int, previous: str, gaps: Gaps) -> int | None:
    before = [serial, *(_over_gaps(row[0], gaps) for row in page)]
    gap = next((n for n, row in enumerate(page) if row[0] != before[n] + 1), None)
    unfit = first_break([row[1:] for row in page], previous)
    found = [n for n in (gap, unfit) if n is not None]
    return page[min(found)][0] if found else None


async def _documents(session: AsyncSession, end: chains.End, after: int) -> list[Row]:
    page = await chains.documents(session, end, after=after, limit=_PAGE)
    lines = await repo.document_lines(session, [document.id for document in page])
    return [(d.serial, d.prev_hash, d.hash, ledger.document_content(d, lines[d.id])) for d in page]


async def _entries(session: AsyncSession, end: chains.End, after: int) -> list[Row]:
    page = await chains.entries(session, end, after=after, limit=_PAGE)
    lines = await repo.entry_lines(session, [entry.id for entry in page])
    return [(e.serial, e.prev_hash, e.hash, ledger.entry_content(e, lines[e.id])) for e in page]
