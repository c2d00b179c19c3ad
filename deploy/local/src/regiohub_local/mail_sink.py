"""A mail server that delivers nothing: every mail becomes a file, listed on a page of its own.

It takes the mail of our services and of Keycloak. `python -m regiohub_local mail-sink FOLDER SMTP_PORT HTTP_PORT`.
Loopback only; one process, one event loop.
"""

from __future__ import annotations

import asyncio
import email
import email.message
import email.policy
import html
import os
import re
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

NAME = re.compile(r"^[0-9]+-[0-9a-f]+\.eml$")
MAX_BYTES = 10_000_000
_ZONE = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True, slots=True)
class Mail:
    """One stored mail; `name` is its file, in order of arrival."""

    name: str
    to: str
    sender: str
    subject: str
    date: str
    text: str
    attachments: tuple[str, ...]

    def sent(self) -> str:
        """Its date as people here read it; as it stands there when it is none."""
        try:
            return parsedate_to_datetime(self.date).astimezone(_ZONE).strftime("%d.%m.%Y %H:%M:%S")
        except ValueError:
            return self.date

    def links(self) -> list[str]:
        """Addresses named in the text."""
        return re.findall(r"https?://[^\s<>\"']+", self.text)


class Sink:
    """SMTP handler: one file per mail, written beside its name first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - the library's name
        """Store what came; aiosmtpd's name for it."""
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        name = f"{time.time_ns()}-{os.urandom(3).hex()}.eml"
        partial = self.folder / f".{name}"
        partial.write_bytes(b"X-RcptTo: " + ", ".join(envelope.rcpt_tos).encode() + b"\r\n" + content)
        partial.rename(self.folder / name)
        return "250 stored"


def mails(folder: Path) -> list[Mail]:
    """All mails, newest first."""
    return [read(path) for path in sorted(folder.glob("[0-9]*.eml"), reverse=True)]


def read(path: Path) -> Mail:
    """Parse one stored mail; the plain part, else the HTML one, is its text."""
    parsed = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = parsed.get_body(("plain", "html"))
    return Mail(
        name=path.name,
        to=str(parsed.get("X-RcptTo", "")),
        sender=str(parsed.get("From", "")),
        subject=str(parsed.get("Subject", "")),
        date=str(parsed.get("Date", "")),
        text=_text(body) if isinstance(body, email.message.EmailMessage) else "",
        attachments=tuple(part.get_filename() or part.get_content_type() for part in _attachments(parsed)),
    )


def _text(body: email.message.EmailMessage) -> str:
    """The text of a part; with a character set that nobody knows, what is left of it."""
    try:
        text = str(body.get_content())
    except (LookupError, ValueError):
        payload = body.get_payload(decode=True)
        text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
    return text.encode("utf-8", "replace").decode()


def _attachments(parsed: email.message.EmailMessage) -> list[email.message.EmailMessage]:
    """The attachments; none of a mail that says it has parts and has not."""
    return list(parsed.iter_attachments()) if parsed.is_multipart() else []


async def wait_for(folder: Path, to: str, *, subject: str = "", after: str = "", seconds: float = 20) -> Mail:
    """The newest mail to `to` whose subject holds `subject`, newer than file name `after`."""
    async with asyncio.timeout(seconds):
        while True:
            for mail in mails(folder):
                if to.lower() in mail.to.lower() and subject in mail.subject and mail.name > after:
                    return mail
            await asyncio.sleep(0.1)


# ---------------------------------------------------------------- page

_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "a{display:inline-block;padding:.25rem 0;overflow-wrap:anywhere}li{margin:.75rem 0}pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid;padding:1rem}"
)
Answer = Callable[[Request], Awaitable[Response]]


def _page(title: str, body: str) -> HTMLResponse:
    text = (
        f'<!doctype html><html lang="de"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style><main><h1>{title}</h1>{body}</main></html>"
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return HTMLResponse(text, headers={"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"})


def _link(address: str) -> str:
    shown = html.escape(address)
    return f'<p><a href="{shown}">{shown}</a></p>'


def app(folder: Path) -> Starlette:
    """The page: a list, one mail, its raw file, and the same list as JSON."""

    async def index(_: Request) -> Response:
        rows = "".join(
            f'<li><a href="/mail/{m.name}">{html.escape(m.subject or "(ohne Betreff)")}</a><br>'
            f"an {html.escape(m.to)} · {html.escape(m.sent())}</li>"
            for m in mails(folder)
        )
        note = "<p>Test-Postfach: Hier landet jede Mail dieser Installation; nichts wird verschickt.</p>"
        return _page("Test-Postfach", note + (f"<ol reversed>{rows}</ol>" if rows else "<p>Noch keine Mail.</p>"))

    async def show(request: Request) -> Response:
        path = _find(folder, request)
        if path is None:
            return PlainTextResponse("Not found", 404)
        mail = read(path)
        files = f"<p>Anhänge: {html.escape(', '.join(mail.attachments))}</p>" if mail.attachments else ""
        links = "".join(_link(address) for address in dict.fromkeys(mail.links()))
        raw = f'<p><a href="/raw/{mail.name}">Quelltext</a> · <a href="/">Alle Mails</a></p>'
        head = f"<p>an {html.escape(mail.to)}<br>von {html.escape(mail.sender)}<br>{html.escape(mail.sent())}</p>"
        return _page(html.escape(mail.subject), f"{head}{files}<pre>{html.escape(mail.text)}</pre>{links}{raw}")

    async def raw(request: Request) -> Response:
        path = _find(folder, request)
        return PlainTextResponse(path.read_text(errors="replace") if path else "Not found", 200 if path else 404)

    async def listing(_: Request) -> Response:
        return JSONResponse([{"name": m.name, "to": m.to, "subject": m.subject, "text": m.text} for m in mails(folder)])

    async def alive(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    # A name of somebody else's that points to this machine must not let a web page read the mails.
    own = Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"], www_redirect=False)
    return Starlette(
        middleware=[own],
        routes=[
            Route("/", index), Route("/mail/{name}", show), Route("/raw/{name}", raw),
            Route("/mails.json", listing), Route("/healthz", alive),
        ],
    )  # fmt: skip


def _find(folder: Path, request: Request) -> Path | None:
    name = str(request.path_params["name"])
    path = folder / name
    return path if NAME.match(name) and path.exists() else None


# ---------------------------------------------------------------- running it


async def serve(folder: Path, smtp_port: int, http_port: int) -> None:
    """Serve SMTP and the page on loopback until SIGTERM."""
    loop = asyncio.get_running_loop()
    sink = Sink(folder)
    smtp = await loop.create_server(lambda: _smtp(sink), "127.0.0.1", smtp_port)
    config = uvicorn.Config(app(folder), host="127.0.0.1", port=http_port, log_level="warning", lifespan="off")
    try:
        await uvicorn.Server(config).serve()  # ends on SIGTERM and SIGINT
    finally:
        smtp.close()
        await smtp.wait_closed()


def _smtp(sink: Any) -> SMTP:
    return SMTP(sink, data_size_limit=MAX_BYTES, hostname="localhost", ident="RegioHub mail sink", enable_SMTPUTF8=True)


class BackgroundSink:
    """A sink in a thread of this process, for tests: `with BackgroundSink(folder, port) as folder:`."""

    def __init__(self, folder: Path, smtp_port: int) -> None:
        self._folder, self._port = folder, smtp_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Path:
        self._thread.start()
        sink = Sink(self._folder)
        server = self._loop.create_server(lambda: _smtp(sink), "127.0.0.1", self._port)
        self._server = asyncio.run_coroutine_threadsafe(server, self._loop).result(10)
        return self._folder

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        asyncio.run_coroutine_threadsafe(self._loop.shutdown_asyncgens(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def main(folder: Path, smtp_port: int, http_port: int) -> None:
    """Entry point of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ended by SIGTERM to the group, not by a Ctrl-C at `make run`
    asyncio.run(serve(folder, smtp_port, http_port))
