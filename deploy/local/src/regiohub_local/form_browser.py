"""A browser for forms: httpx, a cookie store, redirects and HTML forms, no JavaScript.

Own cookie store because Python's jars never send Secure cookies over http, which browsers do for localhost:
Keycloak's login and our `__Host-` session need it.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx

from regiohub_shared.http.client import IDLE_S

MAX_REDIRECTS = 15


class FormError(RuntimeError):
    """The page is not the one expected; the message says what it showed instead."""


@dataclass(slots=True)
class Form:
    """One HTML form: where it goes and what it would send untouched."""

    action: str
    method: str = "get"
    id: str = ""
    fields: dict[str, str] = field(default_factory=dict)


class _FormParser(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.forms, self.select = url, list[Form](), ""
        self.is_open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        a = {key: value or "" for key, value in attrs}
        if tag == "form":
            action = urljoin(self.url, a.get("action", ""))
            self.forms.append(Form(action, a.get("method", "get").lower(), a.get("id", "")))
            self.is_open = True
        elif self.is_open and tag in {"input", "textarea"} and a.get("name"):
            self._input(a)
        elif self.is_open and tag == "select":
            self.select = a.get("name", "")
        elif self.is_open and tag == "option" and self.select:
            self._option(a)

    def _input(self, a: dict[str, str]) -> None:
        kind = a.get("type", "text").lower()
        if kind in {"submit", "button", "image", "file", "reset"}:
            return
        if kind not in {"checkbox", "radio"} or "checked" in a:
            self.forms[-1].fields[a["name"]] = a.get("value", "on" if kind == "checkbox" else "")

    def _option(self, a: dict[str, str]) -> None:
        if "selected" in a or self.select not in self.forms[-1].fields:
            self.forms[-1].fields[self.select] = a.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.is_open = False
        elif tag == "select":
            self.select = ""


def forms(page: httpx.Response) -> list[Form]:
    """All forms of a page, actions made absolute."""
    parser = _FormParser(str(page.url))
    parser.feed(page.text)
    return parser.forms


@dataclass(frozen=True, slots=True)
class Client:
    """A confidential Keycloak client with the code flow."""

    issuer: str
    client_id: str
    secret: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login ended in."""

    access: str
    refresh: str
    identity: str
    raw: Mapping[str, Any]


class FormBrowser:
    """One person's browser. `async with FormBrowser() as browser: page = await browser.get(url)`."""

    def __init__(self, *, timeout: float = 20, language: str = "de") -> None:
        # Browsers ask anew where the server closed an idle connection at that moment; this one leaves it in time.
        limits = httpx.Limits(max_connections=100, keepalive_expiry=IDLE_S)
        self._http = httpx.AsyncClient(timeout=timeout, trust_env=False, cookies=None, limits=limits)
        self._language = language
        self._cookies: dict[tuple[str, str, str], str] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get(self, url: str, *, until: str | None = None, **headers: str) -> httpx.Response:
        """Open a page and follow redirects; one that leads to a URL starting with `until` is not followed."""
        return await self.request("GET", url, until=until, headers=headers)

    async def submit(
        self, form: Form, values: Mapping[str, str] | None = None, *, until: str | None = None
    ) -> httpx.Response:
        """Send a form with some fields changed, Origin as a browser sets it."""
        data = {**form.fields, **(values or {})}
        if form.method == "get":
            return await self.get(f"{form.action.partition('?')[0]}?{urlencode(data)}", until=until)
        parts = urlsplit(form.action)
        headers = {"Origin": f"{parts.scheme}://{parts.netloc}"}
        return await self.request("POST", form.action, until=until, data=data, headers=headers)

    async def request(
        self, method: str, url: str, *, until: str | None = None, follow: bool = True, **more: Any
    ) -> httpx.Response:
        """One request with this browser's cookies, then its redirects."""
        for _ in range(MAX_REDIRECTS):
            answer = await self._send(method, url, **more)
            target = answer.headers.get("location")
            if not follow or not answer.is_redirect or target is None:
                return answer
            url = urljoin(url, target)
            if until is not None and url.startswith(until):
                return answer
            method, more = ("GET", {}) if answer.status_code != 307 else (method, more)
        raise FormError(f"more than {MAX_REDIRECTS} redirects, the last to {url.partition('?')[0]}")

    async def _send(self, method: str, url: str, **more: Any) -> httpx.Response:
        headers = {"Accept": "text/html,*/*", "Accept-Language": self._language, **(more.pop("headers", None) or {})}
        if cookie := self._cookie_header(url):
            headers["Cookie"] = cookie
        self._http.cookies.clear()
        answer = await self._http.request(method, url, headers=headers, **more)
        self._store(url, answer)
        return answer

    def cookies(self, url: str) -> dict[str, str]:
        """The cookies that this browser would send to a URL."""
        parts = urlsplit(url)
        return {
            name: value
            for (host, path, name), value in self._cookies.items()
            if host == parts.hostname and (parts.path or "/").startswith(path)
        }

    def _cookie_header(self, url: str) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies(url).items())

    def _store(self, url: str, answer: httpx.Response) -> None:
        host = urlsplit(url).hostname or ""
        for line in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                key = (host, morsel["path"] or "/", name)
                if morsel["max-age"] == "0" or morsel.value == "":
                    self._cookies.pop(key, None)
                else:
                    self._cookies[key] = morsel.coded_value

    # -------------------------------------------------------- Keycloak's pages

    async def fill_login(
        self, page: httpx.Response, username: str, password: str, *, until: str | None = None
    ) -> httpx.Response:
        """Fill Keycloak's login form on `page`; answers what comes after it."""
        form = next((f for f in forms(page) if f.id == "kc-form-login"), None)
        if form is None:
            raise FormError(f"no login form at {str(page.url).partition('?')[0]} (status {page.status_code})")
        return await self.submit(form, {"username": username, "password": password}, until=until)

    async def login(self, client: Client, username: str, password: str) -> Tokens:
        """Authorization code with PKCE through the form; for tests that need a real user's tokens."""
        verifier = secrets.token_urlsafe(48)
        page = await self.get(authorization_url(client, verifier), until=client.redirect_uri)
        if not page.is_redirect:  # a redirect: this browser is logged in already
            page = await self.fill_login(page, username, password, until=client.redirect_uri)
        return await self.exchange(client, page, verifier)

    async def exchange(self, client: Client, page: httpx.Response, verifier: str) -> Tokens:
        """The tokens for the code in the redirect that `page` is."""
        query = parse_qs(urlsplit(page.headers.get("location", "")).query)
        if "code" not in query:
            raise FormError(f"no code: {query.get('error_description') or message(page)}")
        answer = await self._http.post(
            f"{client.issuer}/protocol/openid-connect/token",
            auth=(client.client_id, client.secret),
            data={
                "grant_type": "authorization_code", "code": query["code"][0], "redirect_uri": client.redirect_uri,
                "code_verifier": verifier,
            },
        )  # fmt: skip
        answer.raise_for_status()
        raw = answer.json()
        return Tokens(raw["access_token"], raw["refresh_token"], raw["id_token"], raw)


def authorization_url(client: Client, verifier: str, **more: str) -> str:
    """Where a login starts."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code", "client_id": client.client_id, "redirect_uri": client.redirect_uri, "scope": "openid",
        "state": secrets.token_urlsafe(16), "nonce": secrets.token_urlsafe(16),
        "code_challenge": challenge, "code_challenge_method": "S256", **more,
    }  # fmt: skip
    return f"{client.issuer}/protocol/openid-connect/auth?{urlencode(query)}"


class _TextParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.hidden = list[str](), 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the base class's signature
        self.hidden += tag in {"script", "style", "head"}

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in {"script", "style", "head"}

    def handle_data(self, data: str) -> None:
        if not self.hidden and data.strip():
            self.words.append(" ".join(data.split()))


def message(page: httpx.Response) -> str:
    """What a page says, in short, for an error message."""
    parser = _TextParser()
    parser.feed(page.text)
    return f"{page.status_code} {' '.join(parser.words)[:300]}"
