"""Pages over fake services: what they show, what they send, and that each works without JavaScript."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import httpx
import pytest

from regiohub_shared.clock import real_now
from tests.service.gateway import fakes
from tests.service.gateway.fakes import BOOKING_ID, CHECKOUT, GRANT_ID, ORIGIN, ROOM_ID, as_json, items, refusal

BUYER = {"name": "Demo Käufer", "street": "Weg 1", "postcode": "56170", "city": "Bendorf", "country": "de"}
OPERATOR = {"roles": ("member", "hub-operator"), "hub_operator": ["bendorf"]}
FINANCE = {"roles": ("member", "finance"), "finance": ["stadt-bendorf"]}
PUBLIC = ["/", "/find", "/hubs/bendorf", "/impressum", "/datenschutz", "/barrierefreiheit", "/leichte-sprache", "/lizenzen",
          "/problems", "/problems/slot-taken", "/api-docs", f"/book?resource={ROOM_ID}"]  # fmt: skip
OWN = [
    "/bookings",
    f"/bookings/{BOOKING_ID}",
    f"/bookings/{BOOKING_ID}/cancel",
    f"/bookings/{BOOKING_ID}/move",
    f"/key/{BOOKING_ID}",
]
HUB_PAGES = ["/operator/bendorf", "/operator/bendorf/rooms", f"/operator/bendorf/rooms/{ROOM_ID}", "/operator/bendorf/hours",
             "/operator/bendorf/closures", "/operator/bendorf/readers", f"/operator/bendorf/bookings/{BOOKING_ID}/cancel"]  # fmt: skip


async def member(house, sub="alice", roles=("member",), **claims):
    browser = house.browser()
    await browser.login(sub, *roles, **claims)
    return browser


class Outline(HTMLParser):
    """Collects what a page must have."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.ids, self.labels, self.inputs = [], [], set(), []
        self.inline = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append((tag, values))
        self.inline += [name for name in values if name.startswith("on") or name == "style"]
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "label" and "for" in values:
            self.labels.add(values["for"])
        if tag in {"input", "select", "textarea"} and values.get("type") not in {"hidden", "checkbox", "submit"}:
            self.inputs.append(values)


def check_page(answer, language):
    page = Outline(answer.text)
    assert ("html", {"lang": language}) in page.tags
    assert sum(tag == "h1" for tag, _ in page.tags) == 1
    assert len(page.ids) == len(set(page.ids))
    assert page.inline == []
    assert all(values.get("id") in page.labels for values in page.inputs)
    assert all(not values.get("href", "").startswith("javascript:") for _, values in page.tags)
    tokens = {values["value"] for tag, values in page.tags if tag == "input" and values.get("name") == "csrf"}
    assert all(re.fullmatch(r"[\w-]{43}", token) for token in tokens)
    # Scripts are files of our own; the policy forbids anything else.
    assert all(values.get("src", "").startswith("/") for tag, values in page.tags if tag == "script")
    assert "form-action 'self' http://localhost:8080 http://checkout.test" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("path", PUBLIC)
async def test_public_pages_stand(house, path, language):
    answer = await house.browser().get(path if language == "de" else f"/en{path}".rstrip("/"))

    assert answer.status_code == 200
    check_page(answer, language)


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("path", OWN)
async def test_a_members_pages_stand(house, path, language):
    browser = await member(house)
    answer = await browser.get(path if language == "de" else f"/en{path}")

    assert answer.status_code == 200
    check_page(answer, language)
    assert "Platz &lt;1&gt;" in answer.text
    assert "<1>" not in answer.text


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("path", HUB_PAGES)
async def test_an_operators_pages_stand(house, path, language):
    browser = await member(house, "olga", **OPERATOR)
    answer = await browser.get(path if language == "de" else f"/en{path}")

    assert answer.status_code == 200
    check_page(answer, language)
    assert "Demo <b>" not in answer.text


async def test_own_pages_send_strangers_to_the_login_and_others_get_a_refusal(house):
    for path in [*OWN, *HUB_PAGES, "/operator", "/finance", "/finance/stadt-bendorf"]:
        answer = await house.browser().get(path)
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/auth/login?return_to="), path
    browser = await member(house)
    for path in [*HUB_PAGES, "/operator", "/finance", "/finance/stadt-bendorf"]:
        assert (await browser.get(path)).status_code == 403, path


async def test_an_operator_sees_no_other_hub_and_a_treasury_no_other_town(house):
    browser = await member(house, "olga", **OPERATOR)
    assert (await browser.get("/operator/mayen")).status_code == 403
    browser = await member(house, "fritz", **FINANCE)
    assert (await browser.get("/finance/stadt-mayen")).status_code == 403


async def test_the_start_page_books_in_three_taps(house):
    browser = await member(house)
    start = (await browser.get("/")).text
    assert "1 Arbeitsplatz frei" in start
    first = re.search(r'href="(/book\?resource=[^"]+)"', start)[1].replace("&amp;", "&")

    quote = await browser.get(first)
    assert "2 angefangene Stunden zu je 4,50\u00a0€" in quote.text
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', quote.text))
    held = await browser.post("/book", fields)

    assert held.headers["location"] == f"/bookings/{BOOKING_ID}/pay"
    sent = house.booking.last("POST", "/v1/bookings")
    assert sent.headers["idempotency-key"] == fields["key"]
    [line] = as_json(sent)["lines"]
    assert line["resource_id"] == ROOM_ID
    assert datetime.fromisoformat(line["end"]) - datetime.fromisoformat(line["start"]) == timedelta(hours=2)

    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking("held")
    assert "zahlungspflichtig buchen" in (await browser.get(held.headers["location"])).text


async def test_a_free_room_is_booked_at_once(house):
    house.booking.routes["POST /v1/bookings"] = httpx.Response(201, json=fakes.booking("confirmed", gross_cents=0))
    browser = await member(house)
    start = real_now().replace(microsecond=0)
    fields = {"resource": ROOM_ID, "start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}

    target = (await browser.post("/en/book", fields)).headers["location"]
    assert target == f"/en/bookings/{BOOKING_ID}?booked=1"
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = httpx.Response(
        200, json=fakes.booking("confirmed", gross_cents=0)
    )
    assert ">Booked<" in (await browser.get(target)).text


async def test_a_taken_slot_keeps_the_page_and_offers_what_works(house):
    start = datetime(2026, 12, 1, 9, tzinfo=UTC)
    slot = {
        "resource_id": ROOM_ID,
        "resource_name": "x",
        "start": start.isoformat(),
        "end": (start + timedelta(hours=2)).isoformat(),
    }
    house.booking.routes["POST /v1/bookings"] = refusal(409, "slot-taken", alternatives=[slot], resources=[])
    browser = await member(house)
    fields = {"resource": ROOM_ID, "start": start.isoformat(), "end": (start + timedelta(hours=2)).isoformat()}

    answer = await browser.post("/book", fields)

    assert answer.status_code == 409
    check_page(answer, "de")
    assert "Dieser Platz ist gerade vergeben worden" in answer.text
    assert "Di., 01.12.2026, 10:00–12:00" in answer.text


async def test_the_limit_of_holds_holds_for_pages_too(house):
    browser = await member(house)
    start = real_now().replace(microsecond=0)
    fields = {"resource": ROOM_ID, "start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}
    for _ in range(10):
        assert (await browser.post("/book", fields)).status_code == 303

    refused = await browser.post("/book", fields)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert "Zu viele Reservierungen" in refused.text


async def test_visitors_log_in_and_come_back_to_the_same_slot(house):
    answer = await house.browser().get(f"/en/book?resource={ROOM_ID}&date=2026-12-01&time=10:00&minutes=120")

    assert f"/en/auth/login?return_to=/en/book%3Fresource%3D{ROOM_ID}%26date%3D2026-12-01" in answer.text
    assert 'method="post" action="/en/book"' not in answer.text


async def test_changes_of_clocks_are_asked_about(house):
    gap = await house.browser().get("/find?date=2027-03-28&time=02:30")
    fold = await house.browser().get("/en/find?date=2026-10-25&time=02:30")
    chosen = await house.browser().get("/find?date=2026-10-25&time=02:30&fold=1")

    assert gap.status_code == fold.status_code == 422
    assert "gibt es an diesem Tag nicht" in gap.text
    assert "fold=0" in fold.text
    assert "fold=1" in fold.text
    assert chosen.status_code == 200
    assert house.booking.last("GET", "/v1/availability").url.params["start"] == "2026-10-25T02:30:00+01:00"


ODD = ["date=banana", "time=25:00", "date=2026-13-01", "minutes=x", "hub=..%20", "date=9999-12-31&time=23:30",
       "date=0001-01-01&time=00:00", f"minutes={'7' * 5000}", f"date={'7' * 5000}"]  # fmt: skip


@pytest.mark.parametrize("query", ODD)
@pytest.mark.parametrize("path", ["/find?", f"/book?resource={ROOM_ID}&"])
async def test_odd_searches_do_not_break_the_page(house, path, query, caplog):
    answer = await house.browser().get(f"{path}{query}")

    assert answer.status_code in {200, 422}
    check_page(answer, "de")
    assert "7" * 20 not in caplog.text


async def test_without_booking_the_start_page_still_stands(house):
    house.booking.routes["GET /v1/hubs"] = httpx.ConnectError("down")
    answer = await house.browser().get("/")

    assert answer.status_code == 200
    assert "Die Buchung ist gerade nicht erreichbar" in answer.text
    assert (await house.browser().get("/en/find")).status_code == 503


async def test_paying_goes_to_the_checkout_and_nowhere_else(house):
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking("held")
    browser = await member(house)
    opened = {"id": "p", "status": "open", "checkout_url": f"{CHECKOUT}/c/1", "amount_cents": 900, "expires_at": None}
    house.billing.routes["POST /v1/payments"] = httpx.Response(201, json=opened)

    page = await browser.get(f"/bookings/{BOOKING_ID}/pay")
    assert "noch 20 Minuten" in page.text
    assert 'value="Demo Mitglied"' in page.text
    answer = await browser.post(f"/bookings/{BOOKING_ID}/pay", BUYER)

    assert answer.headers["location"] == f"{CHECKOUT}/c/1"
    sent = house.billing.last("POST", "/v1/payments")
    assert as_json(sent) == {"booking_id": BOOKING_ID, "buyer": BUYER | {"country": "DE"}, "locale": "de"}
    assert len(sent.headers["idempotency-key"]) == 36

    house.billing.routes["POST /v1/payments"] = httpx.Response(
        201, json=opened | {"checkout_url": "https://evil.example/c"}
    )
    assert (await browser.post(f"/bookings/{BOOKING_ID}/pay", BUYER)).status_code == 503


async def test_the_way_back_from_the_checkout_keeps_the_language(house):
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking("held")
    opened = {"id": "p", "status": "open", "checkout_url": f"{CHECKOUT}/c/1", "amount_cents": 900, "expires_at": None}
    house.billing.routes["POST /v1/payments"] = httpx.Response(201, json=opened)
    browser = await member(house)
    await browser.post(f"/en/bookings/{BOOKING_ID}/pay", BUYER)

    assert (await browser.get(f"/bookings/{BOOKING_ID}/payment")).headers[
        "location"
    ] == f"/en/bookings/{BOOKING_ID}/payment"
    assert (await browser.get(f"/bookings/{BOOKING_ID}/payment")).status_code == 200


async def test_missing_entries_are_named_and_kept(house):
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking("held")
    browser = await member(house)

    answer = await browser.post(f"/bookings/{BOOKING_ID}/pay", BUYER | {"street": "", "country": "Germany"})

    assert answer.status_code == 422
    check_page(answer, "de")
    assert 'href="#f-street"' in answer.text
    assert "Demo Käufer" in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert not [request for request in house.billing.seen if request.method == "POST"]


async def test_the_payment_is_awaited_without_script_too(house):
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking("held")
    browser = await member(house)
    waiting = await browser.get(f"/bookings/{BOOKING_ID}/payment")
    assert '<noscript><meta http-equiv="refresh" content="4"></noscript>' in waiting.text
    assert "wird bestätigt" in waiting.text

    failed = {"status": "failed", "paid_cents": 0}
    house.billing.routes["GET /v1/payments"] = items(failed)
    assert f'href="/bookings/{BOOKING_ID}/pay"' in (await browser.get(f"/bookings/{BOOKING_ID}/payment")).text
    again = await browser.get(f"/bookings/{BOOKING_ID}/pay")
    assert "noch nicht abgeschlossen" in again.text

    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking("confirmed")
    done = await browser.get(f"/bookings/{BOOKING_ID}/payment")
    assert done.headers["location"] == f"/bookings/{BOOKING_ID}?paid=1"


async def test_a_lapsed_hold_cannot_be_paid(house):
    past = (real_now() - timedelta(minutes=1)).isoformat()
    browser = await member(house)
    for state in (fakes.booking("held", hold_until=past), fakes.booking("expired")):
        house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = state
        answer = await browser.get(f"/bookings/{BOOKING_ID}/pay")
        assert answer.status_code == 409
        assert "zahlungspflichtig" not in answer.text


async def test_the_booking_shows_key_pin_and_documents(house):
    house.billing.routes["GET /v1/documents"] = items({"id": "d1", "kind": "invoice", "number": "TEST-2026-00001"})
    browser = await member(house)
    page = (await browser.get(f"/bookings/{BOOKING_ID}")).text

    assert "483920" in page
    assert f'href="/key/{BOOKING_ID}"' in page
    assert 'href="/api/billing/v1/documents/d1"' in page
    assert 'href="/api/billing/v1/documents/d1?lang=en"' in (await browser.get(f"/en/bookings/{BOOKING_ID}")).text
    assert "TEST-2026-00001" in page


async def test_the_booking_stands_while_access_and_billing_are_away(house):
    down = httpx.ConnectError("down")
    house.access.routes["GET /v1/grants"] = down
    house.billing.routes |= {"GET /v1/documents": down, "GET /v1/payments": down}
    browser = await member(house)
    answer = await browser.get(f"/bookings/{BOOKING_ID}")

    assert answer.status_code == 200
    assert "Die Rechnungen sind gerade nicht erreichbar" in answer.text


async def test_the_key_page_carries_what_the_element_needs(house):
    grant = fakes.grant()
    house.access.routes["GET /v1/grants"] = items(grant)
    browser = await member(house)
    page = (await browser.get(f"/en/key/{BOOKING_ID}")).text

    # The worker reads it like this.
    assert f'<rh-door-key data-until="{grant["ends_at"]}"' in page

    assert f'data-grant="{GRANT_ID}"' in page
    assert "483920" in page
    assert "Saal \\&#34;A\\&#34;" in page
    worker = await browser.get("/en/key/worker.js")
    assert worker.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("why", [httpx.ConnectError("down"), refusal(503, "unavailable"), refusal(500, "internal")])
async def test_while_booking_is_away_the_key_page_needs_access_only(house, why):
    first = fakes.grant()["windows"][0]
    second = {"starts_at": "2030-05-01T08:00:00+00:00", "ends_at": "2030-05-01T10:00:00+00:00", "doors": [12]}
    house.access.routes["GET /v1/grants"] = items(fakes.grant(address="Bachstr. 1, Bendorf", windows=[first, second]))
    for path in list(house.booking.routes):
        house.booking.routes[path] = why
    browser = await member(house)
    answer = await browser.get(f"/key/{BOOKING_ID}")

    assert answer.status_code == 200
    check_page(answer, "de")
    for shown in ("483920", f'data-grant="{GRANT_ID}"', "Bachstr. 1, Bendorf", "Mi., 01.05.2030, 10:00–12:00"):
        assert shown in answer.text
    # The other pages lead there.
    detail = await browser.get(f"/en/bookings/{BOOKING_ID}")
    assert (detail.status_code, detail.headers["location"]) == (303, f"/en/key/{BOOKING_ID}")
    listed = await browser.get("/bookings")
    assert listed.status_code == 200
    check_page(listed, "de")
    assert f'href="/key/{BOOKING_ID}"' in listed.text


async def test_a_key_without_an_address_names_the_hub(house):
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = httpx.ConnectError("down")
    page = await (await member(house)).get(f"/key/{BOOKING_ID}")

    assert page.status_code == 200
    assert "Bendorf" in page.text


async def test_the_key_page_is_trouble_while_access_is_away_so_that_the_kept_one_stays(house):
    house.access.routes["GET /v1/grants"] = httpx.ConnectError("down")
    browser = await member(house)
    assert (await browser.get(f"/key/{BOOKING_ID}")).status_code == 503

    house.booking.routes.clear()
    house.access.routes["GET /v1/grants"] = items()
    assert (await browser.get(f"/key/{BOOKING_ID}")).status_code == 404
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = httpx.ConnectError("down")
    assert (await browser.get(f"/key/{BOOKING_ID}")).status_code == 503
    assert (await browser.get(f"/bookings/{BOOKING_ID}")).status_code == 503


@pytest.mark.parametrize("path", [*PUBLIC, *OWN, "/static/app.css", "/nothing", "/key/worker.js"])
async def test_head_answers_like_get_without_a_body(house, path):
    browser = await member(house)
    told, full = await browser.send("HEAD", path), await browser.get(path)

    assert told.status_code == full.status_code
    assert told.content == b""
    same = ("content-type", "cache-control", "content-security-policy", "etag")
    assert {name: told.headers.get(name) for name in same} == {name: full.headers.get(name) for name in same}


async def test_a_look_at_the_address_of_a_login_begins_none(house):
    assert (await house.browser().send("HEAD", "/auth/login")).status_code == 405


async def test_cancelling_asks_first_and_sends_the_version(house):
    browser = await member(house)
    page = await browser.get(f"/bookings/{BOOKING_ID}/cancel")
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    answer = await browser.post(f"/bookings/{BOOKING_ID}/cancel", {"etag": fields["etag"].replace("&#34;", '"')})

    assert answer.headers["location"] == f"/bookings/{BOOKING_ID}"
    assert house.booking.last("POST", f"/v1/bookings/{BOOKING_ID}/cancel").headers["if-match"] == '"4"'

    house.booking.routes[f"POST /v1/bookings/{BOOKING_ID}/cancel"] = refusal(412, "precondition-failed")
    stale = await browser.post(f"/bookings/{BOOKING_ID}/cancel", {"etag": '"3"'})
    assert stale.status_code == 412
    assert "Es wurde inzwischen geändert" in stale.text


async def test_other_members_bookings_are_not_there(house):
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = refusal(404, "not-found")
    browser = await member(house)
    for path in OWN[1:]:
        answer = await browser.get(path)
        assert answer.status_code == 404
        check_page(answer, "de")


@pytest.mark.parametrize(
    "path",
    [
        "/book", f"/bookings/{BOOKING_ID}/pay", f"/bookings/{BOOKING_ID}/cancel",
        f"/operator/bendorf/bookings/{BOOKING_ID}/check-in", f"/operator/bendorf/bookings/{BOOKING_ID}/cancel",
        f"/operator/bendorf/rooms/{ROOM_ID}", "/operator/bendorf/hours", "/operator/bendorf/closures",
        f"/operator/bendorf/closures/{ROOM_ID}/delete", "/finance/stadt-bendorf/exports",
    ],
)  # fmt: skip
async def test_every_form_needs_its_token_and_our_origin(house, path):
    browser = await member(
        house, "olga", ("member", "hub-operator", "finance"), hub_operator=["bendorf"], finance=["stadt-bendorf"]
    )
    before = len(house.booking.seen) + len(house.billing.seen)

    for fields, headers in [({"csrf": "guess"}, {}), ({"csrf": ""}, {}), ({}, {"origin": "https://evil.example"})]:
        assert (await browser.post(path, fields, headers=headers)).status_code == 403
    stranger = await house.browser().send("POST", path, data={"csrf": "x"}, headers={"origin": ORIGIN})
    assert stranger.status_code == 303
    assert len(house.booking.seen) + len(house.billing.seen) == before


async def test_check_in_by_hand(house):
    browser = await member(house, "olga", **OPERATOR)
    answer = await browser.post(f"/operator/bendorf/bookings/{BOOKING_ID}/check-in", {"date": "2026-11-26"})

    assert answer.headers["location"] == f"/operator/bendorf?date=2026-11-26&done={BOOKING_ID}"
    sent = house.booking.last("POST", f"/v1/bookings/{BOOKING_ID}/check-in")
    assert "idempotency-key" not in sent.headers, "booking has no use for one here"

    house.booking.routes[f"POST /v1/bookings/{BOOKING_ID}/check-in"] = refusal(409, "illegal-transition")
    refused = await browser.post(f"/operator/bendorf/bookings/{BOOKING_ID}/check-in", {"date": "2026-11-26"})
    assert refused.status_code == 409
    assert 'value="2026-11-26"' in refused.text
    assert house.booking.last("GET", "/v1/hubs/bendorf/bookings").url.params["date"] == "2026-11-26"


async def test_a_rooms_description_keeps_its_lines_and_both_forms_know_the_apis_bounds(house):
    house.booking.routes[f"PATCH /v1/resources/{ROOM_ID}"] = fakes.ROOM
    browser = await member(house, "olga", **OPERATOR)
    room, closures = f"/operator/bendorf/rooms/{ROOM_ID}", "/operator/bendorf/closures"
    fields = {
        "etag": '"7"', "name": "Platz 1", "price": "5,05", "min_minutes": "30", "max_minutes": "600",
        "buffer_before_minutes": "0", "buffer_after_minutes": "15", "description": " Am Fenster.\r\n\r\nMit  <b> ",
    }  # fmt: skip
    await browser.post(room, fields)
    assert as_json(house.booking.last("PATCH", f"/v1/resources/{ROOM_ID}"))["description"] == "Am Fenster.\n\nMit  <b>"

    assert (await browser.post(room, fields | {"description": "ä" * 1000})).status_code == 303
    long = await browser.post(room, fields | {"description": "Zeile\r\n" * 200})
    assert (long.status_code, "Zeile\r\nZeile" in long.text) == (422, True)
    check_page(long, "de")
    assert 'aria-describedby="e-reason"' not in (await browser.post(closures, {"reason": "x" * 120})).text
    assert 'aria-describedby="h-reason e-reason"' in (await browser.post(closures, {"reason": "x" * 121})).text


async def test_a_room_is_changed_in_cents_under_its_version(house):
    house.booking.routes[f"PATCH /v1/resources/{ROOM_ID}"] = fakes.ROOM
    browser = await member(house, "olga", **OPERATOR)
    fields = {
        "etag": '"7"', "name": "Platz 1", "description": "", "price": "5,05", "min_minutes": "30", "max_minutes": "600",
        "buffer_before_minutes": "0", "buffer_after_minutes": "15", "is_active": "1",
    }  # fmt: skip
    answer = await browser.post(f"/operator/bendorf/rooms/{ROOM_ID}", fields)

    assert answer.headers["location"] == f"/operator/bendorf/rooms?saved={ROOM_ID}"
    sent = house.booking.last("PATCH", f"/v1/resources/{ROOM_ID}")
    assert sent.headers["if-match"] == '"7"'
    assert as_json(sent)["cents_per_hour"] == 505
    assert "opening_hours" not in as_json(sent)

    wrong = await browser.post(f"/operator/bendorf/rooms/{ROOM_ID}", fields | {"price": "viel"})
    assert wrong.status_code == 422
    check_page(wrong, "de")
    assert 'value="viel"' in wrong.text


async def test_the_week_is_replaced(house):
    house.booking.routes["PUT /v1/hubs/bendorf/opening-hours"] = fakes.HUB
    browser = await member(house, "olga", **OPERATOR)
    answer = await browser.post("/operator/bendorf/hours", {"etag": '"3"', "opens_1": "8:00", "closes_1": "24:00"})

    assert answer.status_code == 303
    sent = as_json(house.booking.last("PUT", "/v1/hubs/bendorf/opening-hours"))
    assert sent == {"opening_hours": [{"weekday": 1, "opens": "08:00", "closes": "24:00"}]}
    wrong = await browser.post("/operator/bendorf/hours", {"etag": '"3"', "opens_2": "18:00", "closes_2": "09:00"})
    assert wrong.status_code == 422
    check_page(wrong, "de")


def opening(weekday, opens, closes):
    return {"weekday": weekday, "opens": opens, "closes": closes}


SPLIT = [opening(1, "08:00", "12:00"), opening(1, "14:00", "18:00"), opening(2, "00:00", "24:00")]
FULL = [opening(3, "08:00", "10:00"), opening(3, "11:00", "12:00"), opening(3, "14:00", "15:00")]


def fields_of(answer):
    """What a browser would send: every field of the page's own form, as it stands."""
    page = answer.text[answer.text.index("<main") :]
    return {
        values["name"]: values.get("value", "")
        for tag, values in Outline(page).tags
        if tag == "input"
        and "name" in values
        and (values.get("type") not in {"radio", "checkbox"} or "checked" in values)
    }


@pytest.mark.parametrize("week", [[], [opening(1, "08:00", "18:00")], SPLIT])
async def test_a_week_that_nobody_touched_is_saved_as_it_was(house, week):
    house.booking.routes["GET /v1/hubs/bendorf"] = fakes.HUB | {"opening_hours": week}
    house.booking.routes["PUT /v1/hubs/bendorf/opening-hours"] = fakes.HUB
    browser = await member(house, "olga", **OPERATOR)
    page = await browser.get("/operator/bendorf/hours")
    check_page(page, "de")
    assert (await browser.post("/operator/bendorf/hours", fields_of(page))).status_code == 303

    assert as_json(house.booking.last("PUT", "/v1/hubs/bendorf/opening-hours")) == {"opening_hours": week}


async def test_a_week_with_more_than_the_form_shows_is_shown_and_never_written(house):
    house.booking.routes["GET /v1/hubs/bendorf"] = fakes.HUB | {"opening_hours": FULL}
    browser = await member(house, "olga", **OPERATOR)
    page = await browser.get("/operator/bendorf/hours")
    check_page(page, "de")
    sent = await browser.post("/operator/bendorf/hours", {"etag": '"3"', "opens_3": "08:00", "closes_3": "10:00"})

    for shown in ("08:00–10:00", "11:00–12:00", "14:00–15:00", "lässt sich diese Woche hier nicht speichern"):
        assert shown in page.text
    assert 'action="/operator/bendorf/hours"' not in page.text
    assert sent.status_code == 409
    assert "Ein Tag hat mehr als zwei Öffnungszeiten" in sent.text
    assert not [request for request in house.booking.seen if request.method == "PUT"]


async def test_after_somebody_elses_change_the_form_shows_theirs(house):
    house.booking.routes["PUT /v1/hubs/bendorf/opening-hours"] = refusal(412, "precondition-failed")
    house.booking.routes["GET /v1/hubs/bendorf"] = fakes.HUB | {"opening_hours": SPLIT}
    browser = await member(house, "olga", **OPERATOR)
    stale = await browser.post("/operator/bendorf/hours", {"etag": '"3"', "opens_1": "09:00", "closes_1": "10:00"})

    assert stale.status_code == 412
    assert {"opens_1": "08:00", "closes_1_2": "18:00"}.items() <= fields_of(stale).items()


ITS_OWN = {"has_own_hours": True}


@pytest.mark.parametrize(
    ("stored", "changed", "sent"),
    [
        ({"opening_hours": SPLIT}, {}, []),
        ({"opening_hours": SPLIT}, {"hours": "own"}, SPLIT),
        ({"opening_hours": SPLIT} | ITS_OWN, {}, SPLIT),
        ({"opening_hours": SPLIT} | ITS_OWN, {"hours": "hub"}, []),
        ({"opening_hours": FULL}, {}, []),
        ({"opening_hours": FULL} | ITS_OWN, {}, None),
        ({"opening_hours": FULL} | ITS_OWN, {"hours": "hub"}, []),
    ],
)
async def test_a_room_keeps_the_hubs_hours_or_its_own(house, stored, changed, sent):
    house.booking.routes[f"GET /v1/resources/{ROOM_ID}"] = fakes.ROOM | stored
    house.booking.routes[f"PATCH /v1/resources/{ROOM_ID}"] = fakes.ROOM
    browser = await member(house, "olga", **OPERATOR)
    page = await browser.get(f"/operator/bendorf/rooms/{ROOM_ID}")
    check_page(page, "de")
    answer = await browser.post(f"/operator/bendorf/rooms/{ROOM_ID}", fields_of(page) | changed)

    assert answer.status_code == 303
    asked = house.booking.last("PATCH", f"/v1/resources/{ROOM_ID}")
    assert asked.headers["if-match"] == '"4"'
    assert as_json(asked).get("opening_hours") == sent


async def test_times_that_were_changed_under_those_of_the_hub_are_not_lost(house):
    house.booking.routes[f"GET /v1/resources/{ROOM_ID}"] = fakes.ROOM | {"opening_hours": SPLIT}
    browser = await member(house, "olga", **OPERATOR)
    page = await browser.get(f"/operator/bendorf/rooms/{ROOM_ID}")
    sent = fields_of(page) | {"opens_1": "09:00", "hours": "hub"}

    refused = await browser.post(f"/operator/bendorf/rooms/{ROOM_ID}", sent)

    assert refused.status_code == 422
    check_page(refused, "de")
    assert "Wählen Sie eigene Zeiten" in refused.text
    assert fields_of(refused)["opens_1"] == "09:00"
    assert not [one for one in house.booking.seen if one.method == "PATCH"]

    # Somebody changed the room meanwhile: that comes first, and their state is shown.
    house.booking.routes[f"PATCH /v1/resources/{ROOM_ID}"] = refusal(412, "precondition-failed")
    stale = await browser.post(f"/operator/bendorf/rooms/{ROOM_ID}", sent | {"etag": '"3"'})
    assert stale.status_code == 412
    assert "Wählen Sie eigene Zeiten" not in stale.text
    assert fields_of(stale)["opens_1"] == "08:00"


async def test_own_hours_without_any_are_refused(house):
    browser = await member(house, "olga", **OPERATOR)
    page = await browser.get(f"/operator/bendorf/rooms/{ROOM_ID}")
    refused = await browser.post(f"/operator/bendorf/rooms/{ROOM_ID}", fields_of(page) | {"hours": "own"})

    assert refused.status_code == 422
    check_page(refused, "de")
    assert "mindestens eine Öffnungszeit" in refused.text
    assert 'href="#f-hours"' in refused.text


async def test_what_was_done_is_said_on_the_next_page(house):
    closure = {
        "id": GRANT_ID, "hub": "bendorf", "resource_id": ROOM_ID, "start": "2026-12-01T08:00:00+01:00",
        "end": "2026-12-01T18:00:00+01:00", "reason": "Neue <Lampe>", "created_at": "2026-11-01T08:00:00+01:00",
    }  # fmt: skip
    house.booking.routes["GET /v1/hubs/bendorf/closures"] = items(closure)
    browser = await member(house, "olga", **OPERATOR)

    async def said(path):
        answer = await browser.get(path)
        check_page(answer, "de")
        return re.findall(r'kern-alert--success" role="status">\s*(.*?)</div>\s*</div>', answer.text, re.DOTALL)

    assert "Platz &lt;1&gt;" in (await said(f"/operator/bendorf/rooms?saved={ROOM_ID}"))[0]
    assert "Dienstag" not in (found := await said(f"/operator/bendorf/closures?saved={GRANT_ID}"))[0]
    assert "Di., 01.12.2026, 08:00–18:00" in found[0]
    for status, words in (("checked_in", "ist eingecheckt"), ("cancelled", "ist storniert")):
        house.booking.routes["GET /v1/hubs/bendorf/bookings"] = items(fakes.booking(status))
        assert f"Buchung ABCD2345 {words}" in (await said(f"/operator/bendorf?done={BOOKING_ID}"))[0]
    for nothing in ("rooms?saved=x", "closures?saved=x", "rooms", "closures", "?done=x"):
        assert await said(f"/operator/bendorf/{nothing}".replace("/?", "?")) == []


async def test_a_lifted_closure_stands_in_the_form_once_more(house):
    closure = {
        "id": GRANT_ID, "hub": "bendorf", "resource_id": ROOM_ID, "start": "2026-12-01T08:00:00+01:00",
        "end": "2026-12-02T00:00:00+01:00", "reason": "Neue <Lampe>", "created_at": "2026-11-01T08:00:00+01:00",
    }  # fmt: skip
    house.booking.routes["GET /v1/hubs/bendorf/closures"] = items(closure)
    house.booking.routes[f"DELETE /v1/closures/{GRANT_ID}"] = httpx.Response(204)
    browser = await member(house, "olga", **OPERATOR)
    page = (await browser.get("/operator/bendorf/closures")).text
    form = page[page.index(f"/closures/{GRANT_ID}/delete") :].split("</form>")[0]
    fields = {name: unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form)}
    lifted = await browser.post(f"/operator/bendorf/closures/{GRANT_ID}/delete", fields)
    shown = await browser.get(lifted.headers["location"])

    check_page(shown, "de")
    assert "Schließung aufgehoben" in shown.text
    assert {
        "start_date": "2026-12-01", "start_time": "08:00", "end_date": "2026-12-02", "end_time": "00:00", "reason": "Neue <Lampe>",
    }.items() <= {name: unescape(value) for name, value in fields_of(shown).items()}.items()  # fmt: skip
    assert f'<option value="{ROOM_ID}" selected>' in shown.text


async def test_closing_over_somebody_who_is_there_says_why_not_and_from_when(house):
    one = fakes.booking("checked_in") | {
        "starts_at": "2026-12-01T08:00:00+00:00",
        "ends_at": "2026-12-08T10:30:00+00:00",
        "lines": [{"resource_name": "Halle", "start": "2026-12-01T08:00:00+00:00", "end": "2026-12-01T10:30:00+00:00"}],
    }
    house.booking.routes["POST /v1/hubs/bendorf/closures"] = refusal(409, "closure-over-use", bookings=[one])
    browser = await member(house, "olga", **OPERATOR)
    fields = {
        "resource": "all", "start_date": "2026-12-01", "start_time": "08:00", "end_date": "2026-12-01", "end_time": "18:00",
        "reason": "Wartung & Co", "cancel_conflicting": "1",
    }  # fmt: skip
    refused = await browser.post("/operator/bendorf/closures", fields)

    assert refused.status_code == 409
    check_page(refused, "de")
    assert "ABCD2345" in refused.text
    assert "eingecheckt" in refused.text
    assert 'name="cancel_conflicting"' not in refused.text
    later = await browser.get(unescape(re.search(r'href="(/operator/bendorf/closures\?[^"#]+)', refused.text)[1]))
    assert fields_of(later)["start_time"] == "11:30"
    assert unescape(fields_of(later)["reason"]) == "Wartung & Co"
    too_late = await browser.post("/operator/bendorf/closures", fields | {"end_time": "11:30"})
    assert "/operator/bendorf/closures?" not in too_late.text.split("<main")[1]


async def test_closing_over_further_times_of_a_booking_that_has_begun_says_which(house):
    one = fakes.booking("checked_in") | {
        "lines": [{"resource_name": "Halle", "start": "2027-02-02T08:00:00+00:00", "end": "2027-02-02T10:30:00+00:00"}]
    }
    house.booking.routes["POST /v1/hubs/bendorf/closures"] = refusal(409, "closure-over-begun", bookings=[one])
    browser = await member(house, "olga", **OPERATOR)
    fields = {
        "resource": "all", "start_date": "2027-02-01", "start_time": "08:00", "end_date": "2027-02-05", "end_time": "18:00",
        "reason": "Wartung", "cancel_conflicting": "1",
    }  # fmt: skip
    refused = await browser.post("/operator/bendorf/closures", fields)

    assert refused.status_code == 409
    check_page(refused, "de")
    assert "ABCD2345, Halle: Di" in refused.text
    assert "als Ganzes storniert" in refused.text
    assert "gerade jemand da" not in refused.text
    assert f"/operator/bendorf/bookings/{one['id']}/cancel" in refused.text
    assert 'name="cancel_conflicting"' not in refused.text


@pytest.mark.parametrize("language", ["de", "en"])
async def test_a_county_without_hubs_reads_what_to_do(house, language):
    house.booking.routes["GET /v1/hubs"] = items()
    county = await member(house, "kreis", roles=("member", "county-admin"))
    prefix = "/en" if language == "en" else ""
    page = await county.get(f"{prefix}/operator")
    assert page.status_code == 200
    check_page(page, language)
    assert f'href="{prefix}/api-docs"' in page.text
    operator = await (await member(house, "olga", **OPERATOR)).get("/operator")
    assert "Ihnen ist kein Hub zugeordnet" in operator.text


async def test_closing_over_bookings_names_them_and_asks(house):
    one = fakes.booking()
    shown = {key: one[key] for key in ("id", "code", "status", "starts_at", "ends_at", "gross_cents", "lines")}
    house.booking.routes["POST /v1/hubs/bendorf/closures"] = refusal(409, "closure-conflicts", bookings=[shown])
    browser = await member(house, "olga", **OPERATOR)
    fields = {
        "resource": "all", "start_date": "2026-12-01", "start_time": "08:00", "end_date": "2026-12-01", "end_time": "18:00",
        "reason": "Wartung",
    }  # fmt: skip
    refused = await browser.post("/operator/bendorf/closures", fields)
    assert refused.status_code == 409
    check_page(refused, "de")
    assert "ABCD2345" in refused.text
    assert 'name="cancel_conflicting"' in refused.text

    house.booking.routes["POST /v1/hubs/bendorf/closures"] = httpx.Response(201, json={"id": GRANT_ID})
    assert (await browser.post("/operator/bendorf/closures", fields | {"cancel_conflicting": "1"})).status_code == 303
    sent = as_json(house.booking.last("POST", "/v1/hubs/bendorf/closures"))
    assert sent == {
        "all": True, "start": "2026-12-01T08:00:00+01:00", "end": "2026-12-01T18:00:00+01:00", "reason": "Wartung",
        "cancel_conflicting": True,
    }  # fmt: skip
    upside_down = await browser.post("/operator/bendorf/closures", fields | {"end_time": "07:00"})
    assert upside_down.status_code == 422


async def test_readers_show_sync_and_pins(house):
    at = real_now().isoformat()
    pin = {"grant_id": GRANT_ID, "booking_id": BOOKING_ID, "starts_at": at, "ends_at": at, "armed_at": None}
    reader = {
        "id": "reader-bendorf",
        "hub": "bendorf",
        "created_at": at,
        "last_sync_at": at,
        "deny_lag": 2,
        "pins": [pin],
    }
    event = {
        "number": 1, "reader": "reader-bendorf", "door": 1, "at": at, "received_at": at, "method": "pass", "decision": "denied",
        "reason": "wrong_door", "credential": None, "late": False, "is_chained": True,
    }  # fmt: skip
    house.access.routes["GET /v1/hubs/bendorf/readers"] = items(reader)
    house.access.routes["GET /v1/hubs/bendorf/door-events"] = items(event)
    browser = await member(house, "olga", **OPERATOR)
    page = (await browser.get("/operator/bendorf/readers")).text

    for word in (
        "Zuletzt abgeglichen",
        "noch nicht angekommen",
        "Sperrliste: 2",
        "andere Tür",
        ">Haustür<",
        "ABCD2345",
    ):
        assert word in page
    assert date_asked(house) == real_now().astimezone(ZoneInfo("Europe/Berlin")).date().isoformat()


def date_asked(house):
    return house.booking.last("GET", "/v1/hubs/bendorf/bookings").url.params["date"]


async def test_readers_show_numbers_while_nobody_knows_names_and_bookings(house):
    at = real_now().isoformat()
    pin = {"grant_id": GRANT_ID, "booking_id": BOOKING_ID, "starts_at": at, "ends_at": at, "armed_at": at}
    event = {"door": 7, "at": at, "method": "pin", "decision": "allowed", "reason": "granted"}
    reader = {"id": "reader-bendorf", "last_sync_at": at, "deny_lag": 0, "pins": [pin]}
    house.access.routes["GET /v1/hubs/bendorf/readers"] = items(reader)
    house.access.routes["GET /v1/hubs/bendorf/door-events"] = items(event)
    house.booking.routes["GET /v1/hubs/bendorf/bookings"] = refusal(503, "unavailable")
    browser = await member(house, "olga", **OPERATOR)
    answer = await browser.get("/operator/bendorf/readers")

    assert answer.status_code == 200
    assert 'data-label="Tür">7<' in answer.text
    assert "angekommen" in answer.text
    assert "ABCD2345" not in answer.text


async def test_the_county_sees_what_was_given_up_and_delivers_it_again(house):
    letter = {
        "event_id": BOOKING_ID, "type": "regiohub.booking.changed", "subject": BOOKING_ID, "sequence": 3,
        "subscriber": "access", "attempts": 40, "occurred_at": real_now().isoformat(), "dead_at": real_now().isoformat(),
        "last_error": "HTTP 503",
    }  # fmt: skip
    house.booking.routes["GET /v1/dead-letters"] = items(letter)
    house.access.routes["GET /v1/dead-letters"] = items()
    house.billing.routes["GET /v1/dead-letters"] = refusal(503, "unavailable")
    house.booking.routes["POST /v1/dead-letters/replay"] = {"replayed": 1}
    browser = await member(house, "kreis", roles=("member", "county-admin"))
    page = await browser.get("/county/deliveries")

    check_page(page, "de")
    for word in ("HTTP 503", "Alles zugestellt", "Erneut zustellen"):
        assert word in page.text
    assert (await browser.post("/county/deliveries/booking", {})).status_code == 303
    assert (await browser.post("/county/deliveries/booking", {"csrf": "wrong"})).status_code == 403
    assert (await (await member(house)).get("/county/deliveries")).status_code == 403


async def test_a_county_with_one_town_hears_what_became_of_nobodys_money(house):
    house.billing.routes |= {
        "GET /v1/clearing": items(), f"POST /v1/clearing/{BOOKING_ID}/resolve": refusal(409, "case-closed"),
    }  # fmt: skip
    browser = await member(house, "fritz", ("member", "county-finance"))

    assert (await browser.get("/finance")).headers["location"] == "/finance/stadt-bendorf"
    assert "Der Fall ist abgeschlossen" in (await browser.get("/finance?closed=1")).text
    late = await browser.post(f"/finance/-/clearing/{BOOKING_ID}", {"note": "x"})
    assert late.status_code == 409
    assert "Dieser Fall ist schon abgeschlossen" in late.text


async def test_money_without_a_town_is_the_countys(house):
    case = {
        "id": BOOKING_ID, "kind": "payment_unmatched", "operator": "", "amount_cents": 1200, "detail": "a payment",
        "created_at": real_now().isoformat(), "booking_code": "", "documents": [],
    }  # fmt: skip
    house.billing.routes |= {"GET /v1/clearing": items(case), f"POST /v1/clearing/{BOOKING_ID}/resolve": case}
    browser = await member(house, "fritz", ("member", "county-finance"))

    stolen = case | {"kind": "refund_failed", "detail": "lost_or_stolen_card"}
    over = case | {"kind": "dispute", "detail": "lost: fraudulent"}
    house.billing.routes["GET /v1/clearing"] = items(stolen)
    told = (await browser.get("/finance")).text
    assert "Versuchen Sie die Erstattung noch einmal" in told
    assert "Der Streit ist zu Ende" not in told
    house.billing.routes["GET /v1/clearing"] = items(over)
    assert "Der Streit ist zu Ende" in (await browser.get("/finance")).text
    house.billing.routes["GET /v1/clearing"] = items(case)
    page = await browser.get("/finance")

    check_page(page, "de")
    assert "Zahlung ohne Buchung: 12,00" in page.text
    assert house.billing.last("GET", "/v1/clearing").url.params["nobodys"] == "true"
    done = await browser.post(f"/finance/-/clearing/{BOOKING_ID}", {"note": "erstattet"})
    assert done.headers["location"] == "/finance?closed=1"
    assert "Der Fall ist abgeschlossen" in (await browser.get("/finance?closed=1")).text
    house.billing.routes[f"POST /v1/clearing/{BOOKING_ID}/resolve"] = refusal(409, "case-closed")
    assert (await browser.post(f"/finance/-/clearing/{BOOKING_ID}", {"note": "noch einmal"})).status_code == 409
    again = await browser.get("/finance/-")
    assert again.status_code == 200
    assert "Zahlung ohne Buchung: 12,00" in again.text
    town = await member(house, "paula", **FINANCE)
    assert (await town.get("/finance/-")).status_code == 403
    assert (await town.post(f"/finance/-/clearing/{BOOKING_ID}", {"note": "x"})).status_code == 403


async def test_finance_sees_previews_log_and_cases_and_makes_a_batch(house):
    preview = {
        "operator": "stadt-bendorf", "productive": False, "profile": "default", "count": 2, "sum_cents": 900,
        "columns": ["Satzart", "Text"], "rows": [["V", "=x"]], "replaced": [], "blocking": [], "truncated": True,
        "preview": "cd" * 32,
        "totals": {"claim_cents": 450, "receipt_cents": 450, "pay_back_cents": 0},
        "entries": [
            {"document": "", "posted_on": "2026-11-25", "booking_code": "ABCD2345", "kind": "payment",
             "sides": {"claim_cents": 0, "receipt_cents": 450, "pay_back_cents": 0}},
        ],
    }  # fmt: skip
    batch = {
        "id": GRANT_ID, "operator": "stadt-bendorf", "number": 1, "productive": False, "profile": "default", "file_name": "hkr.csv",
        "sha256": "ab" * 32, "row_count": 2, "sum_cents": 900, "replaced": [{"original": "Łukasz", "written": "Lukasz"}], "created_by": "x", "created_at": real_now().isoformat(),
    }  # fmt: skip
    case = {
        "id": BOOKING_ID,
        "kind": "refund_failed",
        "amount_cents": 900,
        "detail": "card closed",
        "created_at": real_now().isoformat(),
        "booking_code": "ABCD2345",
        "documents": ["R-2026-000007"],
    }

    def previews(request):
        return (
            preview | {"productive": True, "count": 0, "rows": []} if "productive=true" in str(request.url) else preview
        )

    house.billing.routes |= {
        "GET /v1/exports/preview": previews, "GET /v1/exports": items(batch),
        "GET /v1/clearing": items(case, case | {"id": GRANT_ID, "kind": "dispute", "detail": "needs_response: fraudulent"}),
        "POST /v1/exports": httpx.Response(201, json=batch), f"GET /v1/exports/{GRANT_ID}": batch,
    }  # fmt: skip
    browser = await member(house, "fritz", **FINANCE)
    assert (await browser.get("/finance")).headers["location"] == "/finance/stadt-bendorf"
    page = await browser.get("/finance/stadt-bendorf")
    check_page(page, "de")
    for word in (
        "2 Buchungszeilen, Kontrollsumme 9,00\u00a0€",
        "Erstattung fehlgeschlagen",
        "card closed",
        "Rückbuchung durch die Bank: 9,00\u00a0€",
        "Buchung ABCD2345, R-2026-000007",
        "Versuchen Sie die Erstattung noch einmal",
        "Antworten Sie im Konto beim Zahlungsdienst",
        "Test-Stapel erzeugen",
        "Der Nachsatz zählt auch diese beiden und nennt deshalb 4.",
    ):
        assert word in page.text
    readable, _, raw = page.text.partition("<details")
    for word in (
        "ohne Rechnung",
        "Mi., 25.11.2026",
        "ABCD2345",
        "Zahlung",
        'data-label="Ist">4,50',
        "Summe aller Belege und Zahlungen",
    ):
        assert word in readable
    for word in ('<td class="kern-table__cell">=x</td>', "V Vorsatz (Kopf der Datei)"):
        assert word in raw
    made = await browser.post("/finance/stadt-bendorf/exports", {})
    assert made.headers["location"] == f"/finance/stadt-bendorf/exports/{GRANT_ID}"
    assert as_json(house.billing.last("POST", "/v1/exports")) == {"operator": "stadt-bendorf", "productive": False}
    shown = await browser.get(made.headers["location"])
    check_page(shown, "de")
    assert "ab" * 32 in shown.text
    assert "Buchungszeilen</dt>" in shown.text
    assert "nennt deshalb 4." in shown.text
    assert "Łukasz → Lukasz" in shown.text
    assert f"/api/billing/v1/exports/{GRANT_ID}/file" in shown.text

    seen = {"preview": "cd" * 32}
    assert page.text.count('name="preview" value="' + seen["preview"]) == 1
    await browser.post("/finance/stadt-bendorf/exports", seen)
    assert as_json(house.billing.last("POST", "/v1/exports"))["preview"] == seen["preview"]
    preview |= {"preview": "ef" * 32, "count": 3}
    house.billing.routes["POST /v1/exports"] = refusal(409, "export-overtaken")
    for language, words in (
        ("", ("Die Bücher haben sich seit der Vorschau geändert", "Es wurde nichts übergeben.", "<dd")),
        ("/en", ("The books have changed since the preview", "Nothing was handed over.", "Posting lines</dt>")),
    ):
        overtaken = await browser.post(f"{language}/finance/stadt-bendorf/exports", seen)
        assert overtaken.status_code == 409
        check_page(overtaken, language[1:] or "de")
        for word in (*words, 'name="preview" value="' + "ef" * 32, '__value">3</dd>'):
            assert word in overtaken.text

    house.billing.routes["POST /v1/exports"] = refusal(409, "nothing-to-export")
    assert (await browser.post("/finance/stadt-bendorf/exports", {})).status_code == 409

    closing = f"/finance/stadt-bendorf/clearing/{BOOKING_ID}"
    house.billing.routes[f"POST /v1/clearing/{BOOKING_ID}/resolve"] = case
    assert (await browser.post(closing, {"note": "called the bank", "retry": "1"})).status_code == 303
    sent = as_json(house.billing.last("POST", f"/v1/clearing/{BOOKING_ID}/resolve"))
    assert sent == {"note": "called the bank", "retry_refund": True}
    assert (await browser.post(closing, {"note": " "})).status_code == 400
    house.billing.routes[f"POST /v1/clearing/{BOOKING_ID}/resolve"] = refusal(409, "case-closed")
    assert "schon abgeschlossen" in (await browser.post(closing, {"note": "again"})).text


async def test_refusals_are_pages_for_people_and_problems_for_programs(house):
    people = await house.browser().get("/en/nothing-here")
    programs = await house.browser().get("/nothing-here", headers={"accept": "application/json"})

    assert people.status_code == programs.status_code == 404
    check_page(people, "en")
    assert people.headers["x-request-id"] in people.text
    assert programs.headers["content-type"] == "application/problem+json"
    refused = await house.browser().get("/a%2fb")
    assert refused.status_code == 400
    check_page(refused, "de")


async def test_assets_are_ours_and_may_be_kept(house):
    answer = await house.browser().get("/static/app.css")

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert (await house.browser().get("/static/../main.py")).status_code in {400, 404}


async def test_health_tells_about_database_and_schema(house):
    inside = {"host": "127.0.0.1:8080"}
    assert (await house.browser().get("/healthz", headers=inside)).json() == {"status": "alive"}
    assert (await house.browser().get("/readyz", headers=inside)).json()["status"] == "ready"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/en/metrics"])
async def test_operations_are_not_there_under_the_public_name(house, path):
    assert (await house.browser().get(path)).status_code == 404


@pytest.mark.parametrize("language", ["de", "en"])
async def test_a_calendar_address_is_shown_once_renewed_and_revoked(house, language):
    browser, prefix = await member(house), "/en" if language == "en" else ""
    secret = f"{ORIGIN}/calendars/{'S' * 43}.ics"
    since = real_now().isoformat()
    house.booking.routes["POST /v1/calendar-feed"] = httpx.Response(201, json={"url": secret, "created_at": since})
    house.booking.routes["DELETE /v1/calendar-feed"] = httpx.Response(204)
    assert f"{prefix}/bookings/calendar/revoke" not in (await browser.get(f"{prefix}/bookings")).text

    made = await browser.post(f"{prefix}/bookings/calendar", {})
    check_page(made, language)
    assert (made.status_code, secret in made.text) == (200, True)
    house.booking.routes["GET /v1/calendar-feed"] = {"created_at": since}
    listed = await browser.get(f"{prefix}/bookings")
    assert secret not in listed.text
    assert f'action="{prefix}/bookings/calendar/revoke"' in listed.text
    assert (await browser.get(f"{prefix}/bookings/calendar")).headers["location"] == f"{prefix}/bookings"

    revoked = await browser.post(f"{prefix}/bookings/calendar/revoke", {})
    assert revoked.headers["location"] == f"{prefix}/bookings"
    assert house.booking.last("DELETE", "/v1/calendar-feed")


@pytest.mark.parametrize("language", ["de", "en"])
async def test_a_booking_is_moved_by_a_form_that_keeps_its_length(house, language):
    browser, prefix = await member(house), "/en" if language == "en" else ""
    path = f"{prefix}/bookings/{BOOKING_ID}/move"
    house.booking.routes[f"POST /v1/bookings/{BOOKING_ID}/move"] = fakes.booking(
        version=5, moved_at=real_now().isoformat()
    )
    shown = (await browser.get(path)).text
    assert f'href="{path}"' in (await browser.get(f"{prefix}/bookings/{BOOKING_ID}")).text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', shown))
    fields = {"etag": '"4"', "line": hidden["line"], "resource": ROOM_ID, "date": "2027-05-03", "time": "14:00"}

    answer = await browser.post(path, fields)

    assert answer.headers["location"] == f"{prefix}/bookings/{BOOKING_ID}?moved=1"
    sent = house.booking.last("POST", f"/v1/bookings/{BOOKING_ID}/move")
    assert sent.headers["if-match"] == '"4"'
    [line] = as_json(sent)["lines"]
    assert (line["start"], line["end"]) == ("2027-05-03T14:00:00+02:00", "2027-05-03T16:00:00+02:00")
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking(moved_at=real_now().isoformat())
    done = await browser.get(f"{prefix}/bookings/{BOOKING_ID}?moved=1")
    check_page(done, language)
    assert ("Umgebucht" if language == "de" else "Moved") in done.text


@pytest.mark.parametrize("language", ["de", "en"])
async def test_a_refused_move_says_why_and_offers_what_costs_the_same(house, language):
    browser, prefix = await member(house), "/en" if language == "en" else ""
    path = f"{prefix}/bookings/{BOOKING_ID}/move"
    slot = {
        "resource_id": ROOM_ID, "resource_name": "Platz <1>", "start": "2027-05-04T12:00:00+00:00",
        "end": "2027-05-04T14:00:00+00:00", "price": fakes.PRICE,
    }  # fmt: skip
    house.booking.routes[f"POST /v1/bookings/{BOOKING_ID}/move"] = refusal(
        409, "price-differs", line=0, gross_cents=900, new_gross_cents=1250, alternatives=[slot], resources=[]
    )
    fields = {"etag": '"4"', "line": ROOM_ID, "resource": ROOM_ID, "date": "2027-05-03", "time": "14:00"}

    answer = await browser.post(path, fields)

    assert answer.status_code == 409
    check_page(answer, language)
    assert "12,50" in answer.text or "12.50" in answer.text
    [link] = re.findall(r'href="([^"]*date=2027-05-04[^"]*)"', answer.text)
    assert "time=14:00" in link
    assert 'value="14:00"' in (await browser.get(link.replace("&amp;", "&"))).text


async def test_a_move_onto_the_own_other_booking_blames_nobody(house):
    browser, path = await member(house), f"/bookings/{BOOKING_ID}/move"
    house.booking.routes[f"POST /v1/bookings/{BOOKING_ID}/move"] = refusal(
        409, "slot-taken", line=0, alternatives=[], resources=[]
    )
    other = fakes.booking(id=GRANT_ID, code="EIGEN234")
    start = datetime.fromisoformat(other["starts_at"]).astimezone(ZoneInfo("Europe/Berlin"))
    fields = {
        "etag": '"4"', "line": ROOM_ID, "resource": ROOM_ID, "date": start.date().isoformat(),
        "time": start.strftime("%H:%M"),
    }  # fmt: skip

    house.booking.routes["GET /v1/bookings"] = items(fakes.booking())
    foreign = await browser.post(path, fields)
    house.booking.routes["GET /v1/bookings"] = items(fakes.booking(), other)
    own = await browser.post(path, fields)

    assert ("Jemand war schneller" in foreign.text, "schon gebucht" in foreign.text) == (True, False)
    assert ("Jemand war schneller" in own.text, "EIGEN234" in own.text) == (False, True)


async def test_the_member_sees_that_the_hub_moved_the_booking(house):
    browser = await member(house)
    for by, is_told in (("operator", True), ("member", False)):
        moved = fakes.booking(moved_at=real_now().isoformat(), moved_by=by)
        house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = moved
        shown = await browser.get(f"/bookings/{BOOKING_ID}")
        assert ("Der Hub hat Ihre Buchung umgebucht" in shown.text) is is_told


@pytest.mark.parametrize(("form", "page"), [
    (f"/bookings/{BOOKING_ID}/move", f"/bookings/{BOOKING_ID}/move?time=14%3A00&unsent=1"),
    ("/bookings/calendar", "/bookings?unsent=1"),
    ("/bookings/calendar/revoke", "/bookings?unsent=1"),
    ("/operator/bendorf/open", "/operator/bendorf/readers?unsent=1"),
])  # fmt: skip
async def test_forms_of_moves_feeds_and_doors_lead_through_an_ended_login_back(house, form, page):
    answer = await house.browser().post(form, {"time": "14:00", "reason": "Ohne Telefon"})

    assert parse_qs(urlsplit(answer.headers["location"]).query)["return_to"] == [page]


async def test_a_move_into_a_time_that_the_clocks_skip_or_show_twice_is_asked_about(house):
    browser, path = await member(house), f"/bookings/{BOOKING_ID}/move"
    fields = {"etag": '"4"', "line": ROOM_ID, "resource": ROOM_ID, "time": "02:30"}

    skipped = await browser.post(path, fields | {"date": "2027-03-28"})
    twice = await browser.post(path, fields | {"date": "2027-10-31"})

    assert (skipped.status_code, twice.status_code) == (422, 422)
    links = re.findall(r'href="([^"]*fold=[01])"', twice.text)
    assert len(links) == 2
    again = await browser.get(links[1].replace("&amp;", "&"))
    assert 'name="fold" value="1"' in again.text
    house.booking.routes[f"POST /v1/bookings/{BOOKING_ID}/move"] = fakes.booking()
    await browser.post(path, fields | {"date": "2027-10-31", "fold": "1"})
    [line] = as_json(house.booking.last("POST", f"/v1/bookings/{BOOKING_ID}/move"))["lines"]
    assert line["start"] == "2027-10-31T02:30:00+01:00"


async def test_a_booking_that_cannot_move_has_no_form(house):
    browser = await member(house)
    for status in ("held", "checked_in", "cancelled"):
        house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking(status)
        shown = await browser.get(f"/bookings/{BOOKING_ID}/move")
        assert "Umbuchen ist nicht" in shown.text
        assert 'name="date"' not in shown.text


def command(state: str, **more: object) -> dict[str, object]:
    return {
        "id": GRANT_ID, "hub": "bendorf", "door": 1, "reason": "Ohne <Telefon>", "opened_by": "olga", "state": state,
        "created_at": real_now().isoformat(), "expires_at": real_now().isoformat(), "outcome_reason": None,
        "decided_at": None, **more,
    }  # fmt: skip


@pytest.mark.parametrize("language", ["de", "en"])
async def test_a_door_is_opened_with_a_reason_and_accepted_is_not_opened(house, language):
    browser, prefix = await member(house, "olga", **OPERATOR), "/en" if language == "en" else ""
    sent: list[httpx.Request] = []

    def accept(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(201, json=command("waiting"))

    key = "0193b3f0-0000-7000-8000-0000000000c1"
    house.access.routes[f"PUT /v1/hubs/bendorf/commands/{key}"] = accept
    house.access.routes["GET /v1/hubs/bendorf/doors"] = {"doors": [{"number": 1, "name": "Haus<tür>"}]}
    fields = {"door": "1", "reason": "Ohne <Telefon>", "key": key}

    answer = await browser.post(f"{prefix}/operator/bendorf/open", fields)

    assert answer.headers["location"] == f"{prefix}/operator/bendorf/readers#commands"
    assert as_json(sent[0]) == {"door": 1, "reason": "Ohne <Telefon>"}
    words = {"waiting": ("noch nicht geöffnet", "not opened yet"), "expired": ("abgelaufen", "expired")}
    for state, (german, english) in words.items():
        house.access.routes["GET /v1/hubs/bendorf/commands"] = items(command(state))
        shown = await browser.get(f"{prefix}/operator/bendorf/readers")
        check_page(shown, language)
        assert (german if language == "de" else english) in shown.text
        assert "<Telefon>" not in shown.text
        assert "Haus<tür>" not in shown.text


@pytest.mark.parametrize("reason", ["", " ", "x", "x" * 201])
async def test_no_door_opens_without_a_reason(house, reason):
    browser = await member(house, "olga", **OPERATOR)

    answer = await browser.post("/operator/bendorf/open", {"door": "1", "reason": reason})

    assert answer.status_code == 422
    check_page(answer, "de")
    assert not [request for request in house.access.seen if request.method == "PUT"]


async def test_a_reader_that_is_away_is_said_with_what_helps(house):
    browser = await member(house, "olga", **OPERATOR)
    key = "0193b3f0-0000-7000-8000-0000000000c1"
    house.access.routes[f"PUT /v1/hubs/bendorf/commands/{key}"] = refusal(409, "reader-away")

    answer = await browser.post("/operator/bendorf/open", {"door": "1", "reason": "Ohne Telefon", "key": key})

    assert answer.status_code == 409
    assert "Das Mitglied kann die PIN benutzen" in answer.text
    assert 'value="Ohne Telefon"' in answer.text


@pytest.mark.parametrize("language", ["de", "en"])
async def test_the_member_sees_what_the_operator_opened(house, language):
    opening = {"door": 1, "opened_at": real_now().isoformat(), "reason": "Ohne <Telefon>", "opened_by": "olga-1"}
    house.access.routes[f"GET /v1/grants/{GRANT_ID}/remote-openings"] = items(opening)
    browser = await member(house)

    shown = await browser.get(("/en" if language == "en" else "") + f"/bookings/{BOOKING_ID}")

    check_page(shown, language)
    assert ("Vom Betreiber geöffnet" if language == "de" else "Opened by the operator") in shown.text
    assert "Ohne &lt;Telefon&gt;" in shown.text
    assert "olga-1" in shown.text


@pytest.mark.parametrize(
    "host", ["gateway.test", "GATEWAY.TEST", "gateway.test.", "gateway.test:80", "Gateway.Test.:80"]
)
async def test_every_spelling_of_the_public_name_shows_pages_and_no_operations(house, host):
    browser = house.browser()

    assert (await browser.get("/impressum", headers={"host": host})).status_code == 200
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await browser.get(path, headers={"host": host})).status_code == 404


FOREIGN = ["evil.example", "gateway.test:81", "gateway.test..", "gateway.test.evil.example", "127.0.0.1.evil.example",
           "x@127.0.0.1", "127.0.0.1:8080, gateway.test", "[::1", "127.1", ""]  # fmt: skip


@pytest.mark.parametrize("host", FOREIGN)
async def test_under_a_foreign_name_there_is_nothing(house, host):
    for path in ("/", "/metrics", "/readyz", "/healthz", "/static/app.css", "/api/booking/v1/hubs", "/auth/login"):
        answer = await house.browser().get(path, headers={"host": host, "accept": "application/json"})

        assert (answer.status_code, answer.headers["content-type"]) == (421, "application/problem+json")
        assert answer.json()["type"] == "/problems/misdirected"
    assert house.booking.seen == []


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "10.1.2.3", "[::1]:8080", "localhost", "Gateway.Internal.:9000"])
async def test_under_an_internal_name_there_are_operations_and_keycloaks_logout_only(house, host):
    browser = house.restarted(internal_hosts="gateway.internal, other").browser()
    inside = {"host": host, "accept": "application/json"}

    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await browser.get(path, headers=inside)).status_code == 200
    for path in ("/", "/en/metrics", "/auth/login", "/api/booking/v1/hubs"):
        assert (await browser.get(path, headers=inside)).status_code == 421
    told = await browser.send("POST", "/auth/backchannel-logout", data={"logout_token": "x"}, headers=inside)
    assert told.json()["type"] == "/problems/login-failed"


@pytest.mark.parametrize(("forwarded", "status"), [({}, 200), ({"x-forwarded-for": "192.0.2.1"}, 421)])
async def test_a_probe_without_any_name_asks_from_inside_unless_it_was_forwarded(house, forwarded, status):
    answer = await asked_without_host(house, "/healthz", forwarded)
    page = await asked_without_host(house, "/impressum", forwarded)

    assert (answer, page) == (status, 421)


async def asked_without_host(house, path: str, headers: dict[str, str]) -> int:
    """HTTP/1.0, as a plain health check speaks it."""
    told = []
    scope = {
        "type": "http", "http_version": "1.0", "method": "GET", "scheme": "http", "path": path, "query_string": b"",
        "raw_path": path.encode(), "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        told.append(message)

    await house.app(scope, receive, send)
    return told[0]["status"]


async def test_an_internal_name_that_came_through_our_proxy_is_a_foreign_one(house):
    browser = house.restarted(forwarded_hops=1).browser()
    inside = {"host": "127.0.0.1:8080"}

    assert (await browser.get("/metrics", headers=inside)).status_code == 200
    assert (await browser.get("/metrics", headers=inside | {"x-forwarded-for": "192.0.2.7"})).status_code == 421
