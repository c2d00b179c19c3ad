"""Mails as rows under a lease: a killed worker's mail is taken over, an outcome counts only for its own attempt."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from regiohub_booking.repo.statement import On, Row, Statement, fetch, run

_CLAIM = Statement(
    """
WITH due AS (
    SELECT id FROM mail_job
    WHERE sent_at IS NULL AND dead_at IS NULL AND next_at <= :now AND (leased_until IS NULL OR leased_until <= :now)
    ORDER BY next_at LIMIT :batch FOR UPDATE SKIP LOCKED),
claimed AS (
    UPDATE mail_job m SET attempts = m.attempts + 1, leased_until = :until FROM due WHERE m.id = due.id RETURNING m.*)
SELECT c.id, c.booking_id, c.kind, c.sequence, c.attempts, m.name AS member_name, m.mail,
       h.name AS hub_name, h.street, h.postcode, h.city, h.door_hint, h.time_zone, h.slug AS hub
FROM claimed c JOIN booking b ON b.id = c.booking_id JOIN hub h ON h.slug = b.hub
LEFT JOIN member m ON m.sub = b.sub ORDER BY c.id
"""
)
_SENT = Statement(
    "UPDATE mail_job SET sent_at = :now, leased_until = NULL, last_error = '' WHERE id = :id AND attempts = :attempts"
)
_FAILED = Statement(
    "UPDATE mail_job SET leased_until = NULL, next_at = :next_at, last_error = :error, dead_at = :dead_at "
    "WHERE id = :id AND attempts = :attempts AND sent_at IS NULL"
)
_STATE = Statement(
    "SELECT count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead, count(*) FILTER (WHERE dead_at IS NULL) AS pending "
    "FROM mail_job WHERE sent_at IS NULL"
)


async def claim(on: On, *, now: datetime, until: datetime, batch: int) -> Sequence[Row]:
    """Take due mails until ``until`` (real time) with all that a mail says about place and member."""
    return await fetch(on, _CLAIM, now=now, until=until, batch=batch)


async def mark_sent(on: On, job: UUID, attempts: int, *, now: datetime) -> None:
    """The mail server took it."""
    await run(on, _SENT, id=job, attempts=attempts, now=now)


async def mark_failed(
    on: On, job: UUID, attempts: int, *, error: str, next_at: datetime, dead_at: datetime | None
) -> None:
    """Try again at ``next_at``, or never if ``dead_at`` is set."""
    await run(on, _FAILED, id=job, attempts=attempts, error=error[:200], next_at=next_at, dead_at=dead_at)


async def state(on: On) -> dict[str, int]:
    """Return counts of pending and dead mails."""
    return dict((await fetch(on, _STATE))[0])
