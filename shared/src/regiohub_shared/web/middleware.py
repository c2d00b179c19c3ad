"""Pure ASGI middleware: request id and trace, body limit, access log, metrics, retry of serialization failures."""

import asyncio
import random
import time
from typing import Any
from uuid import UUID

import structlog
from fastapi.routing import iter_route_contexts
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regiohub_shared.db.errors import RETRY, sqlstate
from regiohub_shared.ids import new_id
from regiohub_shared.log import get_logger
from regiohub_shared.problem import Problem, SlowBody, TooLarge, Unavailable
from regiohub_shared.tracing import Hop, Tracer
from regiohub_shared.web.errors import render

_log = get_logger("access")
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_ATTEMPTS = 4


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def request_id(scope: Scope) -> str:
    """Take the caller's id only if it is a UUID, else make one: anything else could forge log lines."""
    try:
        return str(UUID(_header(scope, b"x-request-id")))
    except ValueError:
        return str(new_id())


def traceparent(scope: Scope) -> str:
    """Return what the caller says about the trace; whether it is any use, the tracer decides."""
    return _header(scope, b"traceparent")


class RequestContext:
    """Binds request id and trace, answers our bugs with 500, logs one line, counts and times by route template."""

    def __init__(self, app: ASGIApp, *, service: str, registry: CollectorRegistry, tracer: Tracer) -> None:
        """``registry`` belongs to one app, so that tests can build several."""
        self._app, self._service, self._tracer = app, service, tracer
        self._templates: dict[Any, str] = {}
        labels = ("method", "route", "status")
        self._count = Counter("http_requests_total", "Requests", labels, registry=registry)
        self._seconds = Histogram("http_request_duration_seconds", "Duration", ("route",), registry=registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        structlog.contextvars.clear_contextvars()
        hop = self._tracer.begin(traceparent(scope))
        bound = {"service": self._service, "request_id": request_id(scope), "traceparent": hop.traceparent}
        structlog.contextvars.bind_contextvars(**bound, trace_id=hop.traceparent[3:35])
        started, status = time.perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", bound["request_id"].encode())]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception as error:
            _log.error("unexpected_error", exc_info=error)
            if status:
                raise  # The answer has begun: only cutting the connection tells the caller.
            await render(Problem())(scope, receive, answer)
        finally:
            self._note(scope, hop, status, time.perf_counter() - started)

    def _route(self, scope: Scope) -> str:
        """Return the template with its routers' prefixes, which ``scope["route"]`` does not know."""
        if not self._templates:
            routes = iter_route_contexts(scope["app"].routes)
            self._templates = {route.endpoint: str(route.path) for route in routes if route.endpoint is not None}
        return self._templates.get(scope.get("endpoint"), "unmatched")

    def _note(self, scope: Scope, hop: Hop, status: int, seconds: float) -> None:
        route = self._route(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._count.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if route not in {"/healthz", "/readyz", "/metrics"}:
            # The template, never the path: a path can hold a token.
            _log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))
            told = {"http.request.method": method, "http.route": route, "http.response.status_code": status}
            hop.end(f"{method} {route}", told, failed=status >= 500 or not status)


class BodyLimit:
    """Reads the body up front, refuses one over the limits, and hands it on as one message that can be read again."""

    def __init__(self, app: ASGIApp, *, max_bytes: int = 1_048_576, within_s: float = 10.0) -> None:
        """``max_bytes`` counts the raw body, ``within_s`` bounds the wait for its end."""
        self._app, self._max, self._within_s = app, max_bytes, within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._within_s):
                body = await self._read(scope, receive)
        except TimeoutError:
            await render(SlowBody())(scope, receive, send)
            return
        except TooLarge as refusal:
            await render(refusal)(scope, receive, send)
            return
        if body is None:
            return
        scope["regiohub.body"] = body
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the whole body, or None if the caller left before its end; raise :class:`TooLarge`."""
        too_large = TooLarge(f"At most {self._max} bytes.", max_bytes=self._max)
        size = _header(scope, b"content-length")
        if size.isdecimal() and int(size) > self._max:
            raise too_large
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._max:
                raise too_large
            if not message.get("more_body", False):
                return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


class RetrySerialization:
    """Runs a request again, up to three times with jitter, when PostgreSQL chose it as a deadlock's victim.

    It sits inside all other middleware and sees the failure of a statement as well as that of the commit; the body
    is replayed, nothing has been sent yet.
    """

    def __init__(self, app: ASGIApp) -> None:
        """The wrapped app lets the driver's error through (``web.errors`` does not render it)."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._app(scope, _replay(scope["regiohub.body"], receive), answer)
            except Exception as error:
                if started or sqlstate(error) not in RETRY:
                    raise
                _log.info("retry", sqlstate=sqlstate(error), attempt=attempt)
                await asyncio.sleep(random.uniform(0.005, 0.05) * attempt)  # noqa: S311 - jitter, not a secret
            else:
                return
        await render(Unavailable("Too many people want the same thing. Please try again."))(scope, receive, send)
