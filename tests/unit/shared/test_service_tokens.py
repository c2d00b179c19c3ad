"""A service's own token is fetched once, used for most of its life, and put on each request."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from regiohub_shared.auth.service_tokens import ServiceAuth, ServiceTokens
from regiohub_shared.settings import ServiceSettings


class Keycloak:
    """Counts how often a token is asked for."""

    def __init__(self) -> None:
        self.asked, self.away = 0, False

    async def a_token(self, **wanted: Any) -> dict[str, Any]:
        self.asked += 1
        assert wanted == {"grant_type": "client_credentials"}
        await asyncio.sleep(0)
        if self.away:
            raise ConnectionError
        return {"access_token": f"token-{self.asked}", "expires_in": 100}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    moment = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: moment[0])
    return moment


@pytest.fixture
def keycloak() -> Keycloak:
    return Keycloak()


@pytest.fixture
def tokens(keycloak: Keycloak) -> ServiceTokens:
    made = ServiceTokens(
        ServiceSettings(database_url="postgresql://a", issuer="http://localhost:1/realms/regiohub", client_id="c")
    )
    made._keycloak = keycloak  # type: ignore[assignment]
    return made


async def test_one_caller_fetches(tokens: ServiceTokens, keycloak: Keycloak, clock: list[float]) -> None:
    assert set(await asyncio.gather(*(tokens.token() for _ in range(50)))) == {"token-1"}
    clock[0] += 79
    assert await tokens.token() == "token-1"
    clock[0] += 2
    assert await tokens.token() == "token-2"
    assert keycloak.asked == 2


async def test_a_failure_is_told_and_not_kept(tokens: ServiceTokens, keycloak: Keycloak, clock: list[float]) -> None:
    keycloak.away = True
    with pytest.raises(ConnectionError):
        await tokens.token()
    keycloak.away = False
    assert await tokens.token() == "token-2"


async def test_goes_with_each_request(tokens: ServiceTokens) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=request.headers["authorization"])

    async with httpx.AsyncClient(auth=ServiceAuth(tokens), transport=httpx.MockTransport(answer)) as client:
        assert (await client.get("http://neighbour/")).text == "Bearer token-1"
