"""Hand the books to a treasury: preview, then an immutable batch in which each entry stands once, ever."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.document import INVOICE, supply_date
from regiohub_billing.domain.hkr import Booked, Part, Party, Record, frame, records, total_cents
from regiohub_billing.domain.journal import EntryKind
from regiohub_billing.render import hkr
from regiohub_billing.repo import ledger as repo
from regiohub_billing.tables import Document, ExportBatch, ExportRow, JournalEntry, Seller
from regiohub_shared.ids import new_id
from regiohub_shared.problem import Conflict, NotFound

from . import ledger

_MAX_ENTRIES = 5000
_MAX_NAMED = 20


class SandboxDocuments(Conflict):
    """Test documents wait to be exported; a productive file must not hold any."""

    type = "sandbox-documents"
    title = "Sandbox documents cannot go into a productive export"


class NothingToExport(Conflict):
    """Every entry stands in a batch already."""

    type = "nothing-to-export"
    title = "There is nothing to export"


@dataclass(frozen=True, slots=True)
class Draft:
    """What a batch would hold now."""

    seller: Seller
    parts: tuple[Part, ...]
    framed: tuple[Record, ...]
    blocking: tuple[str, ...]
    """Numbers of sandbox documents or entries that forbid a productive export."""

    @property
    def profile(self) -> hkr.Profile:
        """The seller's file profile."""
        return hkr.PROFILES[self.seller.hkr_profile]

    @property
    def sum_cents(self) -> int:
        """Sum of all amounts."""
        return total_cents(self.parts)


async def preview(session: AsyncSession, *, operator: str, productive: bool, now: datetime) -> Draft:
    """Return what an export made now would hold; raises ``NotFound`` for an operator without a seller."""
    seller = await repo.find_seller(session, operator)
    if seller is None:
        raise NotFound("This operator keeps no books here.")
    return await _draft(session, seller, productive=productive, now=now)


async def export(session: AsyncSession, *, operator: str, productive: bool, sub: str, now: datetime) -> ExportBatch:
    """Write a batch; raises :class:`SandboxDocuments` or :class:`NothingToExport`."""
    seller = await repo.lock_seller(session, operator)
    if seller is None:
        raise NotFound("This operator keeps no books here.")
    draft = await _draft(session, seller, productive=productive, now=now)
    if draft.blocking:
        raise SandboxDocuments(
            "Export them once with productive=false, then repeat this.", numbers=list(draft.blocking[:_MAX_NAMED])
        )
    if not draft.parts:
        raise NothingToExport
    batch = await _batch(session, draft, productive=productive, sub=sub, now=now)
    session.add(batch)
    await session.flush()
    session.add_all(
        ExportRow(entry_id=UUID(part.entry_id), part=part.part, batch_id=batch.id, position=part.record.position)
        for part in draft.parts
    )
    await session.flush()
    return batch


async def _batch(session: AsyncSession, draft: Draft, *, productive: bool, sub: str, now: datetime) -> ExportBatch:
    taken = await repo.take_number(session, draft.seller.operator, "HKR")
    file = hkr.write(draft.framed, draft.profile)
    mandant = ledger.accounts_of(draft.seller).mandant
    return ExportBatch(
        id=new_id(),
        operator=draft.seller.operator,
        number=taken.number,
        productive=productive,
        profile=draft.profile.name,
        file_name=hkr.file_name(mandant, supply_date(now), taken.number),
        content=file.content,
        sha256=hashlib.sha256(file.content).hexdigest(),
        row_count=len(draft.parts),
        sum_cents=draft.sum_cents,
        replaced=[asdict(item) for item in file.replaced],
        created_by=sub,
        created_at=now,
    )


async def _draft(session: AsyncSession, seller: Seller, *, productive: bool, now: datetime) -> Draft:
    """A productive batch holds real entries, any other one sandbox entries: a trial never uses up the real ones."""
    entries = await repo.list_unexported(session, seller.operator, limit=_MAX_ENTRIES)
    chosen = [entry for entry in entries if entry.test is not productive]
    booked = await _booked(session, chosen)
    accounts = ledger.accounts_of(seller)
    parts = records(booked, accounts)
    framed = frame(parts, accounts, seller.name, supply_date(now), test=not productive)
    blocking = await _numbers(session, [entry for entry in entries if entry.test]) if productive else ()
    return Draft(seller, tuple(parts), tuple(framed), blocking)


async def _numbers(session: AsyncSession, entries: Sequence[JournalEntry]) -> tuple[str, ...]:
    documents = await repo.documents_of_payments(session, list({entry.payment_id for entry in entries}))
    names = {document.id: document.number for document in documents}
    return tuple(
        names[entry.document_id] if entry.document_id else f"{entry.series}-{entry.serial}" for entry in entries
    )


async def _booked(session: AsyncSession, entries: Sequence[JournalEntry]) -> list[Booked]:
    payment_ids = list({entry.payment_id for entry in entries})
    documents = await repo.documents_of_payments(session, payment_ids)
    by_id = {document.id: document for document in documents}
    invoices = {document.payment_id: document for document in documents if document.kind == INVOICE}
    lines = await repo.document_lines(session, list(by_id))
    return [
        Booked(
            entry_id=str(entry.id),
            kind=EntryKind(entry.kind),
            posted_on=entry.posted_on,
            amount_cents=entry.amount_cents,
            payment_reference=entry.reference,
            document_number=by_id[entry.document_id].number if entry.document_id else "",
            invoice_number=_number(invoices.get(entry.payment_id)),
            buyer=_party(by_id[entry.document_id].buyer) if entry.document_id else None,
            lines=lines[entry.document_id] if entry.document_id else (),
        )
        for entry in entries
    ]


def _number(document: Document | None) -> str:
    return document.number if document else ""


def _party(buyer: dict[str, Any]) -> Party:
    return Party(
        name=buyer.get("name", ""),
        street=buyer.get("street", ""),
        postcode=buyer.get("postcode", ""),
        city=buyer.get("city", ""),
        country=buyer.get("country", ""),
    )
