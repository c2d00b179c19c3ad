"""The pages against the real booking app: forms and JSON shapes fit, from search to cancellation."""

import base64
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from regiohub_gateway.main import make_app
from regiohub_gateway.settings import Settings
from regiohub_gateway.web import moments
from regiohub_shared.clock import now
from regiohub_shared.db.database import Database
from tests.service.booking.world import DESK, FREE, World, running
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
    assert "This desk has just been taken" in taken.text
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
    assert done.headers["location"] == "/operator/bendorf"


async def test_other_members_bookings_are_404(street):
    booking = await hold(await street.browser())
    other = await street.browser("member-2")

    for page in ("", "/pay", "/cancel", "/payment"):
        assert (await other.get(f"/bookings/{booking}{page}")).status_code == 404
    assert (await other.get(f"/key/{booking}")).status_code == 404
