"""The one client of the services' public APIs; a page asks under its visitor's own token."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
from fastapi import Request

from regiohub_gateway.visitor import Visitor
from regiohub_shared.problem import Unavailable
from regiohub_shared.tracing import trace_headers

Targets = Mapping[str, tuple[str, httpx.AsyncBaseTransport]]
"""Base address and transport by service name."""
MAX_PAGES = 10


class Refused(Exception):
    """A service said no; ``type`` is the problem's name, ``params`` its extra members."""

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        """``body`` is the problem document, or empty when the service sent none."""
        self.status = status
        self.type = str(body.get("type", "")).rsplit("/", 1)[-1] or "internal"
        self.detail = str(body.get("detail", ""))
        self.errors: list[dict[str, str]] = body.get("errors", []) or []
        self.params = {key: value for key, value in body.items() if key not in _STANDARD}
        self.retry_after = headers.get("retry-after", "")
        super().__init__(self.type)


def is_away(error: Exception) -> bool:
    """Return whether a service could not answer, rather than said no."""
    return isinstance(error, Unavailable) or (isinstance(error, Refused) and error.status >= 500)


_STANDARD = frozenset({"type", "title", "status", "detail", "instance", "errors"})


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer; ``data`` is its JSON, ``etag`` the version to send back with a change."""

    status: int
    data: Any
    etag: str


@dataclass(frozen=True, slots=True)
class Api:
    """Asks services; keeps nothing between two questions, least of all cookies."""

    targets: Targets
    visitor: Visitor | None
    request_id: str
    read_s: float = 5.0

    async def get(self, service: str, path: str, **query: Any) -> Any:
        """Return the JSON of a resource; raises :class:`Refused` or ``Problem``."""
        return (await self.send("GET", service, path, query=query)).data

    async def find(self, service: str, path: str, **query: Any) -> Any | None:
        """Return the JSON, or None when there is nothing (404)."""
        try:
            return await self.get(service, path, **query)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    async def items(self, service: str, path: str, **query: Any) -> list[Any]:
        """Return all items of a list, page by page."""
        found: list[Any] = []
        for _ in range(MAX_PAGES):
            page = await self.get(service, path, **query)
            found += page["items"]
            if not page.get("next"):
                break
            query["cursor"] = page["next"]
        return found

    async def send(
        self,
        method: str,
        service: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        read_s: float | None = None,
    ) -> Answer:
        """Return the answer of any method; ``read_s`` bounds the wait in seconds."""
        base, transport = self.targets[service]
        pairs = {key: str(value) for key, value in (query or {}).items() if value not in (None, "")}
        url = f"{base}{path}?{urlencode(pairs)}" if pairs else f"{base}{path}"
        seconds = read_s or self.read_s
        request = httpx.Request(
            method, url, headers=self._headers() | dict(headers or {}),
            content=None if body is None else json.dumps(body).encode(),
            extensions={"timeout": {"connect": 1.0, "read": seconds}},
        )  # fmt: skip
        if body is not None:
            request.headers["content-type"] = "application/json"
        response = await transport.handle_async_request(request)
        try:
            content = await response.aread()
        finally:
            await response.aclose()
        data = _json(content, response.headers.get("content-type", ""))
        if response.is_success:
            return Answer(response.status_code, data, response.headers.get("etag", ""))
        raise Refused(response.status_code, data if isinstance(data, dict) else {}, response.headers)

    def _headers(self) -> dict[str, str]:
        headers = {"accept": "application/json"} | trace_headers() | {"X-Request-ID": self.request_id}
        if self.visitor is not None and self.visitor.access_token:
            headers["authorization"] = f"Bearer {self.visitor.access_token}"
        return headers


def _json(content: bytes, kind: str) -> Any:
    if not content or "json" not in kind:
        return None
    try:
        return json.loads(content)
    except ValueError:
        return None


def api_of(request: Request) -> Api:
    """Return the client for this request."""
    return Api(request.app.state.targets, request.state.visitor, request.state.request_id)
