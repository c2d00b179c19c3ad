"""Login, session, refresh, logout: against a real database."""

import asyncio
from datetime import timedelta

import asyncpg
import httpx
import pytest

from regiohub_gateway.edge.sessions import row_id
from regiohub_shared.clock import real_now
from tests.service.gateway.fakes import BOOKING_ID, ORIGIN, logout_token
from tests.support.tokens import ISSUER, sign

SESSION = "__Host-rh"


async def rows(house, sql="SELECT * FROM session"):
    pool = await house.db.pool()
    return await pool.fetch(sql)


async def age(house, **columns):
    for name, value in columns.items():
        await as_owner(house, f"UPDATE session SET {name} = $1", value)


async def as_owner(house, sql, *values):
    """Change what the app itself may not."""
    connection = await asyncpg.connect(house.settings.migrate_database_url)
    await connection.execute(sql, *values)
    await connection.close()


async def test_a_login_starts_a_session_that_holds_no_readable_token(house):
    browser = house.browser()
    answer = await browser.login(return_to="/en/bookings")

    assert answer.status_code == 303
    assert answer.headers["location"] == "/en/bookings"
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(f"{SESSION}="))
    assert "; Path=/; Secure; HttpOnly; SameSite=Lax" in cookie
    [row] = await rows(house)
    assert row["sub"] == "alice"
    assert browser.cookies[SESSION] not in str(row)
    assert b"eyJ" not in row["tokens"]
    session = (await browser.get("/auth/session")).json()
    assert session["logged_in"]
    assert session["roles"] == ["member"]


async def test_the_question_uses_pkce_state_and_nonce(house):
    asked = (await house.browser().get("/en/auth/login?return_to=/")).headers["location"]
    query = httpx.URL(asked).params

    assert query["code_challenge_method"] == "S256"
    assert query["redirect_uri"] == f"{ORIGIN}/auth/callback"
    assert query["ui_locales"] == "en"
    assert min(len(query["state"]), len(query["nonce"]), len(query["code_challenge"])) >= 43
    register = (await house.browser().get("/auth/register")).headers["location"]
    assert "/protocol/openid-connect/registrations?" in register


@pytest.mark.parametrize(
    ("told", "target"),
    [
        ("kc_action_status=success", "/en/account?passkey=success"),
        ("kc_action_status=cancelled", "/en/account?passkey=cancelled"),
        ("kc_action_status=%0d%0aSet-Cookie:+x", "/en/account"),
        ("", "/en/account"),
    ],
)
async def test_a_passkey_is_asked_for_and_the_page_hears_what_became_of_it(house, told, target):
    browser = house.browser()
    asked = (await browser.get("/en/auth/passkey?return_to=/en/account")).headers["location"]
    assert httpx.URL(asked).params["kc_action"] == "webauthn-register-passwordless"

    back = f"{house.keycloak.login(asked)}&{told}".removeprefix(ORIGIN)

    assert (await browser.get(back)).headers["location"] == target


async def test_the_account_page_leads_to_the_own_login_at_keycloak(house):
    browser = house.browser()
    await browser.login()
    page = (await browser.get("/account?passkey=success")).text
    assert f'href="{ISSUER}/account/account-security/signing-in"' in page
    assert 'href="/auth/passkey?return_to=/account"' in page
    assert "Der Passkey ist eingerichtet" in page
    assert "alert" not in (await browser.get("/account?passkey=<script>")).text.partition("<main")[2]


@pytest.mark.parametrize("path", ["/auth/login?return_to=/bookings", "/en/auth/register", "/auth/passkey"])
async def test_while_keycloak_is_away_our_page_says_so(house, path):
    house.keycloak.is_down = True
    answer = await house.browser().get(path, headers={"accept": "text/html"})

    assert answer.status_code == 503
    assert "<h1" in answer.text
    house.keycloak.is_down = False
    assert (await house.browser().get(path)).status_code == 303


async def test_an_answer_that_this_browser_did_not_ask_for_is_refused(house):
    attacker, victim = house.browser(), house.browser()
    asked = await attacker.get("/auth/login")
    back = house.keycloak.login(asked.headers["location"], "mallory")

    answer = await victim.get(back.removeprefix(ORIGIN))

    assert answer.status_code == 400
    assert SESSION not in victim.cookies
    assert await rows(house) == []


@pytest.mark.parametrize("change", ["state=wrong&", "iss=http://evil.example&", "code=forged&"])
async def test_a_changed_answer_is_refused(house, change):
    browser = house.browser()
    asked = await browser.get("/auth/login")
    back = house.keycloak.login(asked.headers["location"]).removeprefix(ORIGIN)
    name = change.split("=")[0]
    parts = [part for part in back.split("?")[1].split("&") if not part.startswith(f"{name}=")]

    answer = await browser.get(f"/auth/callback?{change}{'&'.join(parts)}")

    assert answer.status_code == 400
    assert SESSION not in browser.cookies


async def test_an_answer_to_another_question_of_the_same_cookie_is_refused(house):
    """Only the first letter of the state names the cookie; all of it must be the one that was asked."""
    browser = house.browser()
    asked = await browser.get("/auth/login")
    back = httpx.URL(house.keycloak.login(asked.headers["location"]))
    state = back.params["state"]

    answer = await browser.get(str(back.copy_set_param("state", state[0] + "x" * 43)).removeprefix(ORIGIN))

    assert (answer.status_code, SESSION in browser.cookies) == (400, False)
    assert await rows(house) == []


@pytest.mark.parametrize("kind", ["Bearer", "Refresh", "Logout", "", None])
async def test_only_an_id_token_logs_in(house, kind):
    browser = house.browser()
    house.keycloak.id_type = kind

    answer = await browser.login()

    assert (answer.status_code, SESSION in browser.cookies) == (400, False)
    assert await rows(house) == []


async def test_an_answer_counts_once(house):
    browser = house.browser()
    asked = await browser.get("/auth/login")
    kept = dict(browser.cookies)
    back = house.keycloak.login(asked.headers["location"]).removeprefix(ORIGIN)
    await browser.get(back)
    browser.cookies = kept

    assert (await browser.get(back)).status_code == 400


async def test_two_tabs_can_log_in_at_once(house):
    browser = house.browser()
    first = (await browser.get("/auth/login?return_to=/find")).headers["location"]
    second = (await browser.get("/auth/login?return_to=/bookings")).headers["location"]

    assert (await browser.get(house.keycloak.login(first).removeprefix(ORIGIN))).headers["location"] == "/find"
    assert (await browser.get(house.keycloak.login(second).removeprefix(ORIGIN))).headers["location"] == "/bookings"


async def test_a_login_gets_a_new_number_and_ends_the_old_session(house):
    browser = house.browser()
    browser.cookies[SESSION] = "planted-by-somebody"
    await browser.login()
    first = browser.cookies[SESSION]
    assert first != "planted-by-somebody"
    await browser.login()

    assert browser.cookies[SESSION] != first
    assert len(await rows(house)) == 1


async def test_sessions_end_by_idleness_and_by_age(house):
    browser = house.browser()
    await browser.login()
    await age(house, seen_at=real_now() - timedelta(minutes=31))
    assert not (await browser.get("/auth/session")).json()["logged_in"]
    await age(house, seen_at=real_now(), expires_at=real_now())
    assert not (await browser.get("/auth/session")).json()["logged_in"]
    await age(house, expires_at=real_now() + timedelta(hours=1))
    assert (await browser.get("/auth/session")).json()["logged_in"]


async def test_a_copy_of_the_row_under_another_id_opens_nothing(house):
    browser = house.browser()
    await browser.login()
    await age(house, id="0" * 64)
    await as_owner(house, "UPDATE session SET id = $1", row_id("guess"))
    browser.cookies[SESSION] = "guess"

    assert not (await browser.get("/auth/session")).json()["logged_in"]


async def test_many_requests_at_expiry_cause_one_refresh_over_two_replicas(house):
    browser = house.browser()
    await browser.login()
    await age(house, access_expires_at=real_now() - timedelta(seconds=1))
    house.keycloak.refresh_delay = lambda: asyncio.sleep(0.3)
    other = house.restarted()
    replicas = [browser, other.browser()]
    replicas[1].cookies = browser.cookies

    answers = await asyncio.gather(*(replicas[n % 2].get("/auth/session") for n in range(30)))

    assert [answer.json()["logged_in"] for answer in answers] == [True] * 30
    assert house.keycloak.refreshes == 1


async def test_while_one_refreshes_early_the_others_go_on(house):
    browser = house.browser()
    await browser.login()
    await age(house, access_expires_at=real_now() + timedelta(seconds=30))
    house.keycloak.refresh_delay = lambda: asyncio.sleep(1.0)
    slow = asyncio.create_task(browser.get("/auth/session"))
    await asyncio.sleep(0.3)
    started = asyncio.get_running_loop().time()

    assert (await browser.get("/auth/session")).json()["logged_in"]
    assert asyncio.get_running_loop().time() - started < 0.6
    assert (await slow).json()["logged_in"]
    assert house.keycloak.refreshes == 1


async def test_keycloak_away_does_not_end_a_session_that_still_holds(house):
    browser = house.browser()
    await browser.login()
    await age(house, access_expires_at=real_now() + timedelta(seconds=30))
    house.keycloak.refresh_answer = lambda: httpx.Response(503)
    assert (await browser.get("/auth/session")).json()["logged_in"]

    await age(house, access_expires_at=real_now() - timedelta(seconds=1), refresh_lease_until=None)
    late = await browser.get("/auth/session")
    assert late.status_code == 503
    assert int(late.headers["retry-after"]) >= 1

    house.keycloak.refresh_answer = None
    assert (await browser.get("/auth/session")).json()["logged_in"]


async def test_a_lease_that_lapsed_is_taken_over(house):
    browser = house.browser()
    await browser.login()
    past = real_now() - timedelta(seconds=1)
    await age(house, access_expires_at=past, refresh_lease_until=past)

    assert (await browser.get("/auth/session")).json()["logged_in"]


class Overtaken:
    """A refresh whose answer hangs until its lease has lapsed and a second one has begun."""

    def __init__(self, house):
        self.house, self.asked = house, 0
        self.release = [asyncio.Event(), asyncio.Event()]
        house.keycloak.refresh_delay = self._wait

    async def _wait(self):
        self.asked += 1
        await self.release[self.asked - 1].wait()

    async def begin(self, browser):
        """One more request that refreshes; the lease of the one before has lapsed."""
        await age(self.house, refresh_lease_until=real_now() - timedelta(seconds=1))
        before, task = self.asked, asyncio.create_task(browser.get("/auth/session"))
        while self.asked == before:
            await asyncio.sleep(0.01)
        return task


async def test_who_read_the_session_before_a_refresh_ended_does_not_refresh_again(house):
    browser = house.browser()
    await browser.login()
    await age(house, access_expires_at=real_now() - timedelta(seconds=1))
    other = await asyncpg.connect(house.settings.database_url)
    try:
        async with other.transaction():
            fresh = real_now() + timedelta(minutes=5)
            await other.execute("UPDATE session SET access_expires_at = $1, refresh_lease_until = NULL", fresh)
            late = asyncio.create_task(browser.get("/auth/session"))
            while not (late.done() or await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                await asyncio.sleep(0.01)
            assert not late.done(), "it waits for the row that it has read as run out"
    finally:
        await other.close()

    assert (await late).json()["logged_in"]
    assert house.keycloak.refreshes == 0


@pytest.mark.parametrize("answer", [None, lambda: httpx.Response(400), lambda: httpx.Response(503)])
async def test_the_late_answer_of_a_refresh_that_was_overtaken_changes_nothing(house, answer):
    browser = house.browser()
    await browser.login()
    await age(house, access_expires_at=real_now() - timedelta(seconds=1))
    refreshes = Overtaken(house)
    slow, quick = await refreshes.begin(browser), await refreshes.begin(browser)
    refreshes.release[1].set()
    assert (await quick).json()["logged_in"]
    [stored] = await rows(house)

    house.keycloak.refresh_answer = answer
    refreshes.release[0].set()
    await slow

    assert await rows(house) == [stored]


async def test_the_late_failure_of_a_refresh_does_not_give_back_the_lease_of_the_next(house):
    browser = house.browser()
    await browser.login()
    await age(house, access_expires_at=real_now() - timedelta(seconds=1))
    refreshes = Overtaken(house)
    slow, quick = await refreshes.begin(browser), await refreshes.begin(browser)
    [held] = await rows(house)

    house.keycloak.refresh_answer = lambda: httpx.Response(503)
    refreshes.release[0].set()
    await slow
    assert await rows(house) == [held]

    house.keycloak.refresh_answer = None
    refreshes.release[1].set()
    assert (await quick).json()["logged_in"]


async def test_a_session_that_keycloak_ended_ends_here(house):
    browser = house.browser()
    await browser.login()
    await age(house, access_expires_at=real_now() - timedelta(seconds=1))
    house.keycloak.refresh_answer = lambda: httpx.Response(400, json={"error": "invalid_grant"})

    assert not (await browser.get("/auth/session")).json()["logged_in"]
    assert await rows(house) == []
    answer = await browser.get("/bookings")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/auth/login?return_to=%2Fbookings"


async def test_logout_ends_both_sessions(house):
    browser = house.browser()
    await browser.login()
    kept = dict(browser.cookies)

    answer = await browser.post("/auth/logout", {})

    assert answer.status_code == 303
    assert answer.headers["location"] == "/", "no token, name or address travels through the browser"
    assert '"storage"' in answer.headers["clear-site-data"]
    assert house.keycloak.ended == ["alice:r"]
    browser.cookies = kept
    assert not (await browser.get("/auth/session")).json()["logged_in"]


@pytest.mark.parametrize("status", [400, 503])
async def test_only_a_logout_that_keycloak_did_not_take_from_behind_goes_there_through_the_browser(house, status):
    browser = house.browser()
    await browser.login()
    house.keycloak.logout_answer = status

    answer = await browser.post("/auth/logout", {})

    assert "/protocol/openid-connect/logout?" in answer.headers["location"]
    assert "id_token_hint=eyJ" in answer.headers["location"]
    assert await rows(house) == []


async def test_after_our_session_lapsed_keycloak_is_asked_about_its_own(house):
    browser = house.browser()
    await browser.login()
    await age(house, expires_at=real_now())

    answer = await browser.send("POST", "/auth/logout", data={}, headers={"origin": ORIGIN})

    assert "/protocol/openid-connect/logout?client_id=regiohub-gateway" in answer.headers["location"]
    assert "id_token_hint" not in answer.headers["location"]
    assert SESSION not in browser.cookies


async def without_keycloak(house):
    """A browser whose token ran out while Keycloak is away, and its page's form token."""
    browser = house.browser()
    await browser.login()
    csrf = (await browser.get("/auth/session")).json()["csrf"]
    await age(house, access_expires_at=real_now() - timedelta(seconds=1))
    house.keycloak.refresh_answer = lambda: httpx.Response(503)
    house.keycloak.logout_answer = 503
    return browser, csrf


async def test_without_keycloak_everybodys_pages_stand_and_own_ones_say_why_not(house):
    browser, csrf = await without_keycloak(house)

    for path in ("/", "/find", "/hubs/bendorf", "/impressum", "/en/problems"):
        page = await browser.get(path)
        assert page.status_code == 200, path
        assert csrf in page.text
        assert all("authorization" not in request.headers for request in house.booking.seen)
    for path in ("/bookings", f"/bookings/{BOOKING_ID}", f"/key/{BOOKING_ID}"):
        page = await browser.get(path)
        assert page.status_code == 503, "not the way to the login: a kept door key would be forgotten"
        assert "Anmeldung ist gerade nicht erreichbar" in page.text
    form = {"csrf": csrf, "key": "0193b3f0-0000-7000-8000-0000000000c1"}
    sent = await browser.send("POST", "/book", data=form, headers={"origin": ORIGIN})
    assert sent.status_code == 503


async def test_without_keycloak_the_logout_works(house):
    browser, csrf = await without_keycloak(house)
    refreshes = house.keycloak.refreshes

    forged = await browser.send("POST", "/auth/logout", data={"csrf": "guess"}, headers={"origin": ORIGIN})
    assert forged.status_code == 403
    answer = await browser.send("POST", "/auth/logout", data={"csrf": csrf}, headers={"origin": ORIGIN})

    assert answer.status_code == 303
    assert SESSION not in browser.cookies
    assert await rows(house) == []
    assert house.keycloak.refreshes == refreshes, "a logout does not renew the token first"


async def test_an_answer_for_another_question_is_refused(house):
    """The code is good, but its ID token was made for another login: a code that somebody slipped in."""
    browser = house.browser()
    house.keycloak.nonce = "of-another-login"

    answer = await browser.login()

    assert answer.status_code == 400
    assert SESSION not in browser.cookies
    assert await rows(house) == []


async def test_what_another_person_kept_on_the_device_goes_when_somebody_else_logs_in(house):
    browser = house.browser()
    assert "clear-site-data" not in (await browser.login("alice")).headers
    await age(house, expires_at=real_now())
    browser.cookies.pop(SESSION)  # the browser was closed

    assert "clear-site-data" not in (await browser.login("alice")).headers
    assert "alice" not in str(browser.cookies)
    assert '"storage"' in (await browser.login("bob")).headers["clear-site-data"]
    assert "clear-site-data" not in (await browser.login("bob")).headers


async def test_logins_that_were_begun_do_not_fill_the_browsers_header(house):
    browser = house.browser()
    for number in range(40):
        asked = await browser.get(f"/auth/login?return_to=/find%3Fx={number}{'a' * 280}")
        assert asked.status_code == 303
        assert sum(len(f"{name}={value}; ") for name, value in browser.cookies.items()) < 4000

    back = house.keycloak.login(asked.headers["location"]).removeprefix(ORIGIN)
    assert (await browser.get(back)).headers["location"].startswith("/find?x=39")


async def test_logins_begun_at_once_cannot_fill_the_header_either(house):
    """Each request left before any answer came: none shows the others' cookies."""
    names = set()
    for _ in range(60):
        browser = house.browser()
        await browser.get("/auth/login")
        names |= browser.cookies.keys()

    assert len(names) <= 5


@pytest.mark.parametrize("back", ["/find?a=1%262", "/find?x=1&return_to=/problems"])
async def test_a_used_up_login_page_starts_over_and_leads_to_the_same_place(house, back):
    browser = house.browser()
    asked = await browser.get("/auth/login", params={"return_to": back})
    state = httpx.URL(asked.headers["location"]).params["state"]
    answer = await browser.get("/auth/callback", params={"error": "login_required", "state": state, "iss": ISSUER})

    again = httpx.URL(answer.headers["location"])
    assert again.path == "/auth/login"
    assert dict(again.params) == {"return_to": back}


async def test_another_site_cannot_log_somebody_out(house):
    browser = house.browser()
    await browser.login()

    assert (await browser.post("/auth/logout", {}, headers={"origin": "https://evil.example"})).status_code == 403
    assert (await browser.post("/auth/logout", {"csrf": "guess"})).status_code == 403
    assert (await browser.get("/auth/session")).json()["logged_in"]


async def post_logout(house, token):
    return await house.browser().send("POST", "/auth/backchannel-logout", data={"logout_token": token})


async def test_keycloaks_own_logout_ends_the_session_once(house):
    browser = house.browser()
    await browser.login()
    token = logout_token()

    assert (await post_logout(house, token)).status_code == 200
    assert not (await browser.get("/auth/session")).json()["logged_in"]
    assert (await post_logout(house, token)).status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "regiohub-booking"}, {"iss": "http://evil.example"}, {"events": {}}, {"nonce": "n"}, {"iat": 1},
        {"iat": 99999999999}, {"exp": 1}, {"exp": None}, {"jti": ""}, {"sid": "", "sub": ""},
    ],
)  # fmt: skip
async def test_a_forged_logout_ends_nothing(house, change):
    browser = house.browser()
    await browser.login()

    assert (await post_logout(house, logout_token(**change))).status_code == 400
    assert (await post_logout(house, logout_token()[:-4] + "AAAA")).status_code == 400
    assert (await post_logout(house, sign({"sub": "alice"}, {"alg": "RS256"}))).status_code == 400
    assert (await browser.get("/auth/session")).json()["logged_in"]


async def test_pages_for_members_send_to_the_login_and_back(house):
    answer = await house.browser().get(f"/en/bookings/{BOOKING_ID}?x=1")

    assert answer.status_code == 303
    assert answer.headers["location"] == f"/en/auth/login?return_to=%2Fen%2Fbookings%2F{BOOKING_ID}%3Fx%3D1"


async def test_logins_are_limited_per_address(house):
    strict = house.restarted(logins_per_minute=3)
    browser = strict.browser()
    for _ in range(3):
        assert (await browser.get("/auth/login")).status_code == 303

    refused = await browser.get("/auth/login")
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
