"""One booking as people make it: by mouse, by keyboard alone, and without JavaScript on a small screen."""

import re

import pytest
from playwright.async_api import expect

from regiohub_local.browser import checks
from regiohub_local.browser.people import login
from tests.support.browser import Keyboard, axe

PAID = re.compile(r"/bookings/[0-9a-f-]{36}\?paid=1$")
ADDRESS = {"street": "Beispielweg 1", "postcode": "56170", "city": "Bendorf"}


def bendorf(page):
    """The card of the hub that is open at any hour."""
    return page.locator(".rh-card", has_text="Bendorf Ideenkino")


def desks(page):
    """The free desks with a price."""
    return page.locator("a.kern-btn", has_text="Schreibtisch")


async def fill_buyer(page):
    for name, value in ADDRESS.items():
        await page.fill(f"#f-{name}", value)


async def to_checkout(page, house, user="demo-mitglied"):
    """From the start page to the payment page, with the login on the way."""
    await page.goto(house.origin)
    await bendorf(page).get_by_text("Andere Plätze").click()
    await desks(page).first.click()
    await page.click("text=Anmelden und buchen")
    await login(page, house, user)
    await page.click("text=Reservieren und weiter zur Zahlung")
    await page.wait_for_url("**/pay")
    await fill_buyer(page)
    await page.click("text=zahlungspflichtig buchen")
    await page.wait_for_url(f"{house.stripe_origin}/**")


async def test_a_booking_by_mouse_from_the_start_page_to_the_key(house, people):
    page = await people.page()
    await to_checkout(page, house)
    await page.click("button[value=pay]")
    await page.wait_for_url(PAID)

    await expect(page.get_by_text("Bezahlt und gebucht")).to_be_visible()
    await page.get_by_text("QR-Schlüssel öffnen").or_(page.get_by_text("wird gerade angelegt")).first.wait_for()
    await page.goto(page.url.replace("/bookings/", "/key/").partition("?")[0])
    for _ in range(20):
        if await page.locator("rh-door-key").count():
            break
        await page.reload()
    await page.locator("rh-door-key svg").wait_for()
    await expect(page.locator(".rh-pin")).to_have_text(re.compile(r"^\d{6}$"))
    assert await axe(page) == []


async def test_a_declined_card_can_be_tried_again(house, people):
    page = await people.page()
    await to_checkout(page, house, "demo-mitglied-2")
    await page.click("button[value=decline]")
    await page.get_by_role("alert").wait_for()
    await page.click("#cancel")
    await page.wait_for_url("**/pay")
    await expect(page.get_by_text("Die Zahlung wurde noch nicht abgeschlossen")).to_be_visible()
    assert await axe(page) == []

    for name, value in ADDRESS.items():
        await expect(page.locator(f"#f-{name}")).to_have_value(value)
    await page.click("text=zahlungspflichtig buchen")
    await page.wait_for_url(f"{house.stripe_origin}/**")
    await page.click("button[value=pay]")
    await page.wait_for_url(PAID)


async def test_a_booking_is_cancelled_and_the_money_goes_back(house, people):
    page = await people.page()
    await to_checkout(page, house)
    await page.click("button[value=pay]")
    await page.wait_for_url(PAID)
    await page.click("text=Buchung stornieren")
    await page.wait_for_url("**/cancel")
    await expect(page.get_by_text("gehen vollständig zurück")).to_be_visible()
    await page.click("text=Jetzt stornieren")
    await page.wait_for_url(re.compile(r"/bookings/[0-9a-f-]{36}$"))
    await expect(page.get_by_text("Diese Buchung ist storniert")).to_be_visible()
    for _ in range(40):
        if await page.get_by_text("Stornorechnung").count():
            break
        await page.reload()
    await expect(page.get_by_text("Stornorechnung")).to_be_visible()


async def test_a_booking_by_keyboard_alone_with_the_focus_seen_at_every_stop(house, people):
    page = await people.page()
    await page.goto(house.origin)
    keys = Keyboard(page)
    await keys.to("Zum Inhalt springen")
    await page.keyboard.press("Enter")
    await keys.press("Andere Plätze in RegioHub Bendorf", "**/find*")
    name = (await desks(page).first.inner_text()).strip()
    await keys.press(name, re.compile(r"/book\?"))
    await keys.press("Anmelden und buchen", f"{house.keycloak_origin}/**")
    await keys.type_login(house)
    await keys.press("Reservieren und weiter", "**/pay")
    for field, value in ADDRESS.items():
        await keys.type(f"f-{field}", value)
    await keys.press("zahlungspflichtig buchen", f"{house.stripe_origin}/**")
    await keys.press("Bezahlen", PAID)
    await keys.press("QR-Schlüssel öffnen", "**/key/*")
    await page.locator("rh-door-key svg").wait_for()
    assert keys.stops > 40


SMALL = {"java_script_enabled": False, "viewport": {"width": 320, "height": 640}}


@pytest.mark.parametrize("people", [SMALL], indirect=True, ids=["320 px"])
async def test_a_booking_without_javascript_on_a_small_screen_paying_included(house, people):
    page = await people.page()
    await to_checkout(page, house)
    await page.click("button[value=pay]")
    await page.wait_for_url(PAID)
    await expect(page.get_by_text("Bezahlt und gebucht")).to_be_visible()
    await page.reload()
    await page.click("text=QR-Schlüssel öffnen")
    await page.wait_for_url("**/key/*")
    await expect(page.locator("rh-door-key noscript p")).to_be_visible()
    await expect(page.locator(".rh-pin")).to_have_text(re.compile(r"^\d{6}$"))
    assert await checks.faults(page) == []


async def test_a_booking_of_today_takes_three_taps(house, people):
    page = await people.page("demo-mitglied-2")
    await page.goto(house.origin)
    await bendorf(page).locator("a.kern-btn").click()
    await page.locator("main form button[type=submit]").click()
    await page.wait_for_url(re.compile(r"/bookings/[0-9a-f-]{36}(/pay|\?booked=1)$"))
    await expect(
        page.get_by_text(re.compile("Zahlung wird nach|gebucht|zahlungspflichtig buchen")).first
    ).to_be_visible()


async def test_errors_of_a_form_are_named_and_lead_to_their_fields(house, people):
    page = await people.page("demo-mitglied-2")
    await page.goto(house.origin)
    await bendorf(page).get_by_text("Andere Plätze").click()
    await desks(page).last.click()
    await page.click("text=Reservieren und weiter zur Zahlung")
    await page.click("text=zahlungspflichtig buchen")
    summary = page.locator("#errors")
    await expect(summary).to_be_visible()
    await summary.get_by_text("Postleitzahl").click()
    await expect(page.locator("#f-postcode")).to_be_focused()
    assert await page.get_attribute("#f-postcode", "aria-invalid") == "true"
    await page.click("text=Buchung stornieren")
    await page.click("text=Jetzt stornieren")
    await expect(page.get_by_text("Diese Buchung ist storniert")).to_be_visible()
