"""A service's own token (client credentials): cached to 80 % of its life, fetched by one caller at a time."""

import asyncio
import time
from collections.abc import AsyncGenerator

import httpx

from regiohub_shared.auth.verifier import keycloak_client
from regiohub_shared.settings import ServiceSettings


class ServiceTokens:
    """Gives the current token of this service's client."""

    def __init__(self, settings: ServiceSettings) -> None:
        """Reads ``client_id``, ``client_secret``, ``keycloak_url`` and the realm."""
        self._keycloak = keycloak_client(
            settings.keycloak_url, settings.realm, settings.client_id, settings.client_secret.get_secret_value()
        )
        self._lock = asyncio.Lock()
        self._token = ""
        self._good_until = 0.0

    async def token(self) -> str:
        """Return a token; raises python-keycloak's errors when Keycloak does not answer."""
        async with self._lock:
            if time.monotonic() >= self._good_until:
                answer = await self._keycloak.a_token(grant_type="client_credentials")
                self._token = str(answer["access_token"])
                self._good_until = time.monotonic() + 0.8 * float(answer["expires_in"])
            return self._token


class ServiceAuth(httpx.Auth):
    """Puts the service's token on each request of an httpx client."""

    def __init__(self, tokens: ServiceTokens) -> None:
        """Share one :class:`ServiceTokens` per process."""
        self._tokens = tokens

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Fetch or reuse the token."""
        request.headers["Authorization"] = f"Bearer {await self._tokens.token()}"
        yield request
