"""What the gateway asks of Keycloak: where to log in, tokens for a code, fresh tokens, and whether a token is genuine."""

import base64
import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from typing import Any, Literal
from urllib.parse import urlencode

import httpx

from regiohub_gateway.edge.upstream import Upstream
from regiohub_gateway.settings import Settings
from regiohub_shared.auth.keys import KeyCache
from regiohub_shared.auth.verifier import keycloak_client
from regiohub_shared.clock import real_now
from regiohub_shared.problem import BadRequest, Unavailable

Wish = Literal["login", "register", "passkey"]
"""What somebody wants at Keycloak's pages."""
_LEEWAY_S = 10
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


class LoginFailed(BadRequest):
    """The answer from the login page does not fit to the question that this browser asked."""

    type, title = "login-failed", "The login could not be completed"


class GrantRefused(Exception):
    """Keycloak says no for good: the code or refresh token is used up, or its session has ended."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """One answer of the token endpoint; ``expires_in`` in seconds."""

    access: str
    refresh: str
    id: str
    expires_in: int

    @property
    def claims(self) -> dict[str, Any]:
        """Claims of the access token, unverified: it came from Keycloak itself, and services verify it anyway."""
        part = self.access.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return claims


@dataclass(frozen=True, slots=True)
class Question:
    """What this browser asked: kept sealed in its cookie until the answer comes."""

    state: str
    nonce: str
    verifier: str
    return_to: str
    asked_at: float

    @classmethod
    def new(cls, slot: str, return_to: str) -> "Question":
        """Return fresh random values, 256 bit each; the state begins with the cookie's slot."""
        token = secrets.token_urlsafe
        return cls(slot + token(32), token(32), token(48), return_to, real_now().timestamp())

    def to_bytes(self) -> bytes:
        """Return JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Question":
        """Read what :meth:`to_bytes` wrote."""
        return cls(**json.loads(data))


class Keycloak:
    """The gateway's own client at the realm (confidential, standard flow, PKCE S256)."""

    def __init__(self, settings: Settings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """``transport`` replaces the network in tests."""
        self._settings = settings
        self._protocol = f"/realms/{settings.realm}/protocol/openid-connect"
        self._upstream = Upstream(settings.keycloak_url, transport=transport, concurrent=16)
        self._keys = KeyCache(self.fetch_keys)
        self._decoder = keycloak_client("http://localhost", "none", settings.client_id)

    @property
    def redirect_uri(self) -> str:
        """The one address that Keycloak may send people back to."""
        return f"{self._settings.public_origin}/auth/callback"

    def login_url(self, question: Question, *, language: str, wish: Wish = "login") -> str:
        """Return the address of the form for the wish; ``passkey`` logs in first where nobody is."""
        digest = hashlib.sha256(question.verifier.encode()).digest()
        query = {
            "client_id": self._settings.client_id,
            "response_type": "code",
            "scope": "openid",
            "redirect_uri": self.redirect_uri,
            "state": question.state,
            "nonce": question.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "ui_locales": language,
        }
        if wish == "passkey":
            query["kc_action"] = "webauthn-register-passwordless"
        page = "registrations" if wish == "register" else "auth"
        return f"{self._settings.issuer}/protocol/openid-connect/{page}?{urlencode(query)}"

    def logout_url(self, id_token: str) -> str:
        """Return where a logout goes on when Keycloak's own session could not be ended from behind.

        The ID token in it holds the person's name, which is why this is not the usual way; without one (our session
        had lapsed), Keycloak asks.
        """
        query = {"client_id": self._settings.client_id, "post_logout_redirect_uri": f"{self._settings.public_origin}/"}
        if id_token:
            query["id_token_hint"] = id_token
        return f"{self._settings.issuer}/protocol/openid-connect/logout?{urlencode(query)}"

    async def redeem(self, code: str, question: Question) -> tuple[Tokens, dict[str, Any]]:
        """Return tokens for a code, and the checked claims of the ID token; raises :class:`LoginFailed`."""
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": question.verifier}
        try:
            tokens = await self._token(form | {"redirect_uri": self.redirect_uri})
        except GrantRefused as error:
            raise LoginFailed("the code was refused") from error
        claims = await self.check(tokens.id)
        if claims.get("nonce") != question.nonce or claims.get("typ") != "ID" or not claims.get("sub"):
            raise LoginFailed("the ID token belongs to another login")
        return tokens, claims

    async def refresh(self, refresh_token: str) -> Tokens:
        """Return fresh tokens; raises :class:`GrantRefused`, or ``Unavailable`` when the answer is unknown."""
        return await self._token({"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def end_session(self, refresh_token: str) -> None:
        """End Keycloak's session from behind; raises ``Unavailable`` or :class:`GrantRefused`."""
        await self._post("/logout", {"refresh_token": refresh_token})

    async def check(self, token: str) -> dict[str, Any]:
        """Return the claims of an ID or logout token made by our realm for us; raises :class:`LoginFailed`."""
        try:
            header = json.loads(base64.urlsafe_b64decode(token.split(".", maxsplit=1)[0] + "=="))
            key = await self._keys.find(str(header["kid"]))
            if key is None or header.get("alg") != "RS256":
                raise LoginFailed("unknown key")  # noqa: TRY301 - raised where it is decided
            wanted = {"iss": self._settings.issuer, "aud": self._settings.client_id, "iat": None, "exp": None}
            claims: dict[str, Any] = self._decoder.decode_token(
                token, key=key, algs=["RS256"], check_claims=wanted, leeway=_LEEWAY_S
            )
        except LoginFailed:
            raise
        except Exception as error:
            raise LoginFailed("the token is not genuine") from error
        if not isinstance(claims["iat"], int) or claims["iat"] > real_now().timestamp() + _LEEWAY_S:
            raise LoginFailed("the token is from the future")
        return claims

    async def check_logout(self, token: str) -> dict[str, Any]:
        """Return the claims of a back-channel logout token (OpenID Connect Back-Channel Logout 1.0 §2.6)."""
        claims = await self.check(token)
        is_logout = _LOGOUT_EVENT in (claims.get("events") or {}) and "nonce" not in claims
        is_fresh = claims["iat"] > real_now().timestamp() - 300
        if not (is_logout and is_fresh and claims.get("jti") and (claims.get("sid") or claims.get("sub"))):
            raise LoginFailed("this is no logout token")
        return claims

    async def fetch_keys(self) -> dict[str, Any]:
        """Return the realm's JWKS."""
        response = await self._exchange(httpx.Request("GET", self._upstream.base_url + self._protocol + "/certs"))
        keys: dict[str, Any] = json.loads(response)
        return keys

    async def aclose(self) -> None:
        """Close the connections."""
        await self._upstream.aclose()

    async def _token(self, form: dict[str, str]) -> Tokens:
        answer = json.loads(await self._post("/token", form))
        return Tokens(
            access=answer["access_token"],
            refresh=answer.get("refresh_token", ""),
            id=answer.get("id_token", ""),
            expires_in=int(answer["expires_in"]),
        )

    async def _post(self, path: str, form: dict[str, str]) -> bytes:
        secret = self._settings.client_secret.get_secret_value()
        data = form | {"client_id": self._settings.client_id, "client_secret": secret}
        return await self._exchange(httpx.Request("POST", self._upstream.base_url + self._protocol + path, data=data))

    async def _exchange(self, request: httpx.Request) -> bytes:
        seconds = self._settings.http_timeout_s
        request.extensions["timeout"] = {"connect": 2.0, "read": seconds}
        response = await self._upstream.handle_async_request(request)
        try:
            body = await response.aread()
        finally:
            await response.aclose()
        if response.status_code in {400, 401}:
            raise GrantRefused(response.status_code)
        if not response.is_success:
            raise Unavailable("the login service is busy")
        return body
