"""The page as an ASGI application: forms that work without a script, and a camera for those who have one."""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import httpx
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import UploadFile
from starlette.middleware.trustedhost import TrustedHostMiddleware

from regiohub_local.reader_page import picture
from regiohub_local.reader_page.reader import Decision, Reader, ReaderAway, Status
from regiohub_local.reader_page.settings import Settings
from regiohub_local.reader_page.texts import reason_text, texts

_FOLDER = Path(__file__).parent
_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_ASSETS = {"page.css": "text/css", "camera.js": "text/javascript"}
_ZONE = ZoneInfo("Europe/Berlin")
_TIMEOUT_S, _KEPT = 5.0, 50
_ASK_EVERY_S = 0.5
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@dataclass(slots=True)
class Desk:
    """What the page remembers: its reader, and the last results, so that a reload never shows a code twice."""

    hub: str
    reader: Reader
    results: OrderedDict[str, Decision] = field(default_factory=OrderedDict)

    def keep(self, result: Decision) -> str:
        """Remember a result and return the token of its page."""
        token = secrets.token_urlsafe(8)
        self.results[token] = result
        while len(self.results) > _KEPT:
            self.results.popitem(last=False)
        return token

    async def present(self, door: int, **shown: str) -> Decision:
        """Show a credential to the reader; a reader that is away is a result too."""
        try:
            return await self.reader.present(door, **shown)
        except ReaderAway:
            return _not_read(door, "reader_away")


def _not_read(door: int, reason: str) -> Decision:
    return Decision(door, "error", reason, "")


def desk_of(request: Request) -> Desk:
    """FastAPI dependency."""
    desk: Desk = request.app.state.desk
    return desk


def same_origin(request: Request) -> None:
    """Refuse a form or frame that another site sends to this machine (403), or one that is too large (413)."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise HTTPException(403)
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > picture.MAX_BYTES + 64 * 1024:
        raise HTTPException(413)


async def attend(desk: Desk) -> None:
    """Be the lock of every door: ask the reader again and again. What it says is in its own log, which the page shows."""
    while True:
        with suppress(ReaderAway):
            for door in (await desk.reader.status()).doors:
                await desk.reader.take(door)
        await asyncio.sleep(_ASK_EVERY_S)


DeskDep = Annotated[Desk, Depends(desk_of)]
Lang = Annotated[str, Query(pattern="^(de|en)$")]


async def show(desk: DeskDep, lang: Lang = "de", door: int | None = None, shown: str | None = None) -> HTMLResponse:
    """Show the doors, the ways to present something, the last result, and the reader's own state and log."""
    try:
        status, away = await desk.reader.status(), False
    except ReaderAway:
        status, away = Status(), True
    chosen = door if door in status.doors else next(iter(status.doors), door)
    body = _TEMPLATES.get_template("page.html").render(
        t=texts(lang),
        hub=desk.hub,
        status=status,
        away=away,
        door=chosen,
        result=desk.results.get(shown or ""),
        why=lambda reason: reason_text(reason, lang),
        local=_local,
    )
    return HTMLResponse(body, headers=_HEADERS)


async def present(request: Request, desk: DeskDep) -> Response:
    """Take a form (picture, text or PIN), show it to the reader, and answer with the page of its result."""
    async with request.form(max_files=1, max_fields=8) as form:
        door, lang = _door(form.get("door")), "en" if form.get("lang") == "en" else "de"
        result = await _shown(desk, door, dict(form))
    query = urlencode({"lang": lang, "door": door, "shown": desk.keep(result)})
    return RedirectResponse(f"/?{query}", status_code=303, headers=_HEADERS)


async def _shown(desk: Desk, door: int, form: dict[str, Any]) -> Decision:
    upload, text, pin = form.get("picture"), form.get("presentation"), form.get("pin")
    if isinstance(upload, UploadFile) and upload.filename:
        return await _from_picture(desk, door, await upload.read(picture.MAX_BYTES + 1))
    if isinstance(text, str) and text.strip():
        # A pasted code may be wrapped; spaces belong to base45 and stay.
        return await desk.present(door, presentation="".join(text.strip().splitlines()))
    if isinstance(pin, str) and pin.strip():
        return await desk.present(door, pin=pin.strip())
    return _not_read(door, "nothing")


async def _from_picture(desk: Desk, door: int, content: bytes) -> Decision:
    if len(content) > picture.MAX_BYTES:
        return _not_read(door, "no_picture")
    try:
        code = await asyncio.to_thread(picture.find_code, content)
    except picture.NoPicture:
        return _not_read(door, "no_picture")
    return _not_read(door, "no_code") if code is None else await desk.present(door, presentation=code)


async def frame(request: Request, desk: DeskDep, door: int, lang: Lang = "de") -> JSONResponse:
    """Take one picture of the camera; a code in it is shown to the reader and ``next`` is the page of the result."""
    result = await _from_picture(desk, door, await request.body())
    if result.reason in ("no_code", "no_picture"):
        return JSONResponse({"found": False}, headers=_HEADERS)
    query = urlencode({"lang": lang, "door": door, "shown": desk.keep(result)})
    return JSONResponse({"found": True, "next": f"/?{query}"}, headers=_HEADERS)


def _door(given: object) -> int:
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 6:
        return int(given)
    raise HTTPException(400)


def _local(moment: str | None) -> str:
    """Return a time of the reader as people at the door read it."""
    if not moment:
        return ""
    try:
        return datetime.fromisoformat(moment).astimezone(_ZONE).strftime("%d.%m.%Y %H:%M:%S")
    except ValueError:
        return moment


async def asset(name: str) -> Response:
    """Serve the style sheet and the camera's script."""
    if name not in _ASSETS:
        raise HTTPException(404)
    content = await asyncio.to_thread((_FOLDER / "static" / name).read_bytes)
    return Response(content, media_type=_ASSETS[name], headers=_HEADERS)


async def icon() -> None:
    """Browsers ask for an icon on their own; there is none."""


async def healthy() -> dict[str, str]:
    """Say that the page is there; the reader may still be away."""
    return {"status": "ok"}


def create_app(settings: Settings) -> FastAPI:
    """Return the page of one hub's reader."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(base_url=settings.reader_url, timeout=_TIMEOUT_S, trust_env=False) as http:
            app.state.desk = Desk(hub=settings.hub, reader=Reader(http))
            attending = asyncio.create_task(attend(app.state.desk))
            yield
            attending.cancel()
            with suppress(asyncio.CancelledError):
                await attending

    app = FastAPI(title="Reader page", openapi_url=None, lifespan=lifespan)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"])
    guarded = [Depends(same_origin)]
    app.add_api_route("/", show, methods=["GET"], response_model=None)
    app.add_api_route("/present", present, methods=["POST"], dependencies=guarded, response_model=None)
    app.add_api_route("/frame", frame, methods=["POST"], dependencies=guarded, response_model=None)
    app.add_api_route("/healthz", healthy, methods=["GET"])
    app.add_api_route("/favicon.ico", icon, methods=["GET"], status_code=204)
    app.add_api_route("/assets/{name}", asset, methods=["GET"], response_model=None)
    return app
