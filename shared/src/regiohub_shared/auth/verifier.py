"""Tokens are verified here, by every service itself: issuer, own audience, algorithm, type, expiry.

python-keycloak decodes with a key from our cache; its bare ``decode_token()`` would ask Keycloak each time and accept
any issuer, audience and token type.
"""

import base64
import binascii
import hashlib
import json
from collections import OrderedDict
from typing import Any

from keycloak import KeycloakOpenID

from regiohub_shared.auth.keys import FetchKeys, KeyCache
from regiohub_shared.auth.principal import Principal, principal_from
from regiohub_shared.clock import real_now
from regiohub_shared.problem import Unauthorized

_MAX_BYTES = 8192
_LEEWAY_S = 10
_REMEMBERED = 4096


class InvalidToken(Unauthorized):
    """The bearer token is not one that this service accepts; no detail, so that nothing leaks."""

    type, title = "invalid-token", "The access token is not valid here"


def keycloak_client(keycloak_url: str, realm: str, client_id: str, secret: str = "") -> KeycloakOpenID:
    """Return python-keycloak's client with short timeouts and no silent second POST."""
    return KeycloakOpenID(
        server_url=keycloak_url, realm_name=realm, client_id=client_id, client_secret_key=secret or None,
        timeout=5, max_retries=0,
    )  # fmt: skip


class Verifier:
    """Checks access tokens for one audience."""

    def __init__(self, *, issuer: str, audience: str, fetch_keys: FetchKeys) -> None:
        """``fetch_keys`` is usually ``KeycloakOpenID.a_certs``."""
        self._issuer = issuer
        self._audience = audience
        self.keys = KeyCache(fetch_keys)
        # decode_token is free of input and output when a key is given; this client never connects.
        self._decoder = keycloak_client("http://localhost", "none", audience)
        self._known: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self._generation = 0

    async def verify(self, token: str) -> Principal:
        """Return who calls; raise :class:`InvalidToken` for anything but a good access token for us.

        Raises ``KeysUnavailable`` (503) while there are no keys to judge by.
        """
        digest = hashlib.sha256(token.encode()).digest()
        if self._generation != self.keys.generation:
            self._known.clear()
            self._generation = self.keys.generation
        known = self._known.get(digest)
        if known is not None and known[0] > real_now().timestamp():
            return known[1]
        claims = await self._decode(token)
        principal = principal_from(claims)
        self._known[digest] = (float(claims["exp"]), principal)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return principal

    async def _decode(self, token: str) -> dict[str, Any]:
        header = _header(token)
        key = await self.keys.find(header["kid"])
        if key is None:
            raise InvalidToken
        wanted = {"iss": self._issuer, "aud": self._audience, "exp": None, "iat": None, "sub": None, "typ": "Bearer"}
        try:
            claims: dict[str, Any] = self._decoder.decode_token(
                token, key=key, algs=["RS256"], check_claims=wanted, leeway=_LEEWAY_S
            )
        except Exception as error:
            raise InvalidToken from error
        _check_times(claims)
        return claims


def _header(token: str) -> dict[str, Any]:
    """Return the header if its shape is right, before any cryptography."""
    if len(token) > _MAX_BYTES or token.count(".") != 2 or not token.isascii():
        raise InvalidToken
    try:
        first = token.split(".", 1)[0]
        header = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise InvalidToken from error
    # RFC 9068: an ID, refresh or logout token has another type. "crit" asks for rules that we do not know.
    if not isinstance(header, dict) or header.get("alg") != "RS256" or header.get("typ") != "at+jwt":
        raise InvalidToken
    if not isinstance(header.get("kid"), str) or "crit" in header:
        raise InvalidToken
    return header


def _check_times(claims: dict[str, Any]) -> None:
    """Jwcrypto stops looking at ``nbf`` once ``check_claims`` is given; so we look."""
    latest = real_now().timestamp() + _LEEWAY_S
    for name in ("nbf", "iat"):
        value = claims.get(name, 0)
        if not isinstance(value, (int, float)) or value > latest:
            raise InvalidToken
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise InvalidToken
