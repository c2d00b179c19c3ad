"""The outermost layer: what a request must look like, who sends it, and which headers every answer carries."""

from collections.abc import Callable
from contextlib import suppress
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regiohub_gateway.edge import cookies
from regiohub_gateway.edge.answers import page_policy, secure, send_page, send_problem
from regiohub_gateway.edge.csrf import SAFE, check_origin
from regiohub_gateway.edge.headers import Headers, check_shape, client_address, value_of
from regiohub_gateway.edge.hosts import Hosts, Misdirected
from regiohub_gateway.edge.limits import AddressLimiter
from regiohub_gateway.edge.paths import check_path
from regiohub_gateway.edge.proxy import Caller, Proxy
from regiohub_gateway.edge.routes import CALENDARS
from regiohub_gateway.edge.sessions import Sessions
from regiohub_gateway.settings import Settings
from regiohub_gateway.visitor import SessionBusy, Visitor
from regiohub_shared.db.errors import is_away, sqlstate
from regiohub_shared.log import get_logger
from regiohub_shared.problem import NotFound, Problem, Unavailable
from regiohub_shared.web.middleware import request_id

_log = get_logger(__name__)
_FROM_KEYCLOAK = "/auth/backchannel-logout"
_LOGOUT = "/auth/logout"
# The app's own API pages need inline scripts, which our policy forbids, and describe nothing that is public.
_HIDDEN = ("/docs", "/openapi.json", "/internal")
_WITHOUT_SESSION = ("/static/", "/healthz", "/readyz", "/metrics", "/auth/callback", _FROM_KEYCLOAK)
# Probes and Prometheus ask the process itself; under the public name nobody needs them.
_OPERATIONS = frozenset({"/healthz", "/readyz", "/metrics"})
_INSIDE = _OPERATIONS | {_FROM_KEYCLOAK}
"""What is asked for under an internal name; nothing else is there."""
_UNCOUNTED = ("/static/", "/healthz", "/readyz", "/metrics")


ShowProblem = Callable[[Problem, str, str], str]
"""Problem, language and request id to HTML."""


class Front:
    """Sends ``/api`` to the proxy and the rest to the pages."""

    def __init__(
        self,
        pages: ASGIApp,
        proxy: Proxy,
        sessions: Sessions,
        addresses: AddressLimiter,
        settings: Settings,
        *,
        show: ShowProblem,
    ) -> None:
        """``pages`` is the app with pages, login and health; ``show`` writes a refusal as a page for people."""
        self._show = show
        self._pages, self._proxy, self._sessions, self._addresses = pages, proxy, sessions, addresses
        self._origin, self._hops = settings.public_origin, settings.forwarded_hops
        login_origin = "/".join(settings.issuer.split("/")[:3])
        self._policy = page_policy([login_origin, settings.checkout_origin])
        self._hosts = Hosts(settings.public_origin, settings.internal_names)
        self._https = settings.public_origin.startswith("https:")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._pages(scope, receive, send)
            return
        if scope["type"] != "http":
            # WebSockets are not offered: closed before it was accepted, the handshake is answered with 403.
            await send({"type": "websocket.close", "code": 1008})
            return
        caller = self._caller(scope)
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._route(scope, receive, watched, caller)
        except Exception as error:
            if started:
                raise
            await self._refuse(scope, send, _as_problem(error), caller)

    async def _refuse(self, scope: Scope, send: Send, problem: Problem, caller: Caller) -> None:
        """People get a page, programs get problem+json."""
        accept = value_of(scope["headers"], b"accept") or b""
        if b"text/html" not in accept or scope["path"].startswith("/api/"):
            await send_problem(send, problem, request_id=caller.request_id, https=self._https)
            return
        language, _ = _split_language(scope["path"])
        body = self._show(problem, language, caller.request_id).encode()
        await send_page(
            send, body, problem=problem, policy=self._policy, request_id=caller.request_id, https=self._https
        )

    async def _route(self, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
        check_shape(scope["headers"])
        path = check_path(scope["raw_path"].split(b"?")[0], scope["query_string"])
        self._check_host(scope["headers"], path)
        if not path.startswith(_UNCOUNTED):
            await self._addresses.check(caller.address)
        if path.startswith(("/api/", CALENDARS)):
            await self._proxy(scope, receive, send, path=path, caller=caller)
        else:
            await self._page(scope, receive, send, path, caller)

    def _check_host(self, headers: Headers, path: str) -> None:
        if self._hosts.is_public(headers):
            return
        # Anybody can write an internal name into Host; through our own proxies it still comes from outside.
        is_from_outside = self._hops > 0 and value_of(headers, b"x-forwarded-for") is not None
        if is_from_outside or path not in _INSIDE or not self._hosts.is_internal(headers):
            raise Misdirected

    async def _page(self, scope: Scope, receive: Receive, send: Send, path: str, caller: Caller) -> None:
        language, plain = _split_language(path)
        if plain.startswith(_HIDDEN) or (plain in _OPERATIONS and self._hosts.is_public(scope["headers"])):
            raise NotFound
        if scope["method"] not in SAFE and plain != _FROM_KEYCLOAK:
            check_origin(scope["headers"], self._origin)
        visitor = await self._visitor(scope["headers"], plain)
        state = dict(scope.get("state") or {})
        state |= {"visitor": visitor, "language": language, "address": caller.address, "request_id": caller.request_id}
        inner = dict(scope)
        inner.update(path=unquote(plain), raw_path=plain.encode(), state=state)
        inner["headers"] = _with_request_id(scope["headers"], caller.request_id)
        # A page answers HEAD as it answers GET, without its body; a login must not begin by a look at its address.
        is_head = scope["method"] == "HEAD" and not plain.startswith("/auth/")
        if is_head:
            inner["method"] = "GET"

        async def sealing(message: Message) -> None:
            if is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            if message["type"] == "http.response.start":
                headers = secure(
                    list(message["headers"]), policy=self._policy, request_id=caller.request_id, https=self._https
                )
                message = {**message, "headers": headers}
            await send(message)

        await self._pages(inner, receive, sealing)

    async def _visitor(self, headers: Headers, plain: str) -> Visitor | None:
        """Return who is logged in; without Keycloak's fresh token still who it is, but not for the services."""
        secret = cookies.read(headers, cookies.SESSION)
        if not secret or plain.startswith(_WITHOUT_SESSION):
            return None
        if plain != _LOGOUT:
            with suppress(SessionBusy):
                login = await self._sessions.find(secret)
                return login.visitor() if login else None
        login = await self._sessions.peek(secret)
        return login.visitor(with_token=False) if login else None

    def _caller(self, scope: Scope) -> Caller:
        peer = scope["client"][0] if scope.get("client") else "unknown"
        return Caller(client_address(scope["headers"], peer, self._hops), request_id(scope))


def _with_request_id(headers: Headers, request_id: str) -> Headers:
    return [pair for pair in headers if pair[0] != b"x-request-id"] + [(b"x-request-id", request_id.encode())]


def _split_language(path: str) -> tuple[str, str]:
    """Return language and path: German pages have no prefix, English ones stand below ``/en``."""
    if path == "/en":
        return "en", "/"
    return ("en", path[3:]) if path.startswith("/en/") else ("de", path)


def _as_problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if is_away(error) or isinstance(error, OSError):
        _log.warning("database_busy", sqlstate=sqlstate(error), error=type(error).__name__)
        return Unavailable()
    _log.error("unexpected_error", exc_info=error)
    return Problem()
