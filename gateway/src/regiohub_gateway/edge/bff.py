"""Login and logout. The browser holds a random number, the gateway holds the tokens.

No token reaches the browser, but for one case: when Keycloak could not be told of a logout from behind, the ID token
goes there through the browser, as the hint whose session is meant.
"""

import base64
import hmac
import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from regiohub_gateway.edge import cookies
from regiohub_gateway.edge.keycloak import GrantRefused, Keycloak, LoginFailed, Question, Wish
from regiohub_gateway.edge.limits import Limiter, Rule, TooManyLogins
from regiohub_gateway.edge.paths import AmbiguousPath, check_path
from regiohub_gateway.edge.routes import is_link
from regiohub_gateway.edge.seal import Broken, Seal
from regiohub_gateway.edge.sessions import Sessions
from regiohub_gateway.settings import Settings
from regiohub_gateway.visitor import TYPED, SessionBusy
from regiohub_shared.clock import real_now
from regiohub_shared.log import get_logger
from regiohub_shared.problem import BadRequest, Forbidden, Problem

_log = get_logger(__name__)
_ANSWER_WITHIN_S = 30 * 60
_NO_STORE = {"Cache-Control": "no-store"}
_MAX_RETURN = 300
_SLOTS = "01234"
_MAX_OPEN = 3
"""More logins that were begun and not ended than this are forgotten: their cookies must not fill the header."""
_OWNER_S = 400 * 24 * 60 * 60
_FORGET_STORAGE = '"storage"'
_OUTCOMES = frozenset({"success", "cancelled"})
"""What Keycloak says of a passkey that was to be made (``kc_action_status``)."""


class WrongFormToken(Forbidden):
    """The form was made for another session."""

    type, title = "wrong-form-token", "This form is out of date"


def safe_return(target: str) -> str:
    """Return the path inside our site to go to after a login; anything else becomes the start page."""
    path, _, query = target.partition("?")
    try:
        plain = check_path(path.encode(), query.encode()).removeprefix("/en")
    except (AmbiguousPath, UnicodeEncodeError):
        return "/"
    is_a_page = is_link(path) or not f"{plain}/".startswith(("/auth/", "/api/"))
    return target if is_a_page and len(target) <= _MAX_RETURN else "/"


class Bff:
    """The routes below ``/auth``."""

    def __init__(self, sessions: Sessions, keycloak: Keycloak, limiter: Limiter, settings: Settings) -> None:
        """Share the collaborators with the proxy."""
        self._sessions, self._keycloak, self._limiter = sessions, keycloak, limiter
        self._seal, self._settings = Seal(settings.session_keys), settings
        self._logins = Rule("login", settings.logins_per_minute, timedelta(minutes=1), TooManyLogins)

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(prefix="/auth", include_in_schema=False)
        router.add_api_route("/login", self.login, methods=["GET"])
        router.add_api_route("/register", self.register, methods=["GET"])
        router.add_api_route("/passkey", self.passkey, methods=["GET"])
        router.add_api_route("/callback", self.callback, methods=["GET"])
        router.add_api_route("/session", self.session, methods=["GET"])
        router.add_api_route("/logout", self.logout, methods=["POST"])
        router.add_api_route("/backchannel-logout", self.backchannel_logout, methods=["POST"])
        return router

    async def login(self, request: Request, return_to: str = "/") -> Response:
        """Send the browser to Keycloak's form."""
        return await self._ask(request, return_to, "login")

    async def register(self, request: Request, return_to: str = "/") -> Response:
        """Send the browser to Keycloak's registration form."""
        return await self._ask(request, return_to, "register")

    async def passkey(self, request: Request, return_to: str = "/account") -> Response:
        """Send the browser to Keycloak's page that makes a passkey for whoever is logged in there."""
        return await self._ask(request, return_to, "passkey")

    async def callback(self, request: Request) -> Response:
        """Check the answer against the question, fetch tokens, start a session under a new number."""
        answer = request.query_params
        question, cookie = self._question(request, answer.get("state", ""))
        if answer.get("iss") != self._settings.issuer:
            raise LoginFailed("the answer comes from another issuer")
        if "error" in answer or not answer.get("code"):
            return self._gave_up(answer.get("error", ""), question, cookie)
        tokens, claims = await self._keycloak.redeem(answer["code"], question)
        former = cookies.read(request.scope["headers"], cookies.SESSION)
        secret = await self._sessions.start(tokens, claims, replaces=former)
        _log.info("logged_in")
        target = _with_outcome(safe_return(question.return_to), answer.get("kc_action_status", ""))
        response = RedirectResponse(target, 303, headers=_NO_STORE)
        response.headers.append("Set-Cookie", cookies.write(cookies.SESSION, secret))
        response.headers.append("Set-Cookie", cookies.delete(cookie))
        self._take_over(request, response, claims["sub"])
        return response

    async def session(self, request: Request) -> Response:
        """Tell our own scripts who is logged in and the token that forms need."""
        visitor = request.state.visitor
        if visitor is None:
            return JSONResponse({"logged_in": False}, headers=_NO_STORE)
        if not visitor.access_token:
            raise SessionBusy(retry_after_s=3)
        members = {"logged_in": True, "sub": visitor.sub, "roles": sorted(visitor.roles), "csrf": visitor.csrf}
        return JSONResponse(members, headers=_NO_STORE)

    async def logout(self, request: Request) -> Response:
        """End the session here and at Keycloak; by way of the browser only if it could not be told from behind."""
        form = await request.form()
        if request.state.visitor is not None and form.get("csrf") != request.state.visitor.csrf:
            raise WrongFormToken
        secret = cookies.read(request.scope["headers"], cookies.SESSION)
        login = await self._sessions.end(secret) if secret else None
        ended = login is not None and await self._end_at_keycloak(login.tokens.refresh)
        target = "/" if ended else self._keycloak.logout_url(login.tokens.id if login else "")
        response = RedirectResponse(target, 303, headers=_NO_STORE)
        for name in (cookies.SESSION, cookies.OWNER, TYPED):
            response.headers.append("Set-Cookie", cookies.delete(name))
        # Kept door keys go with the login.
        response.headers["Clear-Site-Data"] = _FORGET_STORAGE
        return response

    async def backchannel_logout(self, request: Request) -> Response:
        """Keycloak says that a login has ended elsewhere (OpenID Connect Back-Channel Logout 1.0)."""
        form = await request.form()
        token = form.get("logout_token")
        if not isinstance(token, str):
            raise BadRequest("logout_token is missing")
        claims: dict[str, Any] = await self._keycloak.check_logout(token)
        if not await self._sessions.end_by_keycloak(claims):
            raise BadRequest("this logout token was used before")
        return Response(status_code=200, headers=_NO_STORE)

    async def _ask(self, request: Request, return_to: str, wish: Wish) -> Response:
        await self._limiter.take(self._logins, request.state.address)
        # Where Keycloak is away, our page says so; a browser that is sent there shows nothing but its own error.
        await self._keycloak.fetch_keys()
        begun = cookies.names(request.scope["headers"], cookies.QUESTION)
        free = [slot for slot in _SLOTS if cookies.QUESTION + slot not in begun] or list(_SLOTS)
        question = Question.new(secrets.choice(free), safe_return(return_to))
        name = _cookie_for(question.state)
        sealed = base64.urlsafe_b64encode(self._seal.close(question.to_bytes(), name)).decode()
        url = self._keycloak.login_url(question, language=request.state.language, wish=wish)
        response = RedirectResponse(url, 303, headers=_NO_STORE)
        for other in begun - {name} if len(begun) >= _MAX_OPEN else ():
            response.headers.append("Set-Cookie", cookies.delete(other))
        response.headers.append("Set-Cookie", cookies.write(name, sealed, max_age_s=_ANSWER_WITHIN_S))
        return response

    def _take_over(self, request: Request, response: Response, sub: str) -> None:
        """Remember whose device this is; what another one kept on it (door keys) goes."""
        key = self._settings.session_keys[0]
        owner = base64.urlsafe_b64encode(hmac.digest(key, b"owner " + sub.encode(), "sha256")[:16]).decode()
        former = cookies.read(request.scope["headers"], cookies.OWNER)
        if former is not None and former != owner:
            response.headers["Clear-Site-Data"] = _FORGET_STORAGE
            response.headers.append("Set-Cookie", cookies.delete(TYPED))
        response.headers.append("Set-Cookie", cookies.write(cookies.OWNER, owner, max_age_s=_OWNER_S))

    def _question(self, request: Request, state: str) -> tuple[Question, str]:
        """Return this browser's question; an answer without one (a foreign link) is refused."""
        name = _cookie_for(state)
        sealed = cookies.read(request.scope["headers"], name) or ""
        try:
            question = Question.from_bytes(self._seal.open(base64.urlsafe_b64decode(sealed), name))
        except (Broken, ValueError) as error:
            raise LoginFailed("this browser did not ask for it") from error
        if question.state != state or real_now().timestamp() - question.asked_at > _ANSWER_WITHIN_S:
            raise LoginFailed("the answer came too late or belongs to another question")
        return question, name

    def _gave_up(self, error: str, question: Question, cookie: str) -> Response:
        """Back to the page without a session; a used-up login page (Keycloak's time limit) starts over."""
        again = error in {"temporarily_unavailable", "login_required", "authentication_expired"}
        target = f"/auth/login?return_to={quote(question.return_to, safe='')}" if again else "/"
        response = RedirectResponse(target, 303, headers=_NO_STORE)
        response.headers.append("Set-Cookie", cookies.delete(cookie))
        return response

    async def _end_at_keycloak(self, refresh_token: str) -> bool:
        """Return whether Keycloak's session has ended."""
        try:
            await self._keycloak.end_session(refresh_token)
        except (Problem, GrantRefused):
            _log.info("keycloak_logout_left_to_browser")
            return False
        return True


def _cookie_for(state: str) -> str:
    """Return the cookie of the slot that a state names; a state that is not ours names the first one."""
    return cookies.QUESTION + (state[:1] if state[:1] in _SLOTS else _SLOTS[0])


def _with_outcome(target: str, status: str) -> str:
    """Return the target with what became of the passkey: ``success`` or ``cancelled``; any other word says nothing."""
    if status not in _OUTCOMES:
        return target
    return f"{target}{'&' if '?' in target else '?'}passkey={status}"
