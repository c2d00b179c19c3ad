"""Pages over fake services: what they show, what they send, and that each works without JavaScript."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

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
    assert "1 Platz frei" in start
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

    assert (await browser.post("/en/book", fields)).headers["location"] == f"/en/bookings/{BOOKING_ID}"


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


@pytest.mark.parametrize("query", ["date=banana", "time=25:00", "date=2026-13-01", "minutes=x", "hub=..%20"])
async def test_odd_searches_do_not_break_the_page(house, query):
    answer = await house.browser().get(f"/find?{query}")

    assert answer.status_code in {200, 422}
    check_page(answer, "de")


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
    browser = await member(house)
    page = (await browser.get(f"/en/key/{BOOKING_ID}")).text

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

    assert answer.headers["location"] == "/operator/bendorf?date=2026-11-26"
    house.booking.last("POST", f"/v1/bookings/{BOOKING_ID}/check-in")

    house.booking.routes[f"POST /v1/bookings/{BOOKING_ID}/check-in"] = refusal(409, "illegal-transition")
    assert (await browser.post(f"/operator/bendorf/bookings/{BOOKING_ID}/check-in", {})).status_code == 409


async def test_a_room_is_changed_in_cents_under_its_version(house):
    house.booking.routes[f"PATCH /v1/resources/{ROOM_ID}"] = fakes.ROOM
    browser = await member(house, "olga", **OPERATOR)
    fields = {
        "etag": '"7"', "name": "Platz 1", "description": "", "price": "5,05", "min_minutes": "30", "max_minutes": "600",
        "buffer_before_minutes": "0", "buffer_after_minutes": "15", "is_active": "1",
    }  # fmt: skip
    answer = await browser.post(f"/operator/bendorf/rooms/{ROOM_ID}", fields)

    assert answer.headers["location"] == "/operator/bendorf/rooms"
    sent = house.booking.last("PATCH", f"/v1/resources/{ROOM_ID}")
    assert sent.headers["if-match"] == '"7"'
    assert as_json(sent)["cents_per_hour"] == 505

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


async def test_closing_over_bookings_names_them_and_asks(house):
    one = fakes.booking()
    shown = {key: one[key] for key in ("id", "code", "status", "starts_at", "ends_at", "gross_cents")}
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

    house.booking.routes["POST /v1/hubs/bendorf/closures"] = httpx.Response(201, json={})
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

    for word in ("Zuletzt abgeglichen", "noch nicht angekommen", "2 Sperrungen", "andere Tür"):
        assert word in page


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


async def test_finance_sees_previews_log_and_cases_and_makes_a_batch(house):
    preview = {
        "operator": "stadt-bendorf", "productive": False, "profile": "default", "count": 2, "sum_cents": 900,
        "columns": ["Betrag", "Text"], "rows": [["9,00", "=x"]], "replaced": [], "blocking": [],
    }  # fmt: skip
    batch = {
        "id": GRANT_ID, "operator": "stadt-bendorf", "number": 1, "productive": False, "profile": "default", "file_name": "hkr.csv",
        "sha256": "ab" * 32, "row_count": 2, "sum_cents": 900, "replaced": [], "created_by": "x", "created_at": real_now().isoformat(),
    }  # fmt: skip
    case = {
        "id": BOOKING_ID,
        "kind": "refund_failed",
        "amount_cents": 900,
        "detail": "card closed",
        "created_at": real_now().isoformat(),
    }

    def previews(request):
        return (
            preview | {"productive": True, "count": 0, "rows": []} if "productive=true" in str(request.url) else preview
        )

    house.billing.routes |= {
        "GET /v1/exports/preview": previews, "GET /v1/exports": items(batch), "GET /v1/clearing": items(case),
        "POST /v1/exports": httpx.Response(201, json=batch), f"GET /v1/exports/{GRANT_ID}": batch,
    }  # fmt: skip
    browser = await member(house, "fritz", **FINANCE)
    assert (await browser.get("/finance")).headers["location"] == "/finance/stadt-bendorf"
    page = await browser.get("/finance/stadt-bendorf")
    check_page(page, "de")
    for word in ("2 Zeilen, Summe 9,00\u00a0€", "Erstattung fehlgeschlagen", "card closed", "Test-Stapel erzeugen"):
        assert word in page.text
    made = await browser.post("/finance/stadt-bendorf/exports", {})
    assert made.headers["location"] == f"/finance/stadt-bendorf/exports/{GRANT_ID}"
    assert as_json(house.billing.last("POST", "/v1/exports")) == {"operator": "stadt-bendorf", "productive": False}
    shown = await browser.get(made.headers["location"])
    check_page(shown, "de")
    assert "ab" * 32 in shown.text
    assert f"/api/billing/v1/exports/{GRANT_ID}/file" in shown.text

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
