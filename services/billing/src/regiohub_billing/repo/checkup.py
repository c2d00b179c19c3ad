"""What must be true of billing's rows, whatever happened; each query returns one text per row that breaks it."""

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

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


async def waiting_cases(session: AsyncSession) -> dict[str, int]:
    """Return how many cases of each kind nobody has ended."""
    return {row[0]: row[1] for row in (await session.execute(_WAITING)).all()}
