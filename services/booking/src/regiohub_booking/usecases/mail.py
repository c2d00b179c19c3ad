"""Send the mails that changes asked for: claim under a lease, send outside of any transaction, note the outcome."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from regiohub_booking.calendars.event import calendar_of
from regiohub_booking.providers import smtp
from regiohub_booking.render.mail import Letter, write_mail
from regiohub_booking.repo import bookings, mails
from regiohub_booking.repo.statement import Row
from regiohub_booking.settings import Settings
from regiohub_shared.clock import real_now
from regiohub_shared.db.database import Database
from regiohub_shared.events.relay import RelayRules, backoff_s
from regiohub_shared.log import get_logger

_log = get_logger(__name__)
_LEASE = timedelta(seconds=60)
_MAX_ATTEMPTS = 20
_RULES = RelayRules(max_backoff_s=3600.0)


class NoAddress(Exception):
    """The member has no verified mail address (yet)."""


async def send_due(db: Database, settings: Settings, *, batch: int = 10) -> int:
    """Send what is due; return how many mails were tried."""
    now = real_now()
    async with db.session() as session:
        jobs = await mails.claim(session, now=now, until=now + _LEASE, batch=batch)
    for job in jobs:
        await _send_one(db, settings, job)
    return len(jobs)


async def _send_one(db: Database, settings: Settings, job: Row) -> None:
    error = ""
    try:
        await _deliver(db, settings, job)
    except Exception as failure:  # noqa: BLE001 - whatever fails, the work goes on and is tried again
        error = type(failure).__name__
        _log.warning("mail_failed", kind=job["kind"], attempt=job["attempts"], error=error)
    now = real_now()
    async with db.session() as session:
        if not error:
            await mails.mark_sent(session, job["id"], job["attempts"], now=now)
            return
        pause = timedelta(seconds=backoff_s(job["attempts"], _RULES, 0.5))
        dead_at = now if job["attempts"] >= _MAX_ATTEMPTS else None
        await mails.mark_failed(session, job["id"], job["attempts"], error=error, next_at=now + pause, dead_at=dead_at)


async def _deliver(db: Database, settings: Settings, job: Row) -> None:
    if not job["mail"]:
        raise NoAddress
    async with db.session() as session:
        booking = await bookings.find_booking(session, job["booking_id"])
    if booking is None:
        raise NoAddress
    letter = Letter(
        booking=booking, kind=job["kind"], member_name=job["member_name"], mail=job["mail"],
        hub_name=job["hub_name"], address=f"{job['street']}, {job['postcode']} {job['city']}",
        door_hint=job["door_hint"], zone=ZoneInfo(job["time_zone"]), origin=settings.public_origin,
        sender=settings.mail_from,
    )  # fmt: skip
    calendar = calendar_of(
        booking, kind=letter.kind, sequence=job["sequence"], stamp=letter.stamp, zone=letter.zone,
        organizer=letter.sender_address, location=letter.place, url=letter.url,
    )  # fmt: skip
    await smtp.send(settings, write_mail(letter, calendar))
