"""The hosted payment page: pay, be declined, or go back. Plain forms, no script, clearly not a real shop till."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from regiohub_local.stripe_sandbox import books
from regiohub_local.stripe_sandbox.api import SandboxDep
from regiohub_local.stripe_sandbox.errors import StripeRefusal
from regiohub_local.stripe_sandbox.store import Json
from regiohub_local.stripe_sandbox.texts import texts
from regiohub_shared.money import format_eur

_FOLDER = Path(__file__).parent
_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_STYLE = (_FOLDER / "static" / "page.css").read_text(encoding="utf-8")
router = APIRouter()


def _safe(origins: set[str]) -> dict[str, str]:
    """Headers that allow our own style sheet and forms only; a form may end at the shop, so its origin is named."""
    targets = " ".join(["'self'", *sorted(origins)])
    return {
        "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action {targets}",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


def _origins(session: Json) -> set[str]:
    parts = [urlsplit(session[name]) for name in ("success_url", "cancel_url") if session[name]]
    return {f"{part.scheme}://{part.netloc}" for part in parts}


def _html(name: str, status: int = 200, origins: set[str] | None = None, **values: object) -> HTMLResponse:
    body = _TEMPLATES.get_template(name).render(euro=format_eur, **values)
    return HTMLResponse(body, status_code=status, headers=_safe(origins or set()))


def _success(session: Json) -> str:
    address: str = session["success_url"]
    return address.replace("{CHECKOUT_SESSION_ID}", session["id"])


async def _session(sandbox: SandboxDep, session_id: str) -> Json | None:
    try:
        return await sandbox.store.run(lambda rows: books.read_session(sandbox.books(rows), session_id))
    except StripeRefusal:
        return None


@router.get("/c/pay/{session_id}")
async def show(session_id: str, sandbox: SandboxDep, declined: bool = False) -> HTMLResponse:  # noqa: FBT001, FBT002 - a query parameter
    """Show what is to be paid, or how the session has ended."""
    session = await _session(sandbox, session_id)
    words = texts(session["locale"] if session else "de")
    if session is None:
        return _html("gone.html", 404, t=words)
    return _html(
        "pay.html", origins=_origins(session), t=words, session=session, success=_success(session), declined=declined
    )


@router.post("/c/pay/{session_id}")
async def act(session_id: str, sandbox: SandboxDep, request: Request, action: Annotated[str, Form()] = "") -> Response:
    """Pay or be declined, then go where the session says."""
    origin = request.headers.get("origin", sandbox.settings.public_origin)
    if origin not in (sandbox.settings.public_origin, f"{request.url.scheme}://{request.url.netloc}"):
        return _html("gone.html", 403, t=texts("de"))
    session = await _session(sandbox, session_id)
    if session is None:
        return _html("gone.html", 404, t=texts("de"))
    doing = {"pay": books.pay, "decline": books.decline}.get(action)
    if doing is None:
        return _html("gone.html", 400, t=texts("de"))
    after = await sandbox.store.run(lambda rows: doing(sandbox.books(rows), session_id))
    sandbox.bell.set()
    target = f"/c/pay/{session_id}" + ("?declined=true" if action == "decline" else "")
    if after["status"] == "complete":
        target = _success(after)
    return RedirectResponse(target, status_code=303, headers=_safe(_origins(after)))


@router.get("/")
async def about() -> HTMLResponse:
    """Say what this server is."""
    return _html("about.html", t=texts("de"))


@router.get("/page.css")
async def style() -> Response:
    """The one style sheet."""
    return Response(_STYLE, media_type="text/css", headers={"X-Content-Type-Options": "nosniff"})


@router.get("/favicon.ico", status_code=204)
async def icon() -> None:
    """Browsers ask for an icon on their own; there is none."""
