"""Send the mails that changes asked for: claim under a lease, send outside of any transaction, note the outcome."""

import smtplib
from datetime import timedelta
from zoneinfo import ZoneInfo

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.calendars.event import calendar_of
from regiohub_booking.providers import smtp
from regiohub_booking.render.mail import Letter, write_mail
from regiohub_booking.repo import bookings, mails
from regiohub_booking.repo.statement import Row
from regiohub_booking.settings import Settings
from regiohub_shared.clock import now as business_now
from regiohub_shared.clock import real_now
from regiohub_shared.db.database import Database
from regiohub_shared.events.relay import RelayRules, backoff_s
from regiohub_shared.events.watch import beat
from regiohub_shared.log import get_logger

_log = get_logger(__name__)
_STEPS = 12
"""Answers of the mail server in one delivery; each may take ``mail_timeout_s``, and the lease outlives them all."""
_MAX_ATTEMPTS = 20
_RULES = RelayRules(max_backoff_s=3600.0)


class NoAddress(Exception):
    """The member has no verified mail address (yet): ``MemberReader`` asks again, and until the booking is over we wait."""


class Overtaken(Exception):
    """The booking was cancelled while this mail waited for another try: it would be the last word and wrong."""


async def send_due(db: Database, settings: Settings, *, batch: int = 10) -> int:
    """Send what is due, one mail after the other, each under a lease of its own; return how many were tried."""
    lease = timedelta(seconds=_STEPS * settings.mail_timeout_s)
    for number in range(batch):
        now = real_now()
        async with db.session() as session:
            job = await mails.claim(session, now=now, until=now + lease)
        if job is None:
            return number
        await _send_one(db, settings, job)
        beat()
    return batch


async def _send_one(db: Database, settings: Settings, job: Row) -> None:
    failure: Exception | None = None
    try:
        await _deliver(db, settings, job)
    except Exception as error:  # noqa: BLE001 - whatever fails, the work goes on and is tried again
        failure = error
        _log.warning("mail_failed", kind=job["kind"], attempt=job["attempts"], error=type(error).__name__)
    async with db.session() as session:
        await _note(session, job, failure)


async def _note(session: AsyncSession, job: Row, failure: Exception | None) -> None:
    now, attempts = real_now(), job["attempts"]
    if failure is None:
        await mails.mark_sent(session, job["id"], attempts, now=now)
    elif isinstance(failure, Overtaken) or (isinstance(failure, NoAddress) and job["ends_at"] <= business_now()):
        await mails.drop(session, job["id"], attempts)
    else:
        pause = timedelta(seconds=backoff_s(attempts, _RULES, 0.5))
        dead_at = now if attempts >= _MAX_ATTEMPTS and is_refusal(failure) else None
        error = type(failure).__name__
        await mails.mark_failed(session, job["id"], attempts, error=error, next_at=now + pause, dead_at=dead_at)


def is_refusal(failure: Exception) -> bool:
    """Whether the mail server said a definite no, or the mail cannot be written; its absence never makes a mail dead."""
    if isinstance(failure, smtplib.SMTPResponseException):
        return failure.smtp_code >= 500
    if isinstance(failure, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _text in failure.recipients.values())
    return not isinstance(failure, (NoAddress, OSError))


async def _deliver(db: Database, settings: Settings, job: Row) -> None:
    if not job["mail"]:
        raise NoAddress
    async with db.session() as session:
        booking = await bookings.find_booking(session, job["booking_id"])
    if booking is None:
        raise NoAddress
    was_tried = job["attempts"] > 1 or job["last_error"]  # a dead mail that is sent again counts from one
    if booking.cancelled_at and job["kind"] != "cancelled" and was_tried:
        raise Overtaken
    letter = Letter(
        booking=booking, kind=job["kind"], sequence=job["sequence"], member_name=job["member_name"],
        mail=job["mail"],
        hub_name=job["hub_name"], address=f"{job['street']}, {job['postcode']} {job['city']}",
        door_hint=job["door_hint"], zone=ZoneInfo(job["time_zone"]), origin=settings.public_origin,
        sender=settings.mail_from,
    )  # fmt: skip
    calendar = calendar_of(
        booking, kind=letter.kind, sequence=job["sequence"], stamp=letter.stamp, zone=letter.zone,
        organizer=letter.sender_address, location=letter.place, url=letter.url,
    )  # fmt: skip
    await smtp.send(settings, write_mail(letter, calendar))
