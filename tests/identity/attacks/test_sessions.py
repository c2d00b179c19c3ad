"""Sessions of the running house: nobody slips into one, none outlives its login, none ends by accident."""

import asyncio
import threading
from contextlib import aclosing
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from regiohub_local.form_browser import FormBrowser
from regiohub_shared.clock import real_now
from tests.identity.attacks.house import SESSION, Attacked
from tests.identity.attacks.test_forged_tokens import Forger, answers, signed
from tests.support.keycloak_login import claims, header

EVENT = "http://schemas.openid.net/event/backchannel-logout"


async def test_fifty_requests_at_expiry_over_two_gateways_are_one_refresh(house: Attacked, member: FormBrowser):
    taps = [house.to_keycloak["gateway"], house.to_keycloak["gateway-2"]]
    before = sum(tap.count("/token", grant_type="refresh_token") for tap in taps)
    old = await house.expire(member)

    found = await asyncio.gather(*(house.ask(n % 2, "/auth/session", member) for n in range(50)))

    assert [(answer.status_code, answer.json().get("logged_in")) for answer in found] == [(200, True)] * 50
    assert sum(tap.count("/token", grant_type="refresh_token") for tap in taps) - before == 1
    row = await house.session_row(member)
    assert row is not None
    assert row["access_expires_at"] > old + timedelta(minutes=4)


async def test_a_gateway_killed_between_keycloaks_answer_and_its_own_commit_logs_nobody_out(
    house: Attacked, member: FormBrowser
):
    tap = house.to_keycloak["gateway-2"]
    tap.answered, tap.release = threading.Event(), threading.Event()
    tap.keep = lambda request: request.form.get("grant_type") == "refresh_token"
    old = await house.expire(member)
    cut = asyncio.create_task(house.ask(1, "/auth/session", member))
    assert await asyncio.to_thread(tap.answered.wait, 20), "Keycloak has answered, the gateway has not heard it"
    house.kill("gateway-2")
    tap.keep = lambda _request: False
    tap.release.set()
    with pytest.raises(httpx.TransportError):
        await cut
    row = await house.session_row(member)
    assert row is not None
    assert (row["access_expires_at"], row["refresh_attempt"]) == (old, 1)

    async with asyncio.timeout(40):
        # Until the dead one's lease has lapsed the other says "soon", and never "log in".
        while (answer := await house.ask(0, "/auth/session", member)).status_code == 503:
            assert int(answer.headers["retry-after"]) >= 1

    assert answer.json()["logged_in"]
    house.revive("gateway-2")
    assert await house.is_logged_in(member, 1)


async def test_a_number_that_somebody_planted_never_becomes_a_session(house: Attacked):
    async with FormBrowser() as browser:
        browser._cookies["localhost", "/", SESSION] = "planted-by-somebody"
        page = await browser.get(f"{house.origin}/auth/login")
        await browser.fill_login(page, "demo-mitglied", house.identity.password)
        own = browser.cookies(house.origin)[SESSION]
        assert own != "planted-by-somebody"
        assert await house.is_logged_in(browser)
        browser._cookies["localhost", "/", SESSION] = "planted-by-somebody"
        assert not await house.is_logged_in(browser)


async def callback_of(house: Attacked, browser: FormBrowser, user: str) -> str:
    """The address with a code to which Keycloak sends a browser, not yet visited."""
    page = await browser.get(f"{house.origin}/auth/login")
    back = await browser.fill_login(page, user, house.identity.password, until=f"{house.origin}/auth/callback")
    return back.headers["location"]


async def test_a_code_counts_once_and_in_its_own_browser(house: Attacked):
    async with FormBrowser() as attacker, FormBrowser() as victim:
        address = await callback_of(house, attacker, "demo-mitglied")
        await victim.get(f"{house.origin}/auth/login")
        assert (await victim.get(address)).status_code == 400
        assert SESSION not in victim.cookies(house.origin), "nobody is logged in as somebody else"

        kept = dict(attacker._cookies)
        await attacker.get(address)
        assert await house.is_logged_in(attacker)
        attacker._cookies = kept
        assert (await attacker.get(address)).status_code == 400
        assert SESSION not in attacker.cookies(house.origin)


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/%2f%2fevil.example", "http:evil.example",
     "javascript:alert(1)", "/\tevil", "/auth/logout", "/api/booking/v1/bookings", "/../..//evil.example", "@evil.example"],
)  # fmt: skip
async def test_no_login_ends_elsewhere(house: Attacked, target: str):
    async with FormBrowser() as browser:
        page = await browser.get(str(httpx.URL(f"{house.origin}/auth/login", params={"return_to": target})))
        back = await browser.fill_login(
            page, "demo-mitglied", house.identity.password, until=f"{house.origin}/auth/callback"
        )
        landed = await browser.request("GET", back.headers["location"], follow=False)
    assert landed.status_code == 303
    assert landed.headers["location"] == "/"


@pytest.mark.parametrize("name", ["evil.example", "localhost.evil.example", "localhost:1", "evil.example:80@localhost"])
async def test_another_name_is_not_served(house: Attacked, member: FormBrowser, name: str):
    for gateway in (0, 1):
        answer = await house.ask(gateway, "/bookings", member, headers={"host": name})
        assert answer.status_code == 421
        assert "evil" not in answer.text


async def test_names_in_other_headers_steer_nothing(house: Attacked, member: FormBrowser):
    told = {
        "x-forwarded-host": "evil.example", "forwarded": "host=evil.example", "x-original-url": "/operator",
        "x-rewrite-url": "/operator", "x-forwarded-proto": "https", "x-forwarded-for": "6.6.6.6",
    }  # fmt: skip
    for path in ("/", "/bookings", "/auth/login"):
        plain = await house.ask(0, path, member)
        answer = await house.ask(0, path, member, headers=told)
        assert (answer.status_code, "evil" in answer.text) == (plain.status_code, False)
        assert "evil" not in str(answer.headers)


async def test_two_people_on_one_connection_never_meet(house: Attacked):
    """A proxy in front of us sends everybody through the same connections; caches there must keep nothing."""
    alice, bob = await house.login("demo-mitglied"), await house.login("demo-kreis")
    people = {
        claims(await house.token(user))["sub"]: browser
        for user, browser in (("demo-mitglied", alice), ("demo-kreis", bob))
    }
    async with httpx.AsyncClient(trust_env=False, base_url=house.gateways[0], timeout=30) as http:
        for sub, browser in [*people.items()] * 5:
            for path in ("/auth/session", "/bookings", "/api/booking/v1/bookings"):
                cookie = "; ".join(f"{k}={v}" for k, v in browser.cookies(house.origin).items())
                http.cookies.clear()
                answer = await http.get(path, headers={**house.host, "cookie": cookie})
                assert answer.headers["cache-control"] == "no-store", path
                assert "set-cookie" not in answer.headers, path
                if path == "/auth/session":
                    assert answer.json()["sub"] == sub
    await alice.aclose()
    await bob.aclose()


async def test_a_logout_ends_the_session_everywhere_for_whoever_kept_the_cookie(house: Attacked, member: FormBrowser):
    csrf = (await house.ask(0, "/auth/session", member)).json()["csrf"]
    for gateway in (1, 0):
        forged = await house.ask(
            gateway,
            "/auth/logout",
            member,
            method="POST",
            data={"csrf": csrf},
            headers={"origin": "https://evil.example"},
        )
        assert forged.status_code == 403
        assert await house.is_logged_in(member, gateway)
    done = await house.ask(
        0, "/auth/logout", member, method="POST", data={"csrf": csrf}, headers={"origin": house.origin}
    )
    assert done.headers["location"] == "/", "Keycloak heard of it from behind"
    assert [await house.is_logged_in(member, gateway) for gateway in (0, 1)] == [False, False]
    page = await member.get(f"{house.origin}/auth/login")
    assert "kc-form-login" in page.text, "Keycloak's own session has ended too"


async def logout_all(house: Attacked, user: str) -> str:
    """An administrator ends a person's logins at Keycloak; return the logout token that the gateway was sent."""
    heard = house.from_keycloak.count("/auth/backchannel-logout")
    with house.identity.admin() as admin:
        (person,) = admin.get("/users", params={"username": user, "exact": True}).json()
        admin.post(f"/users/{person['id']}/logout").raise_for_status()
    async with asyncio.timeout(20):
        while house.from_keycloak.count("/auth/backchannel-logout") == heard:
            await asyncio.sleep(0.1)
    return house.from_keycloak.heard[-1].form["logout_token"]


async def send_logout(house: Attacked, token: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{house.gateways[1]}/auth/backchannel-logout", data={"logout_token": token})
    return answer.status_code


async def test_keycloaks_logout_ends_the_session_once_and_its_token_opens_nothing(house: Attacked, member: FormBrowser):
    token = await logout_all(house, "demo-mitglied")
    async with asyncio.timeout(10):
        while await house.is_logged_in(member):
            await asyncio.sleep(0.1)

    assert await send_logout(house, token) == 400, "it was used"
    assert await answers(house, authorization=f"Bearer {token}") == {401}


async def test_a_forged_logout_ends_nothing(house: Attacked, member: FormBrowser):
    kept = await house.login("demo-kreis")
    genuine = await logout_all(house, "demo-kreis")
    await kept.aclose()
    assert {"exp", "iat", "jti", "sid", "sub", "events"} <= claims(genuine).keys()
    row = await house.session_row(member)
    assert row is not None
    now = int(real_now().timestamp())
    head = header(genuine) | {"kid": house.stolen.kid}
    body = claims(genuine) | {"sub": row["sub"], "sid": row["keycloak_sid"], "iat": now, "exp": now + 60}

    def told(**changes):
        merged = body | {"jti": str(uuid4())} | changes
        return signed(house.stolen, head, {k: v for k, v in merged.items() if v is not None})

    forger = Forger(house, await house.token("demo-mitglied"))
    lies = [
        told(aud="regiohub-booking"), told(iss="http://evil.example"), told(events=None), told(events={"x": {}}),
        told(nonce="x"), told(iat=now - 3600), told(iat=now + 3600), told(exp=now - 60), told(jti=None),
        told(sid=None, sub=None), told()[:-8] + "AAAAAAAA", forger.token, forger.sign(), "x", "",
    ]  # fmt: skip
    assert [await send_logout(house, lie) for lie in lies] == [400] * len(lies)
    assert await house.is_logged_in(member)
    assert await send_logout(house, told()) == 200, "the same without a lie is believed"
    assert not await house.is_logged_in(member)


async def test_who_is_locked_out_at_keycloak_is_out_here_with_the_next_token(house: Attacked):
    """Somebody of their own: Keycloak renames whom an administrator changes after their address."""
    name = "ausgesperrt@example.org"
    person = {"username": name, "email": name, "emailVerified": True, "firstName": "Test", "lastName": "Demo"}
    person |= {"enabled": True, "credentials": [{"type": "password", "value": house.identity.password}]}
    with house.identity.admin() as admin:
        made = admin.post("/users", json=person).raise_for_status().headers["location"].rpartition("/")[2]
        try:
            async with aclosing(await house.login(name)) as browser:
                assert await house.is_logged_in(browser)
                admin.put(f"/users/{made}", json={"enabled": False}).raise_for_status()
                await house.expire(browser)
                assert not await house.is_logged_in(browser)
                assert await house.session_row(browser) is None
        finally:
            admin.delete(f"/users/{made}").raise_for_status()


async def test_a_reader_that_is_locked_out_gets_no_more_tokens(house: Attacked):
    with house.identity.admin() as admin:
        (client,) = admin.get("/clients", params={"clientId": "reader-mayen"}).json()
        admin.put(f"/clients/{client['id']}", json=client | {"enabled": False}).raise_for_status()
        try:
            with pytest.raises(httpx.HTTPStatusError):
                await house.identity.service_token("reader-mayen", "RH_READER_MAYEN_SECRET")
        finally:
            admin.put(f"/clients/{client['id']}", json=client | {"enabled": True}).raise_for_status()
    assert await house.identity.service_token("reader-mayen", "RH_READER_MAYEN_SECRET")
