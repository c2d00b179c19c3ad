"""One member's calls: each is repeated under its key until a definite answer comes, as a good client does."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import httpx

from regiohub_local.chaos.oracle import Oracle
from regiohub_local.form_browser import FormError, forms
from regiohub_local.person import Person, Refused
from regiohub_local.plan import House

_T = TypeVar("_T")
PATIENCE_S = 300.0
_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_IN_FLIGHT = ("/request-in-flight", "/payment-in-flight")
_NO_ANSWER = (httpx.HTTPError, FormError, Refused, ValueError, StopIteration)


class Unanswered(RuntimeError):
    """No definite answer within PATIENCE_S."""


def kind(answer: httpx.Response) -> str:
    """The name of a refusal, or its status."""
    with suppress(ValueError):
        body = answer.json()
        if isinstance(body, dict) and body.get("type"):
            return str(body["type"]).rpartition("/")[2]
    return str(answer.status_code)


def is_definite(answer: httpx.Response) -> bool:
    """Whether asking again would be pointless."""
    name = f"/{kind(answer)}"
    return name == "/too-many-holds" or not (answer.status_code in _AGAIN or name in _IN_FLIGHT)


class Caller:
    """A logged-in member with patience."""

    def __init__(self, house: House, name: str, oracle: Oracle) -> None:
        self._house, self._oracle = house, oracle
        self.person = Person(house, name)
        self._login = asyncio.Lock()

    async def close(self) -> None:
        """Close the browser."""
        await self.person.browser.__aexit__()

    async def login(self) -> None:
        """Log in, however long it takes."""

        async def once() -> bool:
            await self.person.login()
            return True

        await self._until("login", once)

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The definite answer; the same key with every try."""
        headers = {"Idempotency-Key": secrets.token_hex(16), **more.pop("headers", {})}

        async def once() -> httpx.Response | None:
            answer = await self.person.request(method, path, headers=headers, **more)
            where = f" {method} {path.split('/')[2]}" if answer.status_code == 500 else ""
            self._oracle.answers[f"{answer.status_code}{where}"] += 1
            if answer.status_code == 401:
                await self._login_anew()
                return None
            return answer if is_definite(answer) else None

        return await self._until(f"{method} {path.partition('?')[0]}", once)

    async def get(self, path: str, **params: str) -> Any:
        """JSON, or None for what is not to be seen (yet)."""
        answer = await self.call("GET", str(httpx.URL(path, params=params)) if params else path)
        return answer.json() if answer.is_success else None

    async def use_page(self, url: str, action: str) -> bool:
        """Use the sandbox's page; whether it led back to the house (False: the page has nothing to press any more)."""

        async def once() -> bool:
            page = await self.person.browser.get(url)
            page.raise_for_status()
            form = next((f for f in forms(page) if f.method == "post"), None)
            if form is None:
                return False
            answer = await self.person.browser.submit(form, {"action": action}, until=self._house.origin)
            return answer.is_redirect

        return await self._until(f"the payment page ({action})", once)

    async def _login_anew(self) -> None:
        async with self._login:
            session = await self.person.get("/auth/session")
            if not session.get("logged_in"):
                await self.person.login()

    async def _until(self, what: str, once: Callable[[], Awaitable[_T | None]]) -> _T:
        deadline, pause = time.monotonic() + PATIENCE_S, 0.2
        while time.monotonic() < deadline:
            with suppress(*_NO_ANSWER):
                if (found := await once()) is not None:
                    return found
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 2.0)
        self._oracle.miss(f"{self.person.username}: {what}")
        raise Unanswered(what)
