"""Every error leaves as ``application/problem+json`` (RFC 9457), also 404, 405, 422 and our own faults."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from regiohub_shared.db.errors import DRIVER, RETRY, describe, is_away, is_bad_value, sqlstate
from regiohub_shared.log import get_logger
from regiohub_shared.problem import Malformed, MethodNotAllowed, NotFound, Problem, Unavailable

_log = get_logger(__name__)
MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    """One wrong place; ``pointer`` is a JSON pointer (RFC 6901)."""

    pointer: str
    detail: str


class ProblemDocument(BaseModel):
    """RFC 9457; a type may add members of its own."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] | None = None


def problems(*kinds: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's ``responses=`` for the refusals that a route declares."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        known = found.get(kind.status)
        text = f"{kind.title} (`{kind.type}`)"
        found[kind.status] = {
            "description": f"{known['description']}; {text}" if known else text,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
    return found


def render(problem: Problem) -> Response:
    """Turn a refusal into its response; ``instance`` is the request id."""
    instance = str(structlog.contextvars.get_contextvars().get("request_id", ""))
    body = jsonable_encoder(problem.body(instance))
    return JSONResponse(body, status_code=problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - narrows the type; cannot fail
    return render(error)


def _pointer(location: Sequence[str | int]) -> str:
    return "/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in location)


async def _on_validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - narrows the type; cannot fail
    errors = [{"pointer": _pointer(item["loc"]), "detail": str(item["msg"])} for item in error.errors()]
    return render(Malformed("Some fields are missing or have the wrong form.", errors=errors))


def _allowed(request: Request) -> str:
    """Return all methods of the path: Starlette alone names those of one route only."""
    path = request.scope["path"]
    routes = (route for route in iter_route_contexts(request.app.routes) if route.methods)
    return ", ".join(
        sorted({method for route in routes if route.path_regex.match(path) for method in route.methods or ()})
    )


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - narrows the type; cannot fail
    if error.status_code == HTTPStatus.NOT_FOUND:
        return render(NotFound("There is nothing at this address."))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return render(MethodNotAllowed(headers={"Allow": _allowed(request)}))
    if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        # FastAPI raises a bare 400 for a body that it cannot decode at all.
        return render(Malformed("The body cannot be read."))
    return render(Problem())


async def _on_database(_request: Request, error: Exception) -> Response:
    code = sqlstate(error)
    if code in RETRY:
        raise error  # RetrySerialization, outside of us, runs the request again.
    if is_bad_value(error):
        return render(Malformed("A value cannot be stored: text with a NUL, or a number out of range."))
    if is_away(error):
        _log.warning("database_busy", sqlstate=code, error=type(error).__name__)
        return render(Unavailable("The database is busy. Please try again."))
    _log.error("database_error", **describe(error))
    return render(Problem())


def install_error_handlers(app: FastAPI) -> None:
    """Register the handlers; what is nobody's is caught by ``RequestContext``, outside of them all."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    for kind in (SQLAlchemyError, *DRIVER, OSError):
        app.add_exception_handler(kind, _on_database)
