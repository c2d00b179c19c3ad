"""Whether billing's rows are what they must be: journal, chains, numbers, and the provider's books."""

from datetime import datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.providers.port import Provider
from regiohub_billing.repo import bookings as repo
from regiohub_billing.repo import chains, checkup
from regiohub_billing.usecases.audit import broken_chains
from regiohub_billing.usecases.books import BooksClosed, differences, read_books
from regiohub_shared.contracts.witness import Witness
from regiohub_shared.db.database import Database
from regiohub_shared.doctor import Finding

LOOK_BACK = timedelta(days=30)
"""So far back the provider's books are compared; what is older was compared before."""


async def check_numbers(session: AsyncSession) -> Finding:
    """Hash chains of documents and journal fit, and numbers run without a gap that is not on record."""
    gaps = sum(map(len, (await chains.gaps(session)).values()))
    wrong = [f"{row['operator']} {row['series']}{row['serial']}" for row in await broken_chains(session)]
    return Finding("chains fit and number gaps are explained", tuple(wrong), note=f"{gaps} gaps on record")


async def check_cases(session: AsyncSession) -> Finding:
    """How many cases wait for people: no fault of the data."""
    waiting = await checkup.waiting_cases(session)
    note = ", ".join(f"{kind}: {count}" for kind, count in waiting.items())
    return Finding("cases that wait for people", note=note or "none")


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
