"""What members are told: what is free first, what would work instead, what an open hold or an ended booking means."""

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from regiohub_gateway.web import moments
from regiohub_shared.clock import now, real_now
from tests.service.gateway import fakes
from tests.service.gateway.fakes import BOOKING_ID, PRICE, ROOM_ID, items, refusal
from tests.service.gateway.test_pages import check_page, member

FREE = PRICE | {
    "gross_cents": 0,
    "derivation": [{"rule": "free", "label": "Free", "quantity": 1, "unit_cents": 0, "cents": 0}],
}
WINTER = datetime(2027, 3, 9, 9, 30, tzinfo=UTC)


def refused_for(reason: str) -> dict:
    verdict = {
        "resource_id": ROOM_ID, "resource_name": "x", "hub": "bendorf", "is_free": False, "refusal": reason, "price": None,
    }  # fmt: skip
    return items(verdict)


def hrefs(page: str) -> list[str]:
    return [href.replace("&amp;", "&") for href in re.findall(r'href="([^"]+)"', page)]


async def test_a_search_in_a_hub_that_is_not_there_says_so_and_leads_to_all(house):
    page = await house.browser().get("/find?hub=nowhere&date=2026-12-01&time=09:00&minutes=120")

    assert "Diesen Hub gibt es hier nicht." in page.text
    assert "/find?date=2026-12-01&time=09%3A00&minutes=120" in hrefs(page.text)
    known = await house.browser().get("/find?hub=bendorf&date=2026-12-01&time=09:00&minutes=120")
    assert "Diesen Hub gibt es hier nicht." not in known.text


async def test_a_hub_that_opens_later_offers_what_it_has_then(house):
    start = moments.next_step(moments.after(now(), 90))
    later = start.date() == now().astimezone(moments.ZONE).date()
    house.booking.routes["GET /v1/next-free"] = fakes.first_free(start, 60)

    for path in ("/", "/hubs/bendorf"):
        page = (await house.browser().get(path)).text
        assert (f"Heute ab {start:%H:%M} Uhr frei" if later else "Heute ist nichts mehr frei") in page
        assert "1 Arbeitsplatz frei" in page
    booking = next(href for href in hrefs((await house.browser().get("/en")).text) if href.startswith("/en/book?"))
    assert f"date={start.date()}" in booking
    assert f"time={start:%H}%3A{start:%M}&minutes=60" in booking
    assert house.booking.last("GET", "/v1/next-free").url.params["kind"] == "desk"
    assert house.booking.last("GET", "/v1/next-free").url.params["at_least"] == "5"


async def test_a_hub_with_nothing_left_today_says_so_and_names_the_next_day(house):
    start = moments.next_step(now() + timedelta(days=1))
    two = (fakes.slot(start), fakes.slot(start, resource_id=BOOKING_ID, resource_name="Nische", price=FREE))
    house.booking.routes["GET /v1/next-free"] = fakes.first_free(start, 120, *two)

    answer = await house.browser().get("/")

    check_page(answer, "de")
    assert "Heute ist nichts mehr frei" in answer.text
    assert f"2 Arbeitsplätze frei: {moments.show_date(start, 'de')}" in answer.text
    assert "Ein Teil kostenlos, ab 9,00\u00a0€" in answer.text
    assert "Nische buchen" in answer.text


async def test_without_a_desk_the_first_room_is_named_as_such_and_without_any_it_is_said(house):
    rooms = fakes.first_free(moments.next_step(now()))
    house.booking.routes["GET /v1/next-free"] = lambda request: items() if "kind" in request.url.params else rooms
    assert "1 Raum oder Platz frei" in (await house.browser().get("/")).text

    house.booking.routes["GET /v1/next-free"] = items({"hub": "bendorf", "start": None, "end": None, "offers": []})
    page = (await house.browser().get("/")).text
    assert "In den nächsten zwei Wochen ist nichts frei." in page
    assert "/find?hub=bendorf" in hrefs(page)


@pytest.mark.parametrize(
    ("reason", "title", "help_"),
    [
        ("outside-opening-hours", "Zu dieser Zeit ist nicht geöffnet", "zu der der Hub geöffnet ist"),
        ("off-grid", "Beginn oder Dauer passt nicht ins Raster", "Wählen Sie Beginn und Dauer im Raster des Platzes."),
        ("too-long", "Die Dauer ist zu lang", "kürzere Dauer"),
        ("in-the-past", "Diese Zeit liegt in der Vergangenheit", "die noch kommt"),
        ("slot-taken", "Zu dieser Zeit ist hier nichts frei.", ""),
    ],
)
async def test_a_search_without_result_says_why_and_what_would_work(house, reason, title, help_):
    house.booking.routes["GET /v1/availability"] = refused_for(reason)
    house.booking.routes["GET /v1/next-free"] = fakes.first_free(WINTER, 90)

    answer = await house.browser().get("/find?date=2027-03-09&time=05:10&minutes=90")

    check_page(answer, "de")
    assert title in answer.text
    assert help_ in answer.text
    assert "/find?hub=bendorf&date=2027-03-09&time=10%3A30&minutes=90" in hrefs(answer.text)
    asked = house.booking.last("GET", "/v1/next-free").url.params
    assert (asked["after"], asked["minutes"]) == ("2027-03-09T05:10:00+01:00", "90")
    assert "at_least" not in asked


async def test_who_finds_nothing_that_long_is_shown_something_shorter(house):
    house.booking.routes["GET /v1/availability"] = refused_for("outside-opening-hours")
    shorter = fakes.first_free(WINTER, 60)
    house.booking.routes["GET /v1/next-free"] = lambda request: shorter if "at_least" in request.url.params else items()

    page = (await house.browser().get("/find?date=2027-03-09&time=08:00&minutes=720")).text

    assert "/find?hub=bendorf&date=2027-03-09&time=10%3A30&minutes=60" in hrefs(page)


async def test_too_far_ahead_leads_back_and_a_skipped_time_to_the_one_that_is(house):
    house.booking.routes["GET /v1/availability"] = refused_for("beyond-horizon")
    house.booking.routes["GET /v1/next-free"] = items()
    far = (await house.browser().get("/find?hub=bendorf&date=2031-03-09&time=08:00")).text
    assert "Früher suchen" in far
    assert "/find?hub=bendorf" in hrefs(far)

    skipped = (await house.browser().get("/find?date=2027-03-28&time=02:30&minutes=60")).text
    assert "/find?hub=&date=2027-03-28&time=03%3A30&minutes=60" in hrefs(skipped)


async def test_a_room_shows_its_free_times_and_begins_with_the_next(house):
    room, slot = f"/v1/resources/{ROOM_ID}", fakes.slot(WINTER, 60)
    house.booking.routes[f"GET {room}/next-free"] = items(slot)
    fold = fakes.slot(datetime(2027, 10, 31, 1, 30, tzinfo=UTC), 60)
    house.booking.routes[f"GET {room}/slots"] = items(slot, fold)
    hub = (await house.browser().get("/hubs/bendorf")).text
    assert f"/book?resource={ROOM_ID}" in hrefs(hub)

    page = await house.browser().get(f"/book?resource={ROOM_ID}")

    check_page(page, "de")
    assert "Di., 09.03.2027, 10:30–11:30" in page.text
    links = hrefs(page.text)
    assert f"/book?resource={ROOM_ID}&date=2027-03-09&time=10%3A30&minutes=60" in links
    assert f"/book?resource={ROOM_ID}&date=2027-10-31&time=02%3A30&minutes=60&fold=1" in links
    assert house.booking.last("GET", f"{room}/slots").url.params["date"] == "2027-03-09"


async def test_a_length_that_the_room_does_not_offer_is_corrected(house):
    house.booking.routes["GET /v1/availability"] = refused_for("too-long")
    room = f"/v1/resources/{ROOM_ID}"
    house.booking.routes[f"GET {room}"] = fakes.ROOM | {"max_minutes": 240}
    house.booking.routes |= dict.fromkeys(
        (f"GET {room}/next-free", f"GET {room}/slots"), items(fakes.slot(WINTER, 240))
    )

    page = await house.browser().get(f"/book?resource={ROOM_ID}&date=2027-03-09&time=08:00&minutes=600")

    assert page.status_code == 409
    assert "Wählen Sie eine kürzere Dauer." in page.text
    assert house.booking.last("GET", f"{room}/next-free").url.params["minutes"] == "240"
    assert house.booking.last("GET", f"{room}/slots").url.params["minutes"] == "240"
    assert f"/book?resource={ROOM_ID}&date=2027-03-09&time=10%3A30&minutes=240" in hrefs(page.text)


@pytest.mark.parametrize(("prefix", "words"), [("", "in Schritten von 15 Minuten"), ("/en", "in steps of 15 minutes")])
async def test_a_start_off_the_raster_is_answered_with_the_raster_of_this_room(house, prefix, words):
    house.booking.routes[f"GET /v1/resources/{ROOM_ID}"] = fakes.ROOM | {"granularity_minutes": 15}
    for what in ("next-free", "slots"):
        house.booking.routes[f"GET /v1/resources/{ROOM_ID}/{what}"] = items()
    browser = await member(house)
    house.booking.routes["POST /v1/bookings"] = refusal(409, "off-grid", granularity_minutes=15)
    sent = await browser.post(f"{prefix}/book", wish())
    house.booking.routes["GET /v1/availability"] = refused_for("off-grid")
    looked = await browser.get(f"{prefix}/book?resource={ROOM_ID}&date=2027-03-09&time=08:07&minutes=60")

    for answer in (sent, looked):
        assert answer.status_code == 409
        assert words in answer.text


async def test_a_day_that_is_too_short_for_the_wish_shows_its_hours(house):
    house.booking.routes["GET /v1/availability"] = refused_for("outside-opening-hours")
    hour = items(fakes.slot(WINTER, 60))
    for what in ("next-free", "slots"):
        house.booking.routes[f"GET /v1/resources/{ROOM_ID}/{what}"] = lambda request: (
            hour if request.url.params["minutes"] == "60" else items()
        )

    page = (await house.browser().get(f"/book?resource={ROOM_ID}&date=2027-03-09&time=08:00&minutes=720")).text

    assert hrefs(page).count(f"/book?resource={ROOM_ID}&date=2027-03-09&time=10%3A30&minutes=60") == 2


def wish() -> dict[str, str]:
    start = real_now().replace(microsecond=0)
    return {"resource": ROOM_ID, "start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}


async def test_too_many_open_holds_show_these_and_nothing_that_would_fail_again(house):
    house.booking.routes["POST /v1/bookings"] = refusal(429, "too-many-holds", limit=3)
    lapsed = fakes.booking("held", id=ROOM_ID, hold_until=(real_now() - timedelta(minutes=1)).isoformat())
    house.booking.routes["GET /v1/bookings"] = items(
        fakes.booking("held"), lapsed, fakes.booking("confirmed", id=ROOM_ID)
    )
    browser = await member(house)

    answer = await browser.post("/book", wish())

    check_page(answer, "de")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 20 * 60
    links = hrefs(answer.text)
    assert {f"/bookings/{BOOKING_ID}/pay", f"/bookings/{BOOKING_ID}/cancel", "/bookings"} <= set(links)
    assert "noch 20 Minuten" in answer.text
    assert not [href for href in links if href.startswith("/book?") or ROOM_ID in href]


async def test_an_open_hold_is_shown_however_many_bookings_came_after_it(house):
    house.booking.routes["POST /v1/bookings"] = refusal(429, "too-many-holds", limit=3)
    pages = {
        None: {"items": [fakes.booking("confirmed", id=ROOM_ID)] * 20, "next": "older"},
        "older": items(fakes.booking("held")),
    }
    house.booking.routes["GET /v1/bookings"] = lambda request: pages[request.url.params.get("cursor")]
    browser = await member(house)

    answer = await browser.post("/book", wish())

    assert f"/bookings/{BOOKING_ID}/pay" in hrefs(answer.text)


async def test_ten_holds_in_an_hour_say_when_it_goes_on(house):
    browser = await member(house)
    house.booking.routes["GET /v1/bookings"] = items()
    for _ in range(10):
        await browser.post("/book", wish())

    answer = await browser.post("/en/book", wish())

    check_page(answer, "en")
    assert answer.status_code == 429
    wait_s = int(answer.headers["retry-after"])
    assert 3500 < wait_s <= 3600
    assert re.search(r"It goes on at \d\d:\d\d \(in (59|60) minutes\)", answer.text)
    assert "/en/bookings" in hrefs(answer.text)


@pytest.mark.parametrize(
    ("booking", "payments", "said", "unsaid"),
    [
        (fakes.booking("cancelled"), [], ["Es wurde nichts bezahlt."], ["kommt auf demselben Weg", "Noch keine Rechnung"]),
        (
            fakes.booking("cancelled", confirmed_at="2027-03-09T09:00:00+00:00"), [{"paid_cents": 900}],
            ["kommt auf demselben Weg"], ["nichts bezahlt", "Noch keine Rechnung"],
        ),
        (fakes.booking("cancelled", gross_cents=0), [], [], ["nichts bezahlt", "demselben Weg", "Rechnung"]),
        (fakes.booking("confirmed", gross_cents=0), [], [], ["Noch keine Rechnung", "Rechnungen"]),
        (fakes.booking("expired"), [{"paid_cents": 0}], [], ["Noch keine Rechnung", "Rechnungen"]),
        (fakes.booking("confirmed"), [{"paid_cents": 900}], ["Noch keine Rechnung"], []),
        (fakes.booking("held"), [], ["Noch keine Rechnung"], []),
    ],
    ids=["unpaid", "paid", "free, cancelled", "free", "expired", "settling", "held"],
)  # fmt: skip
async def test_what_is_said_about_money_is_what_was_paid(house, booking, payments, said, unsaid):
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = booking
    house.billing.routes["GET /v1/payments"] = items(*payments)
    browser = await member(house)

    page = (await browser.get(f"/bookings/{BOOKING_ID}")).text

    assert all(text in page for text in said)
    assert not [text for text in unsaid if text in page]


@pytest.mark.parametrize("by", ["operator", "closure", "member"])
async def test_a_member_is_told_that_the_hub_cancelled_and_where_other_times_are(house, by):
    off = fakes.booking("cancelled", confirmed_at="2027-03-09T09:00:00+00:00", cancelled_by=by)
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = off
    house.billing.routes["GET /v1/payments"] = items({"paid_cents": 900})
    browser = await member(house)

    german, english = [await browser.get(f"{lang}/bookings/{BOOKING_ID}") for lang in ("", "/en")]

    check_page(german, "de")
    by_hub = by != "member"
    assert ("Der Hub hat Ihre Buchung storniert" in german.text) is by_hub
    assert ("Diese Buchung ist storniert" in german.text) is not by_hub
    assert ("The hub has cancelled your booking" in english.text) is by_hub
    assert ("/en/find?hub=bendorf" in hrefs(english.text)) is by_hub
    assert "kommt auf demselben Weg" in german.text


async def test_a_booking_that_has_ended_leads_to_no_door(house):
    browser = await member(house)
    for status, leads in (("held", True), ("confirmed", True), ("checked_in", True), ("cancelled", False),
                          ("expired", False), ("completed", False), ("no_show", False)):  # fmt: skip
        house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking(status)
        assert ("So finden Sie die Tür" in (await browser.get(f"/bookings/{BOOKING_ID}")).text) is leads, status


async def test_an_operator_sees_no_key_and_papers_of_a_members_booking(house):
    operator = await member(house, "olga", ("member", "hub-operator"), hub_operator=["bendorf"])
    for status in ("held", "confirmed", "completed", "cancelled"):
        foreign = fakes.booking(status, is_own=False, cancelled_by="closure" if status == "cancelled" else None)
        house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = foreign

        answer = await operator.get(f"/bookings/{BOOKING_ID}")

        check_page(answer, "de")
        for words in ("Türschlüssel", "Rechnung", "Jetzt bezahlen", "Ihre Buchung storniert"):
            assert words not in answer.text, (status, words)
    assert "Der Hub hat diese Buchung storniert" in answer.text


@pytest.mark.parametrize("path", ["/bookings/{}/pay", "/bookings/{}/payment", "/key/{}"])
async def test_paying_and_the_key_are_the_members_alone(house, path):
    operator = await member(house, "olga", ("member", "hub-operator"), hub_operator=["bendorf"])
    for status in ("held", "confirmed"):
        house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking(status, is_own=False)
        assert (await operator.get(path.format(BOOKING_ID))).status_code == 404, status


@pytest.mark.parametrize("pin", ["482913", None])
async def test_the_key_page_points_to_a_pin_only_where_there_is_one(house, pin):
    house.access.routes["GET /v1/grants"] = fakes.items(fakes.grant() | {"pin": pin})

    page = (await (await member(house)).get(f"/key/{BOOKING_ID}")).text

    assert ("Die PIN öffnet dieselben Türen" in page) is bool(pin)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("held", "sobald die Buchung bezahlt ist"), ("confirmed", "wird gerade angelegt"),
        ("cancelled", "öffnet keine Tür mehr"), ("expired", "öffnet keine Tür mehr"),
    ],
)  # fmt: skip
async def test_a_key_that_is_not_there_says_why(house, status, said):
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking(status)
    house.access.routes["GET /v1/grants"] = fakes.items()

    answer = await (await member(house)).get(f"/key/{BOOKING_ID}")

    check_page(answer, "de")
    assert said in answer.text
    assert (f"/bookings/{BOOKING_ID}/pay" in hrefs(answer.text)) is (status == "held")


async def test_while_billing_is_away_nothing_is_claimed_about_money(house):
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking(
        "cancelled", confirmed_at="2027-03-09T09:00:00+00:00"
    )
    house.billing.routes |= dict.fromkeys(("GET /v1/payments", "GET /v1/documents"), httpx.ConnectError("down"))
    browser = await member(house)

    page = (await browser.get(f"/bookings/{BOOKING_ID}")).text

    assert "Die Rechnungen sind gerade nicht erreichbar" in page
    assert "bezahlt" not in page


async def test_every_page_about_a_booking_says_where_it_is(house):
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking("held")
    browser = await member(house)
    for path in ("/bookings", f"/bookings/{BOOKING_ID}/pay", f"/bookings/{BOOKING_ID}/cancel"):
        assert "Ideenkino" in (await browser.get(path)).text, path
    operator = await member(house, "olga", ("member", "hub-operator"), hub_operator=["bendorf"])
    assert "Ideenkino" in (await operator.get(f"/operator/bendorf/bookings/{BOOKING_ID}/cancel")).text


async def test_who_comes_back_from_the_checkout_finds_the_address_again(house):
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking("held")
    buyer = {"name": "Muster GmbH", "street": "Weg 1", "postcode": "56170", "city": "Bendorf", "country": "AT"}
    tries = [
        {"status": "failed", "paid_cents": 0, "buyer": buyer | {"city": "Mayen"}},
        {"status": "open", "paid_cents": 0, "buyer": buyer},
    ]
    house.billing.routes["GET /v1/payments"] = items(*tries, {"status": "open", "paid_cents": 0, "buyer": None})
    browser = await member(house)

    page = (await browser.get(f"/bookings/{BOOKING_ID}/pay")).text

    assert all(f'value="{text}"' in page for text in buyer.values())
    assert "Mayen" not in page


async def test_what_is_free_of_charge_names_no_tax(house):
    free = {
        "resource_id": ROOM_ID,
        "resource_name": "Nische",
        "hub": "bendorf",
        "is_free": True,
        "refusal": None,
        "price": FREE,
    }
    house.booking.routes["GET /v1/availability"] = items(free)
    house.booking.routes["GET /v1/hubs/bendorf/resources"] = items(fakes.ROOM | {"cents_per_hour": 0})

    for path in (f"/book?resource={ROOM_ID}&date=2027-03-09&time=08:00", "/hubs/bendorf"):
        page = (await house.browser().get(path)).text
        assert "kostenlos" in page
        assert "MwSt" not in page


def own(house, status):
    """A booking of the member that takes the room, and the search for a time that lies within it."""
    booking = fakes.booking(status)
    house.booking.routes["GET /v1/bookings"] = items(booking)
    house.booking.routes["GET /v1/availability"] = refused_for("slot-taken")
    house.booking.routes["POST /v1/bookings"] = refusal(409, "slot-taken", alternatives=[], resources=[])
    start = moments.parse(booking["starts_at"])
    return start, f"/book?resource={ROOM_ID}&date={start.date()}&time={start:%H}%3A{start:%M}&minutes=60"


@pytest.mark.parametrize(("status", "said"), [("held", "schon reserviert"), ("confirmed", "schon gebucht")])
async def test_a_place_that_the_member_has_already_is_not_said_to_be_lost(house, status, said):
    start, path = own(house, status)
    browser = await member(house)
    fields = {"resource": ROOM_ID, "start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}

    for answer in (await browser.get(path), await browser.post("/book", fields)):
        assert answer.status_code == 409
        check_page(answer, "de")
        assert said in answer.text
        assert f"/bookings/{BOOKING_ID}" in hrefs(answer.text)
        assert (f"/bookings/{BOOKING_ID}/pay" in hrefs(answer.text)) is (status == "held")
        assert "vergeben" not in answer.text


@pytest.mark.parametrize("status", ["cancelled", "expired"])
async def test_a_booking_that_has_ended_takes_no_place(house, status):
    _, path = own(house, status)

    assert "Dieser Platz ist zu dieser Zeit nicht frei" in (await (await member(house)).get(path)).text


async def test_nobody_was_faster_before_the_member_tried(house):
    start, path = own(house, "cancelled")
    browser = await member(house)
    fields = {"resource": ROOM_ID, "start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}
    looked, tried = await browser.get(path), await browser.post("/book", fields)
    stranger = await house.browser().get(path)

    for page in (looked.text, stranger.text):
        assert "Dieser Platz ist zu dieser Zeit nicht frei" in page
        assert "schneller" not in page
    assert "Jemand war schneller" in tried.text


async def test_cancelling_twice_says_that_it_is_done(house):
    house.booking.routes[f"GET /v1/bookings/{BOOKING_ID}"] = fakes.booking("cancelled")
    house.booking.routes[f"POST /v1/bookings/{BOOKING_ID}/cancel"] = refusal(412, "precondition-failed")
    browser = await member(house)

    for page in (
        await browser.get(f"/bookings/{BOOKING_ID}/cancel"),
        await browser.post(f"/bookings/{BOOKING_ID}/cancel", {"etag": '"4"'}),
    ):
        assert "Die Buchung ist schon storniert." in page.text
        assert "hat begonnen" not in page.text
        assert "Jemand hat" not in page.text


async def test_the_day_list_says_once_who_is_there_and_offers_no_early_check_in(house):
    operator = await member(house, "olga", ("member", "hub-operator"), hub_operator=["bendorf"])
    path = "GET /v1/hubs/bendorf/bookings"
    house.booking.routes[path] = items(fakes.booking("checked_in", checked_in_at="2026-11-25T12:16:00+00:00"))
    assert (await operator.get("/operator/bendorf")).text.count("eingecheckt") == 1

    soon = real_now() + timedelta(minutes=30)
    times = {"starts_at": soon.isoformat(), "ends_at": (soon + timedelta(hours=1)).isoformat()}
    for booking, offered in ((fakes.booking(), False), (fakes.booking() | times, True)):
        house.booking.routes[path] = items(booking)
        assert ("Einchecken:" in (await operator.get("/operator/bendorf")).text) is offered
