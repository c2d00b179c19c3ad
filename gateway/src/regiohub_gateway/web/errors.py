"""Refusals as pages: what happened, what would work, the request id for whoever helps."""

from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from regiohub_gateway.web import render, typed
from regiohub_gateway.web.api import Refused
from regiohub_gateway.web.forms import LoginNeeded
from regiohub_gateway.web.returns import fields_of, way_back
from regiohub_shared.log import get_logger
from regiohub_shared.problem import NotFound, Problem

_log = get_logger(__name__)


def as_html(problem: Problem, language: str, request_id: str) -> str:
    """Return the page for a refusal that no page route saw."""
    values = _values(problem.status, problem.type, problem.detail, problem.headers.get("Retry-After", ""))
    return render.bare("problem", language=language, request_id=request_id, **values)


def install(app: FastAPI) -> None:
    """Answer browsers with pages; programs keep their problem+json."""
    json_problem, json_http = app.exception_handlers[Problem], app.exception_handlers[HTTPException]

    async def on_problem(request: Request, error: Exception) -> Response:
        if not _wants_html(request):
            return await json_problem(request, error)  # type: ignore[no-any-return, misc]
        return _page(request, error)

    async def on_http(request: Request, error: Exception) -> Response:
        if not _wants_html(request) or getattr(error, "status_code", 500) != 404:
            return await json_http(request, error)  # type: ignore[no-any-return, misc]
        return _page(request, NotFound())

    async def on_login(request: Request, _error: Exception) -> Response:
        return await to_login(request)

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Refused, _on_refused)
    app.add_exception_handler(LoginNeeded, on_login)
    app.add_exception_handler(Exception, _on_bug)


async def to_login(request: Request) -> RedirectResponse:
    """Send to the login and back; a form that was sent comes back as its page."""
    target = render.link(render.language_of(request), "/auth/login")
    fields = await fields_of(request) if request.method == "POST" else {}
    response = RedirectResponse(f"{target}?return_to={quote(way_back(request, fields), safe='')}", 303)
    typed.keep(response, request, fields)
    return response


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _page(request: Request, error: Exception) -> HTMLResponse:
    assert isinstance(error, Problem)  # noqa: S101 - narrows the type; cannot fail
    values = _values(error.status, error.type, error.detail, error.headers.get("Retry-After", ""))
    response = render.page(request, "problem", status=error.status, request_id=request.state.request_id, **values)
    response.headers.update(error.headers)
    return response


async def _on_refused(request: Request, error: Exception) -> Response:
    """A service said no, and the page had no better use for it."""
    assert isinstance(error, Refused)  # noqa: S101 - narrows the type; cannot fail
    if error.status == 401:
        return await to_login(request)
    values = _values(error.status, error.type, error.detail, error.retry_after)
    return render.page(request, "problem", status=error.status, request_id=request.state.request_id, **values)


async def _on_bug(request: Request, error: Exception) -> Response:
    _log.error("unexpected_error", exc_info=error)
    return _page(request, Problem())


def _values(status: int, kind: str, detail: str, retry_after: str) -> dict[str, Any]:
    return {"status_code": status, "problem": SimpleNamespace(type=kind, detail=detail, retry_after=retry_after)}
