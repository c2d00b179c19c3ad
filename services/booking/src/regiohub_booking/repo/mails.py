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
      AND NOT EXISTS (  -- what another worker is about to say of this booking comes first
        SELECT 1 FROM mail_job earlier WHERE earlier.booking_id = mail_job.booking_id
          AND earlier.sequence < mail_job.sequence AND earlier.sent_at IS NULL AND earlier.leased_until > :now)
    ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED),
claimed AS (
    UPDATE mail_job m SET attempts = m.attempts + 1, leased_until = :until FROM due WHERE m.id = due.id RETURNING m.*)
SELECT c.id, c.booking_id, c.kind, c.sequence, c.attempts, c.last_error, m.name AS member_name, m.mail,
       h.name AS hub_name, h.street, h.postcode, h.city, h.door_hint, h.time_zone, b.ends_at
FROM claimed c JOIN booking b ON b.id = c.booking_id JOIN hub h ON h.slug = b.hub
LEFT JOIN member m ON m.sub = b.sub
"""
)
_SENT = Statement(
    "UPDATE mail_job SET sent_at = :now, leased_until = NULL, last_error = '' WHERE id = :id AND attempts = :attempts"
)
_FAILED = Statement(
    "UPDATE mail_job SET leased_until = NULL, next_at = :next_at, last_error = :error, dead_at = :dead_at "
    "WHERE id = :id AND attempts = :attempts AND sent_at IS NULL"
)
_DROP = Statement("DELETE FROM mail_job WHERE id = :id AND attempts = :attempts AND sent_at IS NULL")
_DEAD = Statement(
    "SELECT id, booking_id, kind, attempts, dead_at, last_error FROM mail_job "
    "WHERE dead_at IS NOT NULL AND sent_at IS NULL ORDER BY dead_at, id LIMIT :limit"
)
_REPLAY = Statement(
    "UPDATE mail_job SET dead_at = NULL, attempts = 0, next_at = :now, leased_until = NULL "
    "WHERE dead_at IS NOT NULL AND sent_at IS NULL AND (CAST(:ids AS uuid[]) IS NULL OR id = ANY(CAST(:ids AS uuid[]))) RETURNING id"
)
_WAKE = Statement(
    "UPDATE mail_job m SET next_at = :now FROM booking b "
    "WHERE b.id = m.booking_id AND b.sub = :sub AND m.sent_at IS NULL AND m.dead_at IS NULL AND m.next_at > :now"
)
_STATE = Statement(
    "SELECT count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead, count(*) FILTER (WHERE dead_at IS NULL) AS pending "
    "FROM mail_job WHERE sent_at IS NULL"
)


async def claim(on: On, *, now: datetime, until: datetime) -> Row | None:
    """Take one due mail until ``until`` (real time) with all that it says about place and member."""
    rows = await fetch(on, _CLAIM, now=now, until=until)
    return rows[0] if rows else None


async def mark_sent(on: On, job: UUID, attempts: int, *, now: datetime) -> None:
    """The mail server took it."""
    await run(on, _SENT, id=job, attempts=attempts, now=now)


async def mark_failed(
    on: On, job: UUID, attempts: int, *, error: str, next_at: datetime, dead_at: datetime | None
) -> None:
    """Try again at ``next_at``, or never if ``dead_at`` is set."""
    await run(on, _FAILED, id=job, attempts=attempts, error=error[:200], next_at=next_at, dead_at=dead_at)


async def drop(on: On, job: UUID, attempts: int) -> None:
    """Forget a mail that nobody can get any more."""
    await run(on, _DROP, id=job, attempts=attempts)


async def list_dead(on: On, *, limit: int) -> Sequence[Row]:
    """Return mails that were given up, oldest first; ``last_error`` is an error's name, never an address."""
    return await fetch(on, _DEAD, limit=limit)


async def replay(on: On, ids: Sequence[UUID] | None, *, now: datetime) -> int:
    """Give dead mails (all, or the given ones) a new start; return how many. ``now`` is real time."""
    return len(await fetch(on, _REPLAY, ids=list(ids) if ids is not None else None, now=now))


async def wake(on: On, sub: str, *, now: datetime) -> None:
    """Let a member's waiting mails go out at once, since there is an address now; ``now`` is real time."""
    await run(on, _WAKE, sub=sub, now=now)


async def state(on: On) -> dict[str, int]:
    """Return counts of pending and dead mails."""
    return dict((await fetch(on, _STATE))[0])
