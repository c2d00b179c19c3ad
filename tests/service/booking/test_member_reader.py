"""Many members are asked about at once: python-keycloak's shared client once sent one member's token for another."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from regiohub_booking.usecases.member import MemberReader
from regiohub_local.postgres import Urls
from regiohub_shared.db.database import Database
from tests.support.pg import Cluster


@pytest.fixture
def urls(cluster: Cluster) -> Iterator[Urls]:
    with cluster.database("booking") as fresh:
        yield fresh


async def userinfo(request: httpx.Request) -> httpx.Response:
    """Answers about the token's member, after the others have asked too."""
    sub = request.headers["authorization"].removeprefix("Bearer token-of-")
    await asyncio.sleep(0.05)
    return httpx.Response(200, json={"sub": sub, "name": f"Name of {sub}", "email": f"{sub}@x", "email_verified": True})


async def test_fifty_members_at_once_each_get_their_own_name(urls: Urls):
    db = Database(urls.app, pool_size=8)
    async with httpx.AsyncClient(transport=httpx.MockTransport(userinfo), base_url="http://keycloak") as client:
        reader = MemberReader(db, client, "regiohub")
        await asyncio.gather(*(reader.remember(f"m{n}", f"token-of-m{n}") for n in range(50)))
        assert "authorization" not in client.headers
    pool = await db.pool()
    found = {row["sub"]: (row["name"], row["mail"]) for row in await pool.fetch("SELECT sub, name, mail FROM member")}
    await db.close()
    assert found == {f"m{n}": (f"Name of m{n}", f"m{n}@x") for n in range(50)}
