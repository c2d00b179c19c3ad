"""What happens to a form or a link when the login has ended meanwhile: through the login, and back to where it works."""

import base64
import json
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest

from regiohub_gateway.web import site
from regiohub_shared.clock import real_now
from tests.service.gateway import fakes
from tests.service.gateway.fakes import BOOKING_ID, GRANT_ID, ORIGIN, ROOM_ID, items
from tests.service.gateway.test_login import age
from tests.service.matrix.table import routes_of

STAFF = {"roles": ("member", "county-admin", "county-finance")}
NAMES = {"hub": "bendorf", "booking_id": BOOKING_ID, "resource_id": ROOM_ID, "closure_id": GRANT_ID, "case_id": GRANT_ID,
         "operator": "stadt-bendorf", "service": "booking"}  # fmt: skip
FORMS = sorted(route.path for part in site.routers() for route in part.routes if "POST" in route.methods)
CLOSURE = {"resource": ROOM_ID, "start_date": "2027-01-08", "start_time": "08:00", "end_date": "2027-01-08",
           "end_time": "18:00", "reason": "Wartung"}  # fmt: skip
SLOT = {"resource": ROOM_ID, "start": "2026-12-01T10:00:00+01:00", "end": "2026-12-01T11:30:00+01:00"}
SAID = {"de": "das Formular wurde nicht gesendet", "en": "the form was not sent"}
NAVIGATION = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "sec-fetch-mode": "navigate"}
DOCUMENT, FILE = f"/api/billing/v1/documents/{GRANT_ID}", f"/api/billing/v1/exports/{GRANT_ID}/file"


async def whose_login_ended(house):
    preview = {"operator": "stadt-bendorf", "productive": False, "count": 0, "sum_cents": 0, "entries": [], "rows": [],
               "columns": [], "replaced": [], "blocking": [], "truncated": False, "profile": "default",
               "totals": dict.fromkeys(["claim_cents", "receipt_cents", "pay_back_cents"], 0)}  # fmt: skip
    house.billing.routes |= {
        "GET /v1/exports/preview": preview, "GET /v1/exports": items(), "GET /v1/clearing": items(), "GET /v1/dead-letters": items(),
    }  # fmt: skip
    house.booking.routes["GET /v1/dead-letters"] = house.access.routes["GET /v1/dead-letters"] = items()
    browser = house.browser()
    await browser.login("carla", *STAFF["roles"])
    await age(house, seen_at=real_now() - timedelta(hours=1))
    return browser


def asked(house):
    return [request for service in (house.booking, house.access, house.billing) for request in service.seen]


async def through_login(browser, answer):
    """Log in as the answer says; return the page's address and the page."""
    assert answer.status_code == 303
    target = answer.headers["location"]
    assert urlsplit(target).path.removeprefix("/en") == "/auth/login"
    back = browser.keycloak.login((await browser.get(target)).headers["location"], "carla", STAFF["roles"])
    landed = (await browser.get(back.removeprefix(ORIGIN))).headers["location"]
    assert landed == parse_qs(urlsplit(target).query)["return_to"][0]
    return landed, await browser.get(landed)


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("route", FORMS)
async def test_a_form_that_came_too_late_leads_to_its_page_which_says_so(house, route, language):
    if route.endswith("/pay"):
        house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking("held")
    browser = await whose_login_ended(house)
    path = route.format(**NAMES)

    answer = await browser.post(path if language == "de" else f"/en{path}", SLOT if route == "/book" else {})

    assert asked(house) == []
    landed, page = await through_login(browser, answer)
    assert page.status_code == 200, landed
    assert landed.startswith("/en/") == (language == "en")
    assert SAID[language] in page.text
    assert 'role="status"' in page.text


async def test_the_forms_are_all_that_the_app_has(house):
    # The logout works without a session, and Keycloak's own call has none.
    routes = {route.removeprefix("POST ") for route in routes_of(house.app._pages) if not route.startswith("GET ")}

    assert routes == {*FORMS, "/auth/logout", "/auth/backchannel-logout"}


async def test_the_chosen_slot_is_still_chosen(house):
    browser = await whose_login_ended(house)

    landed, page = await through_login(browser, await browser.post("/book", SLOT))

    chosen = {"resource": ROOM_ID, "date": "2026-12-01", "time": "10:00", "minutes": "90", "unsent": "1"}
    assert dict(parse_qsl(urlsplit(landed).query)) == chosen
    assert f'name="start" value="{SLOT["start"]}"' in page.text
    assert f'name="end" value="{SLOT["end"]}"' in page.text


async def test_the_second_of_two_such_times_stays_the_second(house):
    browser = await whose_login_ended(house)
    slot = {"resource": ROOM_ID, "start": "2026-10-25T02:30:00+01:00", "end": "2026-10-25T03:30:00+01:00"}

    landed, _ = await through_login(browser, await browser.post("/book", slot))

    assert "fold=1" in landed


@pytest.mark.parametrize("fields", [
    {}, SLOT | {"start": "x"}, SLOT | {"resource": "//evil.example"}, SLOT | {"end": "0001-01-01T00:00:00+00:00"},
])  # fmt: skip
async def test_a_slot_that_cannot_be_read_leads_to_the_search(house, fields):
    browser = await whose_login_ended(house)

    landed, page = await through_login(browser, await browser.post("/book", fields))

    assert (landed, page.status_code) == ("/find?unsent=1", 200)


async def test_files_in_a_form_are_no_way_around(house):
    browser = await whose_login_ended(house)

    answer = await browser.send("POST", "/book", files={"start": b"x"}, headers={"origin": ORIGIN})

    assert (await through_login(browser, answer))[0] == "/find?unsent=1"


async def test_a_closure_is_filled_in_again_unless_its_reason_is_too_long_for_an_address(house):
    browser = await whose_login_ended(house)
    landed, page = await through_login(browser, await browser.post("/operator/bendorf/closures", CLOSURE))
    assert landed == f"/operator/bendorf/closures?{urlencode(CLOSURE)}&unsent=1"
    assert 'value="Wartung"' in page.text

    await age(house, seen_at=real_now() - timedelta(hours=1))
    long = CLOSURE | {"reason": "ä" * 120}
    landed, page = await through_login(browser, await browser.post("/operator/bendorf/closures", long))
    assert (landed, page.status_code) == ("/operator/bendorf/closures?unsent=1", 200)


BUYER = {"name": "Käthe <1>", "street": "Am Markt 1", "postcode": "56170", "city": "Bendorf", "country": "DE"}


async def test_who_pays_need_not_type_name_and_address_again(house):
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking("held")
    browser = await whose_login_ended(house)

    answer = await browser.post(f"/en/bookings/{BOOKING_ID}/pay", BUYER | {"csrf": "old", "key": "k"})
    landed, page = await through_login(browser, answer)

    assert landed == f"/en/bookings/{BOOKING_ID}/pay?unsent=1"
    for typed in ("Käthe &lt;1&gt;", "Am Markt 1", "56170", 'value="Bendorf"'):
        assert typed in page.text
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith("__Host-rh-form="))
    assert "Max-Age=900; Path=/; SameSite=lax; Secure" in cookie
    assert "HttpOnly" in cookie
    assert set(typed_in(cookie)["fields"]) == set(BUYER)


async def test_what_was_typed_is_shown_on_its_own_page_alone(house):
    other = "00000000-0000-7000-8000-0000000000ff"
    for one in (BOOKING_ID, other):
        house.booking.routes[f"GET /v1/bookings/{one}"] = fakes.booking("held", id=one)
    browser = await whose_login_ended(house)
    await through_login(browser, await browser.post(f"/bookings/{BOOKING_ID}/pay", BUYER))

    assert "Am Markt 1" not in (await browser.get(f"/bookings/{other}/pay")).text
    assert "Am Markt 1" in (await browser.get(f"/bookings/{BOOKING_ID}/pay")).text


@pytest.mark.parametrize("value", ["x", "e30=", "W10=", "bnVsbA==", "////", "eyJwYXRoIjogIi8iLCAiZmllbGRzIjogW119"])
async def test_a_cookie_of_typed_text_that_cannot_be_read_changes_nothing(house, value):
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking("held")
    browser = house.browser()
    await browser.login("carla", *STAFF["roles"])
    browser.cookies["__Host-rh-form"] = value

    assert (await browser.get(f"/bookings/{BOOKING_ID}/pay")).status_code == 200


async def test_the_longest_name_and_address_fit_into_what_browsers_keep(house):
    browser = await whose_login_ended(house)
    answer = await browser.post(f"/bookings/{BOOKING_ID}/pay", dict.fromkeys(BUYER, "\U0001f600" * 300))
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith("__Host-rh-form="))
    assert len(cookie.partition(";")[0]) < 4096


async def test_a_form_that_was_taken_counts_more_than_what_was_typed_before(house):
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking("held")
    browser = await whose_login_ended(house)
    await through_login(browser, await browser.post(f"/bookings/{BOOKING_ID}/pay", BUYER))
    better = BUYER | {"street": "Neue Straße 2"}
    taken = {"id": BOOKING_ID, "status": "open", "checkout_url": f"{fakes.CHECKOUT}/c/pay/1", "buyer": better}
    house.billing.routes |= {"POST /v1/payments": httpx.Response(201, json=taken), "GET /v1/payments": items(taken)}

    sent = await browser.post(f"/bookings/{BOOKING_ID}/pay", better)

    assert sent.headers["location"] == taken["checkout_url"]
    page = (await browser.get(f"/bookings/{BOOKING_ID}/pay")).text
    assert "Neue Straße 2" in page
    assert "Am Markt 1" not in page


async def test_what_was_typed_goes_with_the_logout_and_with_another_persons_login(house):
    browser = await whose_login_ended(house)
    await browser.post(f"/bookings/{BOOKING_ID}/pay", BUYER)
    assert "__Host-rh-form" in browser.cookies
    await browser.login("dora", *STAFF["roles"])
    assert "__Host-rh-form" not in browser.cookies

    await age(house, seen_at=real_now() - timedelta(hours=1))
    await browser.post(f"/bookings/{BOOKING_ID}/pay", BUYER)
    await browser.login("dora", *STAFF["roles"])
    assert "__Host-rh-form" in browser.cookies
    await browser.post("/auth/logout", {})
    assert "__Host-rh-form" not in browser.cookies


def typed_in(cookie):
    return json.loads(base64.urlsafe_b64decode(cookie.partition("=")[2].partition(";")[0].strip('"')))


async def test_the_day_of_a_check_in_stays(house):
    browser = await whose_login_ended(house)
    path = f"/operator/bendorf/bookings/{BOOKING_ID}/check-in"

    landed, _ = await through_login(browser, await browser.post(path, {"date": "2026-12-01"}))

    assert landed == "/operator/bendorf?date=2026-12-01&unsent=1"


async def test_the_way_back_of_a_form_is_never_taken_from_outside(house):
    browser = await whose_login_ended(house)
    foreign = {"referer": "http://evil.example/x"}

    landed, _ = await through_login(browser, await browser.post("/operator/bendorf/hours", {}, headers=foreign))

    assert landed == "/operator/bendorf/hours?unsent=1"


async def test_a_form_refused_by_its_service_for_want_of_a_login_says_so_too(house):
    browser = house.browser()
    await browser.login()
    house.booking.routes["POST /v1/bookings"] = fakes.refusal(401, "unauthorized")

    answer = await browser.post("/book", SLOT)

    assert "minutes%3D90%26unsent%3D1" in answer.headers["location"]


@pytest.mark.parametrize("path", [DOCUMENT, f"{DOCUMENT}?lang=en", FILE])
@pytest.mark.parametrize("headers", [NAVIGATION, {"accept": "text/html"}])
async def test_a_link_to_a_document_leads_through_the_login_and_back(house, path, headers):
    house.billing.routes |= {
        f"GET {urlsplit(path).path.removeprefix('/api/billing')}": httpx.Response(200, html="<p>Rechnung</p>")
    }
    for browser in (house.browser(), await whose_login_ended(house)):
        answer = await browser.get(path, headers=headers)

        assert answer.headers["location"].startswith("/en/auth/login?" if "lang=en" in path else "/auth/login?")
        assert answer.headers["cache-control"] == "no-store"
        assert house.billing.seen == []
        landed, page = await through_login(browser, answer)
        assert (landed, page.status_code) == (path, 200)
        assert "Rechnung" in page.text
        house.billing.seen.clear()


@pytest.mark.parametrize("headers", [
    {"accept": "application/json"}, {"accept": "*/*"}, {"accept": "application/json, text/html;q=0.5"},
    NAVIGATION | {"authorization": "Bearer x"}, NAVIGATION | {"sec-fetch-mode": "cors"},
])  # fmt: skip
@pytest.mark.parametrize("path", [DOCUMENT, FILE])
async def test_programs_get_the_refusal_itself(house, path, headers):
    house.billing.routes[f"GET {path.removeprefix('/api/billing')}"] = fakes.refusal(401, "unauthorized")

    answer = await house.browser().get(path, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path", ["/api/billing/v1/documents", f"/api/billing/v1/exports/{GRANT_ID}", "/api/booking/v1/hubs"]
)
async def test_what_no_page_links_to_stays_the_api(house, path):
    house.billing.routes[f"GET {path.removeprefix('/api/billing')}"] = fakes.refusal(401, "unauthorized")

    assert (await house.browser().get(path, headers=NAVIGATION)).status_code in {200, 401}
