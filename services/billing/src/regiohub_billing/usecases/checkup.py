"""Whether billing's rows are what they must be: journal, chains, numbers, and the provider's books."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.providers.port import Provider
from regiohub_billing.repo import bookings as repo
from regiohub_billing.repo import chains
from regiohub_billing.usecases.audit import broken_chains
from regiohub_billing.usecases.books import BooksClosed, differences, read_books
from regiohub_shared.contracts.witness import Witness
from regiohub_shared.db.database import Database
from regiohub_shared.doctor import Finding

LOOK_BACK = timedelta(days=30)
"""So far back the provider's books are compared; what is older was compared before."""
CHECKS = {
    "every journal entry balances": (
        "SELECT 'entry ' || e.operator || ' ' || e.series || e.serial FROM journal_entry e "
        "JOIN journal_line l ON l.entry_id = e.id GROUP BY e.id "
        "HAVING sum(l.debit_cents) <> sum(l.credit_cents) OR count(*) <> e.line_count"
    ),
    "the journal holds what payments brought and refunds took": (
        "SELECT 'payment ' || p.id FROM payment p WHERE p.paid_cents - p.refunded_cents <> coalesce(("
        "SELECT sum(CASE e.kind WHEN 'payment' THEN e.amount_cents WHEN 'refund' THEN -e.amount_cents "
        "WHEN 'refund_failed' THEN e.amount_cents ELSE 0 END) FROM journal_entry e WHERE e.payment_id = p.id), 0)"
    ),
    "every kept payment of a confirmed booking has one invoice, or a case": (
        "SELECT 'booking ' || c.code FROM charge c JOIN payment p ON p.booking_id = c.booking_id "
        "WHERE c.confirmed_at IS NOT NULL AND c.cancelled_at IS NULL AND p.paid_cents > p.refunded_cents "
        "AND c.verdicts ->> p.id::text = 'accepted' AND c.problem = '' "
        "AND NOT EXISTS (SELECT FROM document d WHERE d.payment_id = p.id AND d.kind = 'invoice')"
    ),
    "every refund of an invoice has its cancellation document": (
        "SELECT 'payment ' || r.payment_id FROM refund r JOIN document i ON i.payment_id = r.payment_id "
        "AND i.kind = 'invoice' WHERE r.status <> 'failed' AND r.document_id IS NULL"
    ),
}
_WAITING = text("SELECT kind, count(*) FROM clearing_item WHERE resolved_at IS NULL GROUP BY kind ORDER BY kind")


async def check_numbers(session: AsyncSession) -> Finding:
    """Hash chains of documents and journal fit, and numbers run without a gap that is not on record."""
    gaps = sum(map(len, (await chains.gaps(session)).values()))
    wrong = [f"{row['operator']} {row['series']}{row['serial']}" for row in await broken_chains(session)]
    return Finding("chains fit and number gaps are explained", tuple(wrong), note=f"{gaps} gaps on record")


async def check_cases(session: AsyncSession) -> Finding:
    """How many cases wait for people: no fault of the data."""
    rows = (await session.execute(_WAITING)).all()
    return Finding("cases that wait for people", note=", ".join(f"{row[0]}: {row[1]}" for row in rows) or "none")


async def check_books(db: Database, provider: Provider, *, real_now: datetime) -> Finding:
    """Our payments and refunds equal the provider's."""
    name = "payments and refunds equal the provider's books"
    try:
        books = await read_books(provider, real_now - LOOK_BACK)
    except BooksClosed as closed:
        return Finding(name, (str(closed),))
    async with db.session() as session:
        wrong = await differences(session, books)
    return Finding(name, tuple(wrong), note=f"{len(books.checkouts)} pages, {len(books.refunds)} refunds compared")


async def check_charges(session: AsyncSession, booking: Witness) -> Finding:
    """Every booking is charged as booking has it."""
    wrong = []
    for fact in booking.bookings:
        charge = await repo.find_charge(session, fact.booking_id)
        if charge is None or (charge.status, charge.gross_cents) != (fact.status, fact.gross_cents):
            wrong.append(f"booking {fact.code}: {fact.status} there, {charge.status if charge else 'unknown'} here")
        elif charge.version > fact.version:
            wrong.append(
                f"booking {fact.code}: version {charge.version} here, {fact.version} there: no epoch was raised"
            )
    return Finding("charges equal booking's bookings", tuple(wrong), note=f"{len(booking.bookings)} bookings compared")
