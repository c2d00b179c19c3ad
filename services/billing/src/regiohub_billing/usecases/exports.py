"""Hand the books to a treasury: preview, then an immutable batch in which each entry stands once, ever.

Read (one transaction) → render (none, see ``rendering``) → write under the seller's lock, if what was read still
stands. Entries and documents never change, so only a rival's batch or another seller's version can spoil it.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.document import INVOICE, supply_date
from regiohub_billing.domain.hkr import Booked, Party, claims_first, unordered, without
from regiohub_billing.domain.journal import EntryKind
from regiohub_billing.render import batch, hkr
from regiohub_billing.repo import bookings as bookings_repo
from regiohub_billing.repo import ledger as repo
from regiohub_billing.tables import Document, ExportBatch, JournalEntry
from regiohub_billing.usecases.rendering import Renderer
from regiohub_shared.db.database import Database
from regiohub_shared.idempotency import Attempt, Stored, find_stored, store
from regiohub_shared.ids import new_id
from regiohub_shared.problem import Conflict, NotFound

MAX_ENTRIES = 5000
"""Of one batch; what waits beyond goes into the next, and with it the money whose order waits there."""
_PAGE = 250
_MAX_NAMED = 20
_ROUNDS = 3


class SandboxDocuments(Conflict):
    """Test documents wait to be exported; a productive file must not hold any."""

    type = "sandbox-documents"
    title = "Sandbox documents cannot go into a productive export"


class NothingToExport(Conflict):
    """Every entry stands in a batch already."""

    type = "nothing-to-export"
    title = "There is nothing to export"


class ExportOvertaken(Conflict):
    """What would be handed over is not what the preview showed, or changed again and again meanwhile."""

    type = "export-overtaken"
    title = "The books changed since the preview or while the export was made"


@dataclass(frozen=True, slots=True)
class Draft:
    """What a batch would hold, as it was read."""

    operator: str
    seller_version: int
    order: batch.Order
    blocking: tuple[str, ...]
    """Numbers of the first sandbox documents or entries that forbid a productive export."""

    @property
    def mark(self) -> str:
        """Return what names this draft: entries never change, so their ids and the seller's version make the rows."""
        names = (self.operator, str(self.order.test), str(self.seller_version))
        return hashlib.sha256(
            "\n".join([*names, *(entry.entry_id for entry in self.order.booked)]).encode()
        ).hexdigest()


@dataclass(frozen=True, slots=True)
class Preview:
    """What an export made now would hold."""

    operator: str
    made: batch.Made
    booked: tuple[Booked, ...]
    blocking: tuple[str, ...]
    mark: str
    """Names what is shown; an order that carries it gets exactly that or nothing."""


async def read(session: AsyncSession, *, operator: str, productive: bool, now: datetime, rows: int = 0) -> Draft:
    """Read what waits; raises ``NotFound`` for an operator without a seller.

    A productive batch holds real entries, any other one sandbox entries: a trial never uses up the real ones.
    """
    seller = await repo.find_seller(session, operator)
    if seller is None:
        raise NotFound("This operator keeps no books here.")
    test = not productive
    waiting = await _ordered(session, operator, await _waiting(session, operator, test=test), test=test)
    order = batch.Order(
        booked=tuple(claims_first(waiting)), accounts=seller.accounts, seller=seller.name, profile=seller.hkr_profile,
        day=supply_date(now), test=test, rows=rows,
    )  # fmt: skip
    return Draft(operator, seller.version, order, await _blocking(session, operator) if productive else ())


async def preview(
    db: Database, renderer: Renderer, *, operator: str, productive: bool, now: datetime, rows: int
) -> Preview:
    """Return what an export made now would hold, with the file's first rows."""
    async with db.session() as session:
        draft = await read(session, operator=operator, productive=productive, now=now, rows=rows)
    return Preview(operator, await renderer.make(draft.order), draft.order.booked, draft.blocking, draft.mark)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who asks for which batch, under which key."""

    operator: str
    productive: bool
    sub: str
    key: Attempt
    preview: str | None = None
    """The mark of the preview that was looked at, if there was one."""


async def export(
    db: Database,
    renderer: Renderer,
    wanted: Wanted,
    *,
    answer: Callable[[ExportBatch], dict[str, Any]],
    now: datetime,
    real_now: datetime,
) -> Stored:
    """Make a batch and return ``answer`` for it, or the stored answer of this key.

    Raises :class:`SandboxDocuments`, :class:`NothingToExport`, :class:`ExportOvertaken` or ``RenderingBusy``.
    """
    for _ in range(_ROUNDS):
        async with db.session() as session:
            stored = await find_stored(session, wanted.key)
            if stored is not None:
                return stored
            draft = await read(session, operator=wanted.operator, productive=wanted.productive, now=now)
        made = await _render(renderer, draft, wanted.preview)
        async with db.session() as session:
            stored = await find_stored(session, wanted.key)
            batch_row = None if stored else await _save(session, draft, made, sub=wanted.sub, now=now)
            if batch_row is not None:
                stored = Stored(201, answer(batch_row))
                await store(session, wanted.key, stored, now=real_now)
        if stored is not None:
            return stored
    raise ExportOvertaken(headers={"Retry-After": "2"})


async def _render(renderer: Renderer, draft: Draft, preview: str | None) -> batch.Made:
    if draft.blocking:
        raise SandboxDocuments(
            "Export them once with productive=false, then repeat this.", numbers=list(draft.blocking)
        )
    if not draft.order.booked:
        raise NothingToExport
    if preview not in (None, draft.mark):
        raise ExportOvertaken("What waits is not what the preview showed; read it again and send its new `preview`.")
    return await renderer.make(draft.order)


async def _save(
    session: AsyncSession, draft: Draft, made: batch.Made, *, sub: str, now: datetime
) -> ExportBatch | None:
    """Write the batch under the seller's lock, or return None if what was read does not stand any more."""
    seller = await repo.lock_seller(session, draft.operator)
    entries = [UUID(entry.entry_id) for entry in draft.order.booked]
    if seller is None or seller.version != draft.seller_version or await repo.any_exported(session, entries):
        return None
    if not draft.order.test and await _blocking(session, draft.operator):
        return None
    taken = await repo.take_number(session, draft.operator, "HKR")
    row = _row(draft, made, taken.number, sub=sub, now=now)
    session.add(row)
    await session.flush()
    await repo.add_export_rows(session, row.id, [(UUID(p.entry_id), p.part, p.position) for p in made.places])
    return row


def _row(draft: Draft, made: batch.Made, number: int, *, sub: str, now: datetime) -> ExportBatch:
    return ExportBatch(
        id=new_id(), operator=draft.operator, number=number, productive=not draft.order.test, profile=made.profile,
        file_name=hkr.file_name(made.mandant, draft.order.day, number), content=made.content, sha256=made.sha256,
        row_count=made.row_count, sum_cents=made.sum_cents, replaced=[asdict(item) for item in made.replaced],
        created_by=sub, created_at=now,
    )  # fmt: skip


async def _waiting(session: AsyncSession, operator: str, *, test: bool) -> list[Booked]:
    """Page by page, so that the loop can breathe."""
    found: list[Booked] = []
    after = 0
    while len(found) < MAX_ENTRIES:
        limit = min(_PAGE, MAX_ENTRIES - len(found))
        page = await repo.list_unexported(session, operator, test=test, after=after, limit=limit)
        found += await _booked(session, page)
        if len(page) < limit:
            break
        after = page[-1].serial
    return found


async def _ordered(session: AsyncSession, operator: str, found: list[Booked], *, test: bool) -> list[Booked]:
    """Leave for the next batch what is about an invoice whose own entry waits beyond the cut."""
    missing = unordered(found)
    if not missing:
        return found
    later = await repo.unexported_invoices(session, operator, test=test, numbers=missing)
    return without(found, later)


async def _blocking(session: AsyncSession, operator: str) -> tuple[str, ...]:
    entries = await repo.list_unexported(session, operator, test=True, after=0, limit=_MAX_NAMED)
    documents = await repo.documents_of_payments(session, list({entry.payment_id for entry in entries}))
    names = {document.id: document.number for document in documents}
    # Two entries of one document name it once.
    found = (names[entry.document_id] if entry.document_id else f"{entry.series}-{entry.serial}" for entry in entries)
    return tuple(dict.fromkeys(found))


async def _booked(session: AsyncSession, entries: Sequence[JournalEntry]) -> list[Booked]:
    payment_ids = list({entry.payment_id for entry in entries})
    documents = await repo.documents_of_payments(session, payment_ids)
    by_id = {document.id: document for document in documents}
    invoices = {document.payment_id: document for document in documents if document.kind == INVOICE}
    lines = await repo.document_lines(session, list(by_id))
    codes = await bookings_repo.booking_codes(session, payment_ids)
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
            booking_code=codes.get(entry.payment_id, ""),
        )
        for entry in entries
    ]


def _number(document: Document | None) -> str:
    return document.number if document else ""


def _party(buyer: dict[str, Any]) -> Party:
    names = ("name", "street", "postcode", "city", "country")
    return Party(**{name: buyer.get(name, "") for name in names})
