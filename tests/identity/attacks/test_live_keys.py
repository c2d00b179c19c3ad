"""Keycloak's keys change, or Keycloak is away: who is honest goes on, who is not never gets in."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from regiohub_shared.auth.keys import KeyCache
from regiohub_shared.auth.verifier import InvalidToken, Verifier
from tests.identity.attacks.house import Attacked
from tests.identity.attacks.test_forged_tokens import ROUTES, Forger, answers
from tests.identity.test_verifier import Certs
from tests.support.keycloak_login import header, login


@asynccontextmanager
async def rotated(house: Attacked) -> AsyncIterator[None]:
    """A new key signs from now on; the old one only verifies, until it goes. At the end all is as before."""
    with house.identity.admin() as admin:
        realm = admin.get("").json()["id"]
        config = {"priority": ["200"], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"]}
        body = {
            "name": "newer", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
            "parentId": realm, "config": config,
        }  # fmt: skip
        made = admin.post("/components", json=body).raise_for_status().headers["location"].rpartition("/")[2]
        try:
            yield
        finally:
            admin.delete(f"/components/{made}").raise_for_status()


async def fresh(house: Attacked) -> str:
    return (await login(house.identity.gateway, "demo-mitglied", house.identity.password)).access


async def accepted(house: Attacked, token: str, seconds: float) -> bool:
    """Whether every service believes it within so many seconds."""
    deadline = time.monotonic() + seconds
    while 401 in await answers(house, authorization=f"Bearer {token}"):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.5)
    return True


async def test_keys_change_under_way_and_nobody_notices(house: Attacked):
    old = await fresh(house)
    browser = await house.login("demo-mitglied")
    certs, clock = Certs(house.identity.issuer), [0.0]
    verifier = Verifier(issuer=house.identity.issuer, audience="regiohub-booking", fetch_keys=certs)
    verifier.keys = KeyCache(certs, monotonic=lambda: clock[0])
    await verifier.verify(old)
    async with rotated(house):
        new = await fresh(house)
        assert header(new)["kid"] != header(old)["kid"]
        assert await accepted(house, new, 35), "the pause between two questions is 30 s"
        assert await accepted(house, old, 0)
        await house.expire(browser)
        assert await house.is_logged_in(browser), "sessions are refreshed over the change"
        clock[0] += 31
        await verifier.verify(new)
    # The newer key is gone now: what it signed is over once the keys are ten minutes old.
    clock[0] += 601
    await verifier.verify(await fresh(house))  # not remembered: its key is looked up, and the keys are old
    await asyncio.sleep(1)
    with pytest.raises(InvalidToken):
        await verifier.verify(new)
    await verifier.verify(old)
    assert certs.asked == 3
    await browser.aclose()


async def test_without_keycloak_known_keys_count_and_unknown_ones_are_refused_at_once(house: Attacked):
    token = await fresh(house)
    assert await accepted(house, token, 35)
    forger = Forger(house, token)
    unknown = forger.headed(kid="of-nobody")
    house.identity.stop()
    try:
        other = forger.sign(sub="another-member")
        assert 401 not in await answers(house, authorization=f"Bearer {other}"), "never seen before, and verified"
        async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
            for name, path in ROUTES.items():
                started = time.monotonic()
                answer = await http.get(house.house.url(name) + path, headers={"authorization": f"Bearer {unknown}"})
                assert answer.status_code == 401
                assert time.monotonic() - started < 10, "the time limit of one question to Keycloak"
    finally:
        house.identity.start()
    assert await accepted(house, await fresh(house), 35)
