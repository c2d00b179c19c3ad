"""Every page in every state, language and width: axe without violations, nothing sideways, nothing too small to hit."""

from regiohub_billing.render import document
from regiohub_gateway.web.site import routers
from regiohub_local.browser import checks, stops, tour
from regiohub_local.browser.people import People
from tests.support.browser import axe, mend
from tests.unit.billing.test_page import INVOICE


async def visit(page, view):
    """In the light, and once in the dark, where only colours differ."""
    faults = await checks.faults(page, is_paper=view.is_paper) + await axe(page)
    if (view.language, view.width) == ("de", tour.WIDTHS[-1]):
        await page.emulate_media(color_scheme="dark")
        faults += [f"dark: {fault}" for fault in await axe(page, "color-contrast")]
        await page.emulate_media(color_scheme="light")
    return faults


async def test_every_page_in_every_state(bare_house, chromium_browser):
    people, faults = People(chromium_browser, bare_house), []
    try:
        async for part, facts in tour.stages(bare_house):
            faults += await tour.go(people, bare_house.origin, part, facts, visit)
    finally:
        await people.close()
        await mend(bare_house)
    assert faults == []


def test_every_page_of_the_gateway_is_on_the_tour():
    found = {route.path for router in routers() for route in router.routes if "GET" in route.methods}

    # A script, and the way back to the list for who reloads what is shown once.
    assert found - {"/key/worker.js", "/bookings/calendar"} == set(stops.PAGES.values())


def test_every_page_has_every_state_or_a_reason():
    assert stops.gaps() == []
    assert {name for name, _ in stops.WITHOUT} <= set(stops.PAGES) | set(stops.PAPERS)
    assert len({(stop.page, stop.state) for stop in stops.ALL}) == len(stops.ALL), "a picture would replace another"


async def test_what_a_box_hides_is_a_fault_on_a_paper(chromium_browser):
    page = await chromium_browser.new_page(viewport={"width": 320, "height": 480})
    await page.set_content(
        "<main><div class=scroll style='overflow-x:auto'><p style='width:400px'>12,00 €</p></div></main>"
    )
    found = await checks.faults(page), await checks.faults(page, is_paper=True)
    await page.close()

    assert found[0] == []
    assert [fault.partition(" px")[0] for fault in found[1]] == ["cut off: div.scroll: 400"]


async def test_an_invoice_is_printed_in_german_alone(chromium_browser):
    page = await chromium_browser.new_page()
    await page.set_content(document.page(INVOICE, document.Shell(english=True, back="/en/bookings/1")))
    english = page.locator("[lang=en]:visible")
    on_screen = await english.count()
    await page.emulate_media(media="print")
    printed = await english.count()
    await page.close()

    assert on_screen > 15
    assert printed == 0


async def test_the_checks_find_what_they_are_for(chromium_browser):
    page = await chromium_browser.new_page(viewport={"width": 320, "height": 480})
    await page.set_content(
        "<html lang=de><title>x</title><main><h1>x</h1><div style='width:400px'>x</div><button style='width:9px;padding:0'>x</button>"
        "<p style='color:#bbb'>grau</p></main></html>"
    )
    faults, violations = await checks.faults(page), await axe(page)
    await page.close()

    assert any(fault.startswith("scrolls sideways: 4") for fault in faults)
    assert any(fault.startswith("small target: x: 9×") for fault in faults)
    assert any(fault.startswith("axe color-contrast") for fault in violations)
