"""The proxy: raw ASGI in, httpx's request types out. It knows routes, sessions and limits, and no service's data."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import httpx
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import Receive, Scope, Send

from regiohub_gateway.edge import cookies
from regiohub_gateway.edge.answers import API_POLICY, secure, send_redirect
from regiohub_gateway.edge.csrf import check_api
from regiohub_gateway.edge.headers import (
    Headers,
    content_length,
    is_navigation,
    request_headers,
    response_headers,
    value_of,
)
from regiohub_gateway.edge.routes import Route, find_route, is_link
from regiohub_gateway.edge.sessions import Sessions
from regiohub_shared.log import get_logger
from regiohub_shared.problem import BadRequest, Problem, SlowBody, TooLarge, Unauthorized
from regiohub_shared.tracing import Tracer, trace_context
from regiohub_shared.web.middleware import traceparent

_log = get_logger("access")
_BODY_S = 15.0


class TwoCredentials(BadRequest):
    """Cookie and bearer token together: one could hide the other."""

    type, title = "two-credentials", "Send either the session cookie or a bearer token"


class SessionEnded(Unauthorized):
    """The cookie's session is over."""

    type, title = "session-ended", "Your session has ended; please log in again"


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What the front found out about a request."""

    address: str
    request_id: str


class Proxy:
    """Carries ``/api/<service>/…`` to the services."""

    def __init__(
        self,
        targets: Mapping[str, tuple[str, httpx.AsyncBaseTransport]],
        sessions: Sessions,
        public_origin: str,
        metrics: CollectorRegistry,
        tracer: Tracer,
    ) -> None:
        """``targets`` gives base address and transport by service name."""
        self._count = Counter("proxied_requests_total", "Proxied requests", ("service", "status"), registry=metrics)
        self._seconds = Histogram("proxied_duration_seconds", "Duration", ("service",), registry=metrics)
        self._targets, self._sessions, self._origin = targets, sessions, public_origin
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send, *, path: str, caller: Caller) -> None:
        """Answer one request; raises ``Problem`` as long as nothing was sent."""
        started = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        hop = self._tracer.begin(traceparent(scope))
        trace = {"traceparent": hop.traceparent, "trace_id": hop.traceparent[3:35]}
        structlog.contextvars.bind_contextvars(service="gateway", request_id=caller.request_id, **trace)
        route = find_route(scope["method"], path)
        status = 0
        try:
            status = await self._exchange(scope, receive, send, route, caller)
        except ClientGone:
            status = 499
        except Problem as problem:
            status = problem.status
            raise
        finally:
            self._note(route.service, scope["method"], status, time.perf_counter() - started)
            told = {"http.request.method": scope["method"], "http.response.status_code": status}
            hop.end(f"{scope['method']} → {route.service}", told, failed=status >= 500 or not status)

    def _note(self, service: str, method: str, status: int, seconds: float) -> None:
        self._count.labels(service, str(status)).inc()
        self._seconds.labels(service).observe(seconds)
        # Neither path nor query: both can hold what is nobody's business.
        _log.info("proxied", to=service, method=method, status=status, ms=round(seconds * 1000, 1))

    async def _exchange(self, scope: Scope, receive: Receive, send: Send, route: Route, caller: Caller) -> int:
        authorization = await self._authorization(scope["method"], scope["headers"], route)
        here = f"/api/{route.service}{route.path}"
        if authorization is None and is_link(here) and is_navigation(scope["method"], scope["headers"]):
            return await self._to_login(here, scope["query_string"].decode("ascii"), send, caller)
        body = await _read_body(receive, scope["headers"], route.max_body)
        headers = request_headers(
            scope["headers"], authorization=authorization, client_ip=caller.address, request_id=caller.request_id,
            traceparent=trace_context()["traceparent"],
        )  # fmt: skip
        return await self._while_awaited(self._request(scope, route, headers, body), receive, send, route, caller)

    async def _while_awaited(
        self, request: httpx.Request, receive: Receive, send: Send, route: Route, caller: Caller
    ) -> int:
        """Answer within the route's time, and only as long as the caller waits."""
        patience = asyncio.timeout(route.total_s)
        leaving = asyncio.create_task(_cut_short(patience, receive))  # begins when we first wait
        try:
            async with patience:
                return await self._answer(request, route, send, caller)
        except TimeoutError:
            if leaving.done():
                raise ClientGone from None
            raise
        finally:
            leaving.cancel()

    async def _to_login(self, here: str, query: str, send: Send, caller: Caller) -> int:
        """Send a person to the login and back, in the language that the link asks for."""
        login = "/en/auth/login" if "lang=en" in query.split("&") else "/auth/login"
        target = f"{login}?return_to={quote(f'{here}?{query}' if query else here, safe='')}"
        await send_redirect(send, target, request_id=caller.request_id, https=self._origin.startswith("https:"))
        return 303

    async def _authorization(self, method: str, headers: Headers, route: Route) -> bytes | None:
        bearer = value_of(headers, b"authorization")
        if bearer is not None:
            if cookies.has(headers, cookies.SESSION):
                raise TwoCredentials
            return bearer
        secret = cookies.read(headers, cookies.SESSION)
        if not route.takes_session or secret is None:
            return None
        check_api(method, headers, self._origin)
        login = await self._sessions.find(secret)
        if login is None:
            # Public reading goes on without the session that has ended.
            if method in {"GET", "HEAD"}:
                return None
            raise SessionEnded
        return f"Bearer {login.tokens.access}".encode()

    def _request(self, scope: Scope, route: Route, headers: Headers, body: bytes | None) -> httpx.Request:
        base, _ = self._targets[route.service]
        query = scope["query_string"].decode("ascii")
        timeout = {"connect": 1.0, "read": route.first_byte_s}
        url = f"{base}{route.path}?{query}" if query else f"{base}{route.path}"
        return httpx.Request(
            scope["method"],
            url,
            headers=headers,
            content=body,
            extensions={"timeout": timeout, "target": _target(url)},
        )

    async def _answer(self, request: httpx.Request, route: Route, send: Send, caller: Caller) -> int:
        _, transport = self._targets[route.service]
        response = await transport.handle_async_request(request)
        try:
            headers = response_headers(response.headers.raw)
            sealed = secure(
                headers, policy=API_POLICY, request_id=caller.request_id, https=self._origin.startswith("https:")
            )
            await send({"type": "http.response.start", "status": response.status_code, "headers": sealed})
            assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - narrows the type; cannot fail
            async for chunk in response.stream:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            await response.aclose()
        # The last act: from here on the caller counts as gone.
        await send({"type": "http.response.body", "body": b""})
        return response.status_code


def _target(url: str) -> bytes:
    """Return what follows the host, byte for byte: httpx would repair it."""
    return b"/" + url.split("/", 3)[3].encode("ascii")


async def _read_body(receive: Receive, headers: Headers, limit: int) -> bytes | None:
    """Return the whole body, or None for a request without one.

    At most a mebibyte, so it is kept here rather than streamed: a slow sender cannot hold a service's connection, and
    a refusal is complete before anything was passed on.
    """
    announced = content_length(headers)
    if announced is None and value_of(headers, b"transfer-encoding") is None:
        return None
    if announced is not None and announced > limit:
        raise TooLarge(max_bytes=limit)
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(_BODY_S):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                parts.append(message.get("body", b""))
                more = message.get("more_body", False)
                if sum(map(len, parts)) > limit:
                    raise TooLarge(max_bytes=limit)
    except TimeoutError:
        raise SlowBody from None
    return b"".join(parts)


async def _cut_short(patience: asyncio.Timeout, receive: Receive) -> None:
    """End the patience as soon as nobody waits for the answer any more."""
    while (await receive())["type"] != "http.disconnect":
        pass
    patience.reschedule(0)
