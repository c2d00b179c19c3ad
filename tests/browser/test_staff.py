"""People who run a hub, and people who keep a town's books, in their own pages."""

import csv
import hashlib
import re
from datetime import timedelta

from playwright.async_api import expect

from regiohub_local import story
from regiohub_local.browser.stage import slot
from regiohub_local.person import Person
from regiohub_local.region import resource_id
from tests.support.browser import axe, until

OPERATOR, TREASURY = "demo-betrieb-bendorf", "demo-kasse-bendorf"


async def book(member, house, room, when, *, pay=True):
    tale = story.Tale(house=house, member=member, other=member, start=when[0], end=when[1])
    tale.desk = str(resource_id("bendorf", room))
    if pay:
        await story.book(tale)
        await story.pay(tale)
    else:
        tale.booking = await member.post("/api/booking/v1/bookings", story.order(tale))
    return tale


async def status_of(tale):
    return (await tale.member.get(tale.path))["status"]


async def test_an_operator_checks_somebody_in_by_hand(house, people):
    async with Person(house, "demo-mitglied-2") as member:
        start = story.current_slot()[0]
        tale = await book(member, house, "Lesenische", (start, start + timedelta(minutes=30)), pay=False)
        page = await people.page(OPERATOR)
        await page.goto(house.origin)
        await page.click("text=Hub betreiben")
        await page.click(f"text=Einchecken: {tale.booking['code']}")
        card = page.locator(".rh-card", has_text=tale.booking["code"])
        await expect(card.get_by_text("eingecheckt um")).to_be_visible()
        await expect(page.get_by_role("status")).to_contain_text(f"{tale.booking['code']} ist eingecheckt")

        assert await status_of(tale) == "checked_in"


async def test_an_operator_changes_a_price_and_new_bookings_pay_it(house, people):
    page = await people.page(OPERATOR)
    await page.goto(f"{house.origin}/operator/bendorf/rooms")
    await page.click("text=Schreibtisch 7")
    await page.fill("#f-price", "3,50")
    await page.click("text=Speichern")
    card = page.locator(".rh-card", has_text="Schreibtisch 7")
    await expect(card).to_contain_text("3,50")
    await expect(page.get_by_role("status")).to_contain_text("Schreibtisch 7")

    start = slot(14, days=3)[0]
    desk = resource_id("bendorf", "Schreibtisch 7")
    await page.goto(f"{house.origin}/book?resource={desk}&date={start.date()}&time=14:00&minutes=120")
    await expect(page.locator(".rh-sum")).to_contain_text("7,00")


async def test_two_operators_at_once_do_not_overwrite_each_other(house, people):
    first, second = await people.page(OPERATOR), await people.page(OPERATOR)
    for page in (first, second):
        await page.goto(f"{house.origin}/operator/bendorf/rooms/{resource_id('bendorf', 'Schreibtisch 6')}")
    await first.fill("#f-description", "Am Fenster")
    await first.click("text=Speichern")
    await expect(first.get_by_role("heading", level=1)).to_contain_text("Räume")

    await second.fill("#f-description", "Im Keller")
    await second.click("text=Speichern")
    await expect(second.get_by_role("alert")).to_contain_text("inzwischen geändert")
    assert await axe(second) == []


async def test_opening_hours_are_saved_and_shown_to_everybody(house, people):
    page = await people.page("demo-betrieb-mayen")
    await page.goto(f"{house.origin}/operator/mayen/hours")
    await page.fill("#f-closes_7", "20:00")
    await page.click("text=Speichern")
    await expect(page.get_by_role("status")).to_have_text(re.compile("Gespeichert"))

    await page.goto(f"{house.origin}/hubs/mayen")
    await expect(page.locator(".kern-description-list-item", has_text="Sonntag")).to_contain_text("06:00–20:00")


async def test_a_day_with_a_break_and_a_room_with_its_own_hours(house, people):
    page = await people.page("demo-betrieb-mayen")
    await page.goto(f"{house.origin}/operator/mayen/rooms/{resource_id('mayen', 'MakerSpace')}")
    await page.check("text=Eigene Zeiten")
    for day in range(2, 8):
        await page.fill(f"#f-opens_{day}", "")
        await page.fill(f"#f-closes_{day}", "")
    await page.locator("summary").first.click()
    for name, clock in (("opens_1", "08:00"), ("closes_1", "12:00"), ("opens_1_2", "14:00"), ("closes_1_2", "18:00")):
        await page.fill(f"#f-{name}", clock)
    await page.click("text=Speichern")
    await expect(page.get_by_role("status")).to_contain_text("MakerSpace")

    await page.click("main >> text=MakerSpace >> nth=-1")
    await expect(page.locator("#f-opens_1_2")).to_be_visible()
    await page.click("text=Speichern")
    async with Person(house, "demo-betrieb-mayen") as operator:
        room = await operator.get(f"/api/booking/v1/resources/{resource_id('mayen', 'MakerSpace')}")
    assert [(one["weekday"], one["opens"], one["closes"]) for one in room["opening_hours"]] == [
        (1, "08:00", "12:00"), (1, "14:00", "18:00"),
    ]  # fmt: skip


async def test_a_closure_names_the_bookings_in_its_way_then_cancels_and_refunds_them(house, people):
    when = slot(10, days=4)
    async with Person(house, "demo-mitglied-2") as member:
        tale = await book(member, house, "Schreibtisch 5", when)
        page = await people.page(OPERATOR)
        await page.goto(f"{house.origin}/operator/bendorf/closures")
        await page.select_option("#f-resource", label="Schreibtisch 5")
        for name, moment in zip(("start", "end"), when, strict=True):
            await page.fill(f"#f-{name}_date", moment.date().isoformat())
            await page.fill(f"#f-{name}_time", f"{moment:%H:%M}")
        await page.fill("#f-reason", "Neue Lampe")
        await page.click("text=Schließen >> nth=-1")
        await expect(page.get_by_role("alert")).to_contain_text("In dieser Zeit gibt es Buchungen")
        await expect(page.locator("main")).to_contain_text(tale.booking["code"])
        assert await status_of(tale) == "confirmed"

        await page.check("input[name=cancel_conflicting]")
        await page.click("text=Schließen >> nth=-1")
        card = page.locator(".rh-card", has_text="Neue Lampe")
        await expect(card).to_be_visible()
        await expect(page.get_by_role("status")).to_contain_text("Schließung eingetragen")
        assert await status_of(tale) == "cancelled"
        await until("the refund", lambda: refunded(tale))
        await card.get_by_text("Schließung aufheben").click()
        await expect(card).to_have_count(0)
        await expect(page.get_by_role("status")).to_contain_text("Schließung aufgehoben")
        await expect(page.locator("#f-reason")).to_have_value("Neue Lampe")


async def refunded(tale):
    found = await tale.member.get("/api/billing/v1/payments", booking_id=tale.booking["id"])
    return all(item["refunded_cents"] == item["paid_cents"] > 0 for item in found["items"])


async def test_an_operator_cancels_with_refund_and_sees_readers_and_pins(house, people):
    async with Person(house, "demo-mitglied-2") as member:
        tale = await book(member, house, "Schreibtisch 4", slot(16, days=4))
        page = await people.page(OPERATOR)
        await page.goto(f"{house.origin}/operator/bendorf/readers")
        await expect(page.locator(".rh-card", has_text="reader-bendorf")).to_contain_text("Zuletzt abgeglichen")
        await page.goto(f"{house.origin}/operator/bendorf?date={tale.start.date()}")
        await page.click(f"text={tale.booking['code']} stornieren")
        await page.click("text=Jetzt stornieren")
        await expect(page.get_by_role("status")).to_contain_text(f"{tale.booking['code']} ist storniert")

        assert await status_of(tale) == "cancelled"
        await until("the refund", lambda: refunded(tale))


async def test_finance_sees_the_preview_exports_it_and_downloads_the_same_bytes_twice(house, people):
    async with Person(house, "demo-mitglied-2") as member:
        tale = await book(member, house, "Schreibtisch 3", slot(8, days=5))
        await story.invoice(tale)
    page = await people.page(TREASURY)
    await page.goto(house.origin)
    await page.click("text=Kasse")
    preview = page.locator("section[aria-labelledby=preview-test]")
    rows = await preview.locator("details tbody tr").count()
    await page.set_viewport_size({"width": 320, "height": 800})
    table = preview.locator("table.rh-stack")
    assert await table.evaluate("table => table.scrollWidth <= table.clientWidth"), "a column is cut off"
    assert (
        await table.locator("td[data-label]").first.evaluate("cell => getComputedStyle(cell, '::before').content")
        != "none"
    )
    await page.set_viewport_size({"width": 1280, "height": 800})
    await preview.get_by_role("button", name="Test-Stapel erzeugen").click()
    await page.wait_for_url("**/exports/*")
    shown = dict(
        zip(await page.locator("dt").all_inner_texts(), await page.locator("dd").all_inner_texts(), strict=True)
    )
    files = []
    for _ in range(2):
        async with page.expect_download() as waiting:
            await page.click("text=Datei herunterladen")
        download = await waiting.value
        assert download.suggested_filename == shown["Datei"]
        files.append((await download.path()).read_bytes())

    assert files[0] == files[1]
    assert hashlib.sha256(files[0]).hexdigest() == shown["SHA-256"]
    assert len(list(csv.reader(files[0].decode("cp1252").splitlines(), delimiter=";"))) in {rows, rows + 1}
    await page.goto(f"{house.origin}/finance/stadt-bendorf")
    await expect(page.locator("section[aria-labelledby=log] .rh-card").first).to_contain_text("Test")


async def test_pages_of_others_stay_shut(house, people):
    page = await people.page(OPERATOR)
    for path in ("/operator/mayen", "/finance/stadt-bendorf", "/county/deliveries"):
        answer = await page.goto(house.origin + path)
        assert answer.status == 403, path
    page = await people.page(TREASURY)
    answer = await page.goto(f"{house.origin}/finance/stadt-mayen")
    assert answer.status == 403
