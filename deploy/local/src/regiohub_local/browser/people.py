"""People in front of a real browser: one context each, logged in through Keycloak's form."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Browser, BrowserContext, Page

from regiohub_local.browser.watch import Watch
from regiohub_local.plan import House


async def login(page: Page, house: House, user: str) -> None:
    """Fill Keycloak's form, which `page` shows; return when Keycloak has sent the person back."""
    await page.fill("#username", user)
    await page.fill("#password", house.secrets["RH_DEMO_PASSWORD"])
    await page.click("#kc-login")
    await page.wait_for_url(f"{house.origin}/**")


class People:
    """`page = await people.page("demo-mitglied")`: that person's page, logged in; "" is nobody in particular."""

    def __init__(self, browser: Browser, house: House, **options: Any) -> None:
        self._browser, self._house, self._options = browser, house, options
        self._contexts: dict[str, BrowserContext] = {}
        self.watch = Watch(house)

    async def context(self, user: str = "") -> BrowserContext:
        """The person's context, logged in the first time."""
        if user not in self._contexts:
            made = await self._browser.new_context(locale="de-DE", **self._options)
            self._contexts[user] = self.watch.on(made)
            if user:
                page = await made.new_page()
                await page.goto(f"{self._house.origin}/auth/login")
                await login(page, self._house, user)
                await page.close()
        return self._contexts[user]

    async def page(self, user: str = "") -> Page:
        """A new page of the person."""
        return await (await self.context(user)).new_page()

    async def close(self) -> None:
        """Close all contexts."""
        for context in self._contexts.values():
            await context.close()
        self._contexts.clear()
