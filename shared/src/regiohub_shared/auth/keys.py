"""Keycloak's public keys: cached, fetched by one caller at a time, kept while Keycloak is away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from jwcrypto import jwk

from regiohub_shared.log import get_logger
from regiohub_shared.problem import Unavailable

_log = get_logger(__name__)
_TTL_S = 600.0
_COOLDOWN_S = 30.0
_STALE_S = 24 * 3600.0


class KeysUnavailable(Unavailable):
    """No token can be verified: Keycloak has not given its keys, or not for a day."""

    type, title = "keys-unavailable", "Logins cannot be verified at the moment"


FetchKeys = Callable[[], Awaitable[dict[str, Any]]]


class KeyCache:
    """Signing keys by id; an unknown id causes at most one fetch in 30 s, however many tokens ask."""

    def __init__(self, fetch: FetchKeys, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """``fetch`` returns a JWKS (RFC 7517)."""
        self._fetch = fetch
        self._clock = monotonic
        self._keys: dict[str, jwk.JWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None
        self.generation = 0
        """Rises when a key is gone, so that cached verdicts are dropped."""

    @property
    def age_s(self) -> float:
        """Seconds since the last successful fetch."""
        return self._clock() - self._fetched_at

    async def find(self, kid: str) -> jwk.JWK | None:
        """Return the key, or None if Keycloak does not know it.

        A known key never waits for Keycloak: past its time it is renewed in the background. Raises
        :class:`KeysUnavailable` if there are no keys, or they are a day old: then nobody can say what is valid.
        """
        if kid not in self._keys or self.age_s > _STALE_S:
            await self._refresh()
        elif self.age_s > _TTL_S and (self._renewal is None or self._renewal.done()):
            self._renewal = asyncio.create_task(self._refresh())
        if self.age_s > _STALE_S:
            raise KeysUnavailable(retry_after_s=int(_COOLDOWN_S))
        return self._keys.get(kid)

    async def _refresh(self) -> None:
        async with self._lock:
            if self._clock() - self._tried_at < _COOLDOWN_S:
                return
            self._tried_at = self._clock()
            try:
                found = _signing_keys(await self._fetch())
            except Exception as error:  # noqa: BLE001 - whatever fails, the work goes on and is tried again
                _log.warning("keys_not_refreshed", error=type(error).__name__, age_s=self.age_s)
                return
            if self._keys.keys() - found.keys():
                self.generation += 1
            self._keys, self._fetched_at = found, self._clock()


def _signing_keys(jwks: dict[str, Any]) -> dict[str, jwk.JWK]:
    usable = (key for key in jwks.get("keys", []) if key.get("use") == "sig" and key.get("alg") == "RS256")
    found = {str(key["kid"]): jwk.JWK(**key) for key in usable}
    if not found:
        raise ValueError("no signing keys in the answer")  # Not Keycloak's: whoever answered, the old keys stay.
    return found
