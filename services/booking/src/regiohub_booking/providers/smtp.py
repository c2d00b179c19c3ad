"""Hand a message to the mail server; the standard library's client runs in a thread, off the event loop."""

import asyncio
import smtplib
import ssl
from email.message import EmailMessage

from regiohub_booking.settings import Settings


def _send(settings: Settings, message: EmailMessage) -> None:
    context = ssl.create_default_context()
    host, port, wait = settings.mail_host, settings.mail_port, settings.mail_timeout_s
    if settings.mail_security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=wait, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=wait)
    with server:
        if settings.mail_security == "starttls":
            server.starttls(context=context)
        if settings.mail_user:
            server.login(settings.mail_user, settings.mail_password.get_secret_value())
        server.send_message(message)


async def send(settings: Settings, message: EmailMessage) -> None:
    """Deliver; raises ``OSError`` or ``smtplib.SMTPException``, on which the caller tries again later."""
    await asyncio.to_thread(_send, settings, message)
