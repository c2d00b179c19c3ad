"""One person in front of a browser: logs in through the real form and calls the API with the session's cookie."""

from __future__ import annotations

import secrets
from typing import Any, Self

import httpx

from regiohub_local.form_browser import FormBrowser, forms
from regiohub_local.plan import House


class Refused(RuntimeError):
    """An answer that the story did not expect."""


class Person:
    """`async with Person(house, "demo-mitglied") as member: await member.get("/api/…")`."""

    def __init__(self, house: House, username: str) -> None:
        self._house, self.username = house, username
        self.browser = FormBrowser()

    async def __aenter__(self) -> Self:
        await self.browser.__aenter__()
        await self.login()
        return self

    async def login(self) -> None:
        """Log in; raises :class:`Refused` if that did not work."""
        page = await self.browser.get(f"{self._house.origin}/auth/login")
        page = await self.browser.fill_login(page, self.username, self._house.secrets["RH_DEMO_PASSWORD"])
        session = await self.get("/auth/session")
        if not session.get("logged_in"):
            raise Refused(f"{self.username} is not logged in (the last page answered {page.status_code})")

    async def __aexit__(self, *_: object) -> None:
        await self.browser.__aexit__(*_)

    async def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One call as our own script would make it; the answer may be a refusal."""
        headers = {
            "Origin": self._house.origin, "X-Requested-With": "story", "Accept": "application/json",
            **more.pop("headers", {}),
        }  # fmt: skip
        if method == "POST":
            headers.setdefault("Idempotency-Key", secrets.token_hex(16))
        return await self.browser.request(method, self._house.origin + path, headers=headers, follow=False, **more)

    async def get(self, path: str, **params: Any) -> Any:
        """JSON of a page that must be there."""
        return self._json(await self.request("GET", str(httpx.URL(path, params=params)) if params else path))

    async def post(self, path: str, body: Any, **headers: str) -> Any:
        """JSON of a change that must succeed."""
        return self._json(await self.request("POST", path, json=body, headers=headers))

    def _json(self, answer: httpx.Response) -> Any:
        if not answer.is_success:
            path = str(answer.url).partition("?")[0]
            raise Refused(f"{self.username}: {path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json()

    async def pay(self, checkout_url: str, action: str = "pay") -> httpx.Response:
        """Use the sandbox's payment page as a person does; return where it leads."""
        page = await self.browser.get(checkout_url)
        form = next(f for f in forms(page) if f.method == "post")
        return await self.browser.submit(form, {"action": action}, until=self._house.origin)
