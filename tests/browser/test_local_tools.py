"""The tools beside the house that people look at too: the payment page, the reader's page, the mails."""

import pytest

from regiohub_local import story
from regiohub_local.browser import checks
from regiohub_local.browser.stage import slot
from regiohub_local.person import Person
from regiohub_local.region import resource_id
from tests.support.browser import axe


async def checkout(house, hour):
    start, end = slot(hour, days=5)
    async with Person(house, "demo-mitglied-2") as member:
        tale = story.Tale(house=house, member=member, other=member, start=start, end=end)
        tale.desk = str(resource_id("bendorf", "Schreibtisch 2"))
        await story.book(tale)
        opened = await member.post("/api/billing/v1/payments", {"booking_id": tale.booking["id"], "buyer": story.BUYER})
    return opened["checkout_url"]


@pytest.mark.parametrize("tool", ["checkout", "declined", "reader", "mails", "mail"])
async def test_the_tools_pages_hold_what_the_gateways_pages_hold(house, people, tool):
    page = await people.page()
    if tool in {"checkout", "declined"}:
        await page.goto(await checkout(house, 14 if tool == "checkout" else 18))
    else:
        await page.goto(house.reader_page("bendorf") if tool == "reader" else house.mail_origin)
    if tool == "mail":
        await page.locator("li a").first.click()
    if tool == "declined":
        await page.click("button[value=decline]")
    for width in (1280, 320):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await checks.faults(page) + await axe(page) == []
