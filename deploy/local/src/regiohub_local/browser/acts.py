"""What a person does on a page before it is shown: fill in, send, open, wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date, timedelta

from playwright.async_api import Page

Act = Callable[[Page], Awaitable[None]]


def send(*fills: tuple[str, str]) -> Act:
    """Fill fields, send the form, wait for what comes."""

    async def act(page: Page) -> None:
        for selector, value in fills:
            await page.fill(selector, value)
        form = page.locator("main form.rh-form").last
        async with page.expect_navigation():
            await form.locator("button[type=submit]").last.click()

    return act


async def press(page: Page) -> None:
    """Book without filling anything in."""
    async with page.expect_navigation():
        await page.locator("main form button[type=submit]").first.click()


async def show_code(page: Page) -> None:
    """Wait until the code is drawn."""
    await page.locator("rh-door-key svg").wait_for()


async def make_calendar_address(page: Page) -> None:
    """The address stands on this page and on none after it."""
    async with page.expect_navigation():
        await page.locator("form[action$='/bookings/calendar'] button").click()


async def to_a_dearer_room(page: Page) -> None:
    """Ask for another room, which costs more."""
    await page.select_option("#f-resource", label="Werkstattraum")
    await send()(page)


async def show_login_note(page: Page) -> None:
    """As the worker does on the kept page while the login has ended."""
    await show_code(page)
    await page.evaluate("document.querySelector('[data-login-note]').hidden = false")


async def open_details(page: Page) -> None:
    """Open the first folded part."""
    await page.locator("details summary").first.click()


async def close_everything(page: Page) -> None:
    """Close the hub over a day with bookings; they are listed."""
    day = await page.evaluate("new URLSearchParams(location.search).get('day')")
    await send(
        ("#f-start_date", day), ("#f-start_time", "08:00"), ("#f-end_date", day), ("#f-end_time", "18:00"),
        ("#f-reason", "Wasserschaden"),
    )(page)  # fmt: skip


async def close_over_somebody(page: Page) -> None:
    """Close the hub for two days while somebody is there."""
    day = date.fromisoformat(await page.evaluate("new URLSearchParams(location.search).get('day')"))
    await send(
        ("#f-start_date", day.isoformat()), ("#f-start_time", "00:00"),
        ("#f-end_date", (day + timedelta(days=2)).isoformat()), ("#f-end_time", "00:00"), ("#f-reason", "Wasserschaden"),
    )(page)  # fmt: skip


async def own_hours_without_any(page: Page) -> None:
    """Choose own hours for a room and enter none."""
    await page.check("#f-hours")
    await send(*((f"#f-{name}_{day}", "") for day in range(1, 8) for name in ("opens", "closes")))(page)
