"""Watches a browser context: errors on its console, scripts that fail, and requests to anybody else."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Page, Request, WebError

from regiohub_local.plan import House


@dataclass
class Watch:
    """What a context has done wrong so far. `expected` are status codes that a page may answer with."""

    house: House
    seen: list[str] = field(default_factory=list)
    is_offline: bool = False

    def on(self, context: BrowserContext) -> BrowserContext:
        """Watch all pages of a context, also those that open later."""
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        return context

    def take(self) -> list[str]:
        """What was seen since the last call."""
        seen, self.seen = self.seen, []
        return seen

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"} or self._is_own_answer(message):
            return
        self.seen.append(f"console: {message.text[:300]} ({_place(message.page)})")

    def _is_own_answer(self, message: ConsoleMessage) -> bool:
        """Whether the browser only says that the page itself is a refusal, or that there is no network just now."""
        if "Failed to load resource" not in message.text:
            return False
        address = message.location.get("url", "")
        return self.is_offline or (message.page is not None and address == message.page.url)

    def _error(self, error: WebError) -> None:
        self.seen.append(f"script: {error.error.message[:300]} ({_place(error.page)})")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        house = self.house
        known = {house.origin, house.keycloak_origin, house.mail_origin, house.stripe_origin}
        known |= {house.reader_page(hub) for hub in ("bendorf", "mayen")}
        if parts.scheme in {"http", "https", "ws", "wss"} and f"{parts.scheme}://{parts.netloc}" not in known:
            self.seen.append(f"a third party was asked: {parts.netloc}")


def _place(page: Page | None) -> str:
    return urlsplit(page.url).path if page else "?"
