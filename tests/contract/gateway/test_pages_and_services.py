"""The pages against the real booking app: forms and JSON shapes fit, from search to cancellation."""

import base64
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from html import unescape
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from regiohub_gateway.main import make_app
from regiohub_gateway.settings import Settings
from regiohub_gateway.web import moments
from regiohub_shared.clock import now
from regiohub_shared.db.database import Database
from tests.service.booking.world import DESK, FREE, OPERATOR, World, running
from tests.service.gateway.fakes import CHECKOUT, ORIGIN, Browser, Keycloak, Service, items
from tests.support.tokens import ISSUER


class Street:
    """Gateway, booking and access side by side."""

    def __init__(self, app: Any, keycloak: Keycloak, booking: World) -> None:
        self.app, self.keycloak, self.booking = app, keycloak, booking

    async def browser(self, sub: str = "member-1", *roles: str, **claims: Any) -> Browser:
        self.booking.userinfo.sub = sub
        browser = Browser(self.app, self.keycloak)
        await browser.login(sub, *roles, **claims)
        return browser


@pytest.fixture
async def street(cluster: Any) -> AsyncIterator[Street]:
    async with AsyncExitStack() as stack:
        names = ("booking", "gateway")
        urls = {name: stack.enter_context(cluster.database(name)) for name in names}
        booking = await stack.enter_async_context(running(urls["booking"]))
        db = Database(urls["gateway"].app, pool_size=4)
        stack.push_async_callback(db.close)
        keycloak = Keycloak()
        settings = Settings(
            database_url=urls["gateway"].app, issuer=ISSUER, client_secret=SecretStr("gateway-secret"),
            public_origin=ORIGIN, checkout_origin=CHECKOUT,
            session_key=SecretStr(base64.urlsafe_b64encode(b"k" * 32).decode()),
        )  # fmt: skip
        transports: dict[str, httpx.AsyncBaseTransport] = {
            "booking": httpx.ASGITransport(app=booking.app, raise_app_exceptions=False),
            "access": Service("access", {"GET /v1/grants": items()}),
            "billing": Service("billing", {"GET /v1/documents": items(), "GET /v1/payments": items()}),
            "keycloak": keycloak,
        }
        yield Street(make_app(settings, db=db, transports=transports), keycloak, booking)


def hidden(page: httpx.Response) -> dict[str, str]:
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text)
    return {name: value.replace("&#34;", '"') for name, value in found}


def fields_of(page: httpx.Response) -> dict[str, str]:
    """What a browser would send if nobody touched the page's form."""
    found = {}
    for tag in re.findall(r"<input [^>]*>", page.text[page.text.index("<main") :]):
        is_out = re.search(r'type="(radio|checkbox)"', tag) and " checked" not in tag
        if not is_out:
            name, value = re.search(r' name="(\w+)"', tag), re.search(r' value="([^"]*)"', tag)
            found[name[1] if name else ""] = unescape(value[1] if value else "")
    return found


async def hold(browser: Browser, resource: Any = DESK, minutes: int = 60, hours_ahead: int = 26) -> str:
    start = moments.next_step(now() + timedelta(hours=hours_ahead))
    quote = await browser.get(
        f"/book?resource={resource}&date={start.date()}&time={start:%H:%M}&minutes={minutes}&fold={start.fold}"
    )
    assert quote.status_code == 200, quote.text
    held = await browser.post("/book", hidden(quote))
    assert held.status_code == 303, held.text
    return str(held.headers["location"]).split("/")[2]


async def test_from_the_start_page_to_a_hold_and_its_cancellation(street):
    browser = await street.browser()
    start = await browser.get("/")
    assert start.status_code == 200
    assert "frei" in start.text
    booking = await hold(browser)

    pay = await browser.get(f"/bookings/{booking}/pay")
    assert pay.status_code == 200
    assert "1 angefangene Stunde zu 4,00\u00a0€" in pay.text
    assert "zahlungspflichtig buchen" in pay.text
    assert (await browser.get(f"/bookings/{booking}")).status_code == 200
    assert "Desk 1" in (await browser.get("/bookings")).text
    ask = await browser.get(f"/bookings/{booking}/cancel")
    done = await browser.post(f"/bookings/{booking}/cancel", hidden(ask))
    assert done.headers["location"] == f"/bookings/{booking}"
    assert "storniert" in (await browser.get(f"/bookings/{booking}")).text


async def test_a_free_desk_is_confirmed_at_once_and_a_taken_one_offers_others(street):
    browser = await street.browser()
    booking = await hold(browser, FREE)
    assert "gebucht" in (await browser.get(f"/bookings/{booking}")).text

    await hold(browser, DESK, hours_ahead=30)
    start = moments.next_step(now() + timedelta(hours=30))
    taken = await browser.get(f"/en/book?resource={DESK}&date={start.date()}&time={start:%H:%M}&minutes=60")
    assert taken.status_code == 409
    assert "You have already reserved this place for that time" in taken.text
    assert "Free at the same time" in taken.text
    assert taken.text.count("/en/book?resource=") >= 4


async def test_an_operator_changes_room_hours_and_closures(street):
    browser = await street.browser("operator-1", "member", "hub-operator", hub_operator=["bendorf"])
    room = await browser.get(f"/operator/bendorf/rooms/{DESK}")
    fields = hidden(room) | {
        "name": "Tisch 1", "description": "am Fenster", "price": "5,50", "min_minutes": "30", "max_minutes": "600",
        "buffer_before_minutes": "0", "buffer_after_minutes": "15", "is_active": "1",
    }  # fmt: skip
    assert (await browser.post(f"/operator/bendorf/rooms/{DESK}", fields)).status_code == 303
    stale = await browser.post(f"/operator/bendorf/rooms/{DESK}", fields)
    assert stale.status_code == 412
    assert "5,50" in (await browser.get("/operator/bendorf/rooms")).text

    hours = await browser.get("/operator/bendorf/hours")
    saved = await browser.post("/operator/bendorf/hours", hidden(hours) | {"opens_1": "08:00", "closes_1": "24:00"})
    assert saved.headers["location"] == "/operator/bendorf/hours?saved=1"
    assert 'value="24:00"' in (await browser.get(saved.headers["location"])).text

    fields = {
        "resource": "all", "start_date": "2027-01-04", "start_time": "08:00", "end_date": "2027-01-04",
        "end_time": "18:00", "reason": "Wartung",
    }  # fmt: skip
    assert (await browser.post("/operator/bendorf/closures", fields)).status_code == 303
    shown = await browser.get("/operator/bendorf/closures")
    assert "Wartung" in shown.text
    closure = re.search(r"/closures/([0-9a-f-]{36})/delete", shown.text)
    assert closure
    assert (await browser.post(f"/operator/bendorf/closures/{closure[1]}/delete", {})).status_code == 303
    assert "Wartung" not in (await browser.get("/operator/bendorf/closures")).text


async def test_the_day_list_checks_in_and_cancels(street):
    member = await street.browser()
    booking = await hold(member, FREE)
    row = await street.booking.value("SELECT l.starts_at FROM line l JOIN booking b ON b.id = l.booking_id LIMIT 1")
    day = row.astimezone(moments.ZONE).date()
    operator = await street.browser("operator-1", "member", "hub-operator", hub_operator=["bendorf"])
    shown = await operator.get(f"/operator/bendorf?date={day}")
    assert "Demo Mitglied" in shown.text
    ask = await operator.get(f"/operator/bendorf/bookings/{booking}/cancel")
    done = await operator.post(f"/operator/bendorf/bookings/{booking}/cancel", hidden(ask))
    assert done.headers["location"] == f"/operator/bendorf?date={day}&done={booking}"
    assert "ist storniert" in (await operator.get(done.headers["location"])).text


def opening(weekday, opens, closes):
    return {"weekday": weekday, "opens": opens, "closes": closes}


ONE = [opening(1, "08:00", "18:00")]
TWO = [opening(1, "08:00", "12:00"), opening(1, "14:00", "18:00"), opening(7, "00:00", "24:00")]
THREE = [opening(1, "08:00", "10:00"), opening(1, "10:00", "12:00"), opening(1, "14:00", "18:00")]
HUB, ROOM = "/v1/hubs/bendorf", f"/v1/resources/{DESK}"


async def stored(street, path):
    answer = await street.booking.client.get(path)
    return {name: value for name, value in answer.json().items() if name != "version"}, answer.headers["etag"]


async def store(street, method, path, body, read):
    headers = OPERATOR | {"If-Match": (await stored(street, read))[1]}
    answer = await street.booking.client.request(method, path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("week", "saved"), [([], 303), (ONE, 303), (TWO, 303), (THREE, 409)])
async def test_the_hubs_hours_saved_untouched_are_the_same_and_rooms_keep_their_own(street, week, saved):
    await store(street, "PUT", f"{HUB}/opening-hours", {"opening_hours": week}, HUB)
    await store(street, "PATCH", ROOM, {"opening_hours": THREE}, ROOM)
    before, room = (await stored(street, HUB))[0], await stored(street, ROOM)
    browser = await street.browser("operator-1", "member", "hub-operator", hub_operator=["bendorf"])
    page = await browser.get("/operator/bendorf/hours")
    fields = (
        fields_of(page)
        if saved == 303
        else {"etag": (await stored(street, HUB))[1], "opens_1": "08:00", "closes_1": "10:00"}
    )
    answer = await browser.post("/operator/bendorf/hours", fields)

    assert answer.status_code == saved
    assert (await stored(street, HUB))[0] == before
    assert before["opening_hours"] == week
    assert await stored(street, ROOM) == room


@pytest.mark.parametrize("week", [[], ONE, TWO, THREE])
async def test_a_room_saved_untouched_is_the_same(street, week):
    await store(street, "PATCH", ROOM, {"opening_hours": week}, ROOM)
    before = (await stored(street, ROOM))[0]
    browser = await street.browser("operator-1", "member", "hub-operator", hub_operator=["bendorf"])
    page = await browser.get(f"/operator/bendorf/rooms/{DESK}")
    assert (await browser.post(f"/operator/bendorf/rooms/{DESK}", fields_of(page))).status_code == 303

    assert (await stored(street, ROOM))[0] == before
    assert before["has_own_hours"] is bool(week)


async def test_a_room_gets_its_own_hours_and_follows_the_hub_again(street):
    browser = await street.browser("operator-1", "member", "hub-operator", hub_operator=["bendorf"])
    path = f"/operator/bendorf/rooms/{DESK}"
    hours = {"opens_1": "08:00", "closes_1": "12:00", "opens_1_2": "13:00", "closes_1_2": "17:00"}
    fields = {
        name: value
        for name, value in fields_of(await browser.get(path)).items()
        if "opens" not in name and "closes" not in name
    }
    assert (await browser.post(path, fields | hours | {"hours": "own"})).status_code == 303
    own = (await stored(street, ROOM))[0]
    assert own["opening_hours"] == [opening(1, "08:00", "12:00"), opening(1, "13:00", "17:00")]
    clash = await browser.post(path, fields_of(await browser.get(path)) | {"opens_1_2": "11:00"})
    assert clash.status_code == 422
    assert "dürfen sich nicht überschneiden" in clash.text
    assert (await stored(street, ROOM))[0] == own

    assert (await browser.post(path, fields_of(await browser.get(path)) | {"hours": "hub"})).status_code == 303
    assert (await stored(street, ROOM))[0]["has_own_hours"] is False


async def test_a_closure_never_sends_away_who_is_checked_in(street):
    booking = await hold(await street.browser(), FREE, hours_ahead=0)
    operator = await street.browser("operator-1", "member", "hub-operator", hub_operator=["bendorf"])
    row = await street.booking.value("SELECT l.starts_at FROM line l JOIN booking b ON b.id = l.booking_id LIMIT 1")
    start = row.astimezone(moments.ZONE)
    checked = await operator.post(f"/operator/bendorf/bookings/{booking}/check-in", {"date": f"{start.date()}"})
    assert "ist eingecheckt" in (await operator.get(checked.headers["location"])).text
    end = start + timedelta(hours=5)
    fields = {
        "resource": str(FREE), "start_date": f"{start.date()}", "start_time": f"{start:%H:%M}", "end_date": f"{end.date()}",
        "end_time": f"{end:%H:%M}", "reason": "Wartung", "cancel_conflicting": "1",
    }  # fmt: skip
    refused = await operator.post("/operator/bendorf/closures", fields)

    assert refused.status_code == 409
    assert 'name="cancel_conflicting"' not in refused.text
    later = re.search(r'href="(/operator/bendorf/closures\?[^"#]+)', refused.text)[1].replace("&amp;", "&")
    form = fields_of(await operator.get(later)) | {"resource": str(FREE)}
    assert form["start_time"] == f"{start + timedelta(hours=1):%H:%M}"
    made = await operator.post("/operator/bendorf/closures", form)
    assert "Schließung eingetragen" in (await operator.get(made.headers["location"])).text


async def test_other_members_bookings_are_404(street):
    booking = await hold(await street.browser())
    other = await street.browser("member-2")

    for page in ("", "/pay", "/cancel", "/payment"):
        assert (await other.get(f"/bookings/{booking}{page}")).status_code == 404
    assert (await other.get(f"/key/{booking}")).status_code == 404
