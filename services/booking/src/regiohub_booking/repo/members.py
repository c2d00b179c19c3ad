"""Names and mail addresses of members: the only place in all services that holds them for bookings."""

from datetime import datetime

from regiohub_booking.domain.booking import ERASED
from regiohub_booking.repo.statement import On, Row, Statement, fetch, run
from regiohub_shared.ids import new_id

# Nobody may change a row of a member, so one without a mail makes room for a new one.
_TAKE_OUT = Statement("DELETE FROM member WHERE sub = :sub AND mail IS NULL RETURNING sub")
_ADD = Statement(
    "INSERT INTO member (sub, name, mail, read_at) VALUES (:sub, :name, :mail, :now) ON CONFLICT DO NOTHING"
)
_EXPORT = Statement("SELECT name, mail, read_at FROM member WHERE sub = :sub")
# The lock that the way in takes: a booking under way is either counted or comes after.
_LOCK = Statement("SELECT pg_advisory_xact_lock(hashtextextended('member ' || CAST(:sub AS text), 0))")
_LOCK_BOOKINGS = Statement("SELECT id FROM booking WHERE sub = :sub ORDER BY id FOR UPDATE")
_OPEN = Statement(
    "SELECT count(*) AS open FROM booking WHERE sub = :sub AND status IN ('requested', 'held', 'confirmed', 'checked_in')"
)
_ERASE = tuple(
    Statement(sql)
    for sql in (
        "DELETE FROM member WHERE sub = :sub",
        "DELETE FROM calendar_feed WHERE sub = :sub",
        "DELETE FROM idempotency_key WHERE sub = :sub",
        """DELETE FROM outbox_delivery d USING outbox o WHERE o.id = d.outbox_id AND d.delivered_at IS NOT NULL
           AND o.subject IN (SELECT CAST(id AS text) FROM booking WHERE sub = :sub)""",
        """DELETE FROM outbox o WHERE o.subject IN (SELECT CAST(id AS text) FROM booking WHERE sub = :sub)
           AND NOT EXISTS (SELECT FROM outbox_delivery d WHERE d.outbox_id = o.id)""",
    )
)
_RENAME = (
    Statement("UPDATE booking SET sub = :pseudonym WHERE sub = :sub"),
    Statement("UPDATE closure SET created_by = :pseudonym WHERE created_by = :sub"),
)
_MAILS = Statement(
    "SELECT m.booking_id, m.kind, m.sent_at FROM mail_job m JOIN booking b ON b.id = m.booking_id "
    "WHERE b.sub = :sub ORDER BY m.id"
)
_CLOSURES = Statement(
    "SELECT id, hub, starts_at, ends_at, reason, created_at FROM closure WHERE created_by = :sub ORDER BY id"
)
_FEEDS = Statement("SELECT created_at FROM calendar_feed WHERE sub = :sub")
_RESPONSES = Statement("SELECT route, key, created_at FROM idempotency_key WHERE sub = :sub ORDER BY created_at")


async def add_member(on: On, *, sub: str, name: str, mail: str | None, now: datetime) -> None:
    """Keep name and verified mail; a second reader changes nothing."""
    await run(on, _ADD, sub=sub, name=name, mail=mail, now=now)


async def replace_without_mail(on: On, *, sub: str, name: str, mail: str, now: datetime) -> None:
    """Keep the mail of a member who had none; nothing if they have one by now, or were erased."""
    if await fetch(on, _TAKE_OUT, sub=sub):
        await add_member(on, sub=sub, name=name, mail=mail, now=now)


async def find_member(on: On, sub: str) -> Row | None:
    """Return name, mail and the time of reading."""
    rows = await fetch(on, _EXPORT, sub=sub)
    return rows[0] if rows else None


async def list_traces(on: On, sub: str) -> dict[str, list[Row]]:
    """Return what else names the member: mails, calendar feed, kept responses, closures that they made as operator."""
    return {
        "mails": await fetch(on, _MAILS, sub=sub), "responses": await fetch(on, _RESPONSES, sub=sub),
        "closures": await fetch(on, _CLOSURES, sub=sub), "calendar_feeds": await fetch(on, _FEEDS, sub=sub),
    }  # fmt: skip


async def lock(on: On, sub: str) -> None:
    """Let no booking of the member come in or change until the transaction ends."""
    await run(on, _LOCK, sub=sub)
    await run(on, _LOCK_BOOKINGS, sub=sub)


async def count_open(on: On, sub: str) -> int:
    """Return how many bookings of the member are not over yet."""
    return int((await fetch(on, _OPEN, sub=sub))[0]["open"])


async def erase(on: On, sub: str) -> None:
    """Delete what names the member; bookings stay for the accounts under a pseudonym that leads nowhere."""
    for statement in _ERASE:
        await run(on, statement, sub=sub)
    pseudonym = f"{ERASED}{new_id()}"
    for statement in _RENAME:
        await run(on, statement, sub=sub, pseudonym=pseudonym)
