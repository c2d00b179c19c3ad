"""The reader's local HTTP, as this page uses it."""

from dataclasses import dataclass, field
from typing import Any

import httpx

Json = dict[str, Any]


class ReaderAway(Exception):
    """The reader does not answer; a real door would stay shut."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the reader decided: ``decision`` is ``allowed`` or ``denied``; ``at`` is RFC 3339."""

    door: int
    decision: str
    reason: str
    at: str


@dataclass(frozen=True, slots=True)
class Status:
    """What the reader says of itself; ``log`` holds its last events, newest first."""

    doors: dict[int, str] = field(default_factory=dict)
    last_sync_at: str | None = None
    last_error: str | None = None
    is_clock_off: bool = False
    events_pending: int = 0
    pins: int = 0
    log: list[Json] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reader:
    """The reader behind ``http``."""

    http: httpx.AsyncClient

    async def present(self, door: int, **shown: str) -> Decision:
        """Show ``presentation="RH1:…"`` or ``pin="…"`` at a door; raises ReaderAway."""
        body = await self._call("POST", "/present", json={"door": door} | shown)
        try:
            return Decision(int(body["door"]), str(body["decision"]), str(body["reason"]), str(body["at"]))
        except (KeyError, ValueError) as error:
            raise ReaderAway(str(body.get("error", "no decision"))) from error

    async def take(self, door: int) -> bool:
        """Ask whether an operator wants this door open now, as the lock beside it does; raises ReaderAway."""
        return bool((await self._call("POST", "/take", json={"door": door})).get("opened"))

    async def status(self) -> Status:
        """Return the reader's state; raises ReaderAway."""
        body = await self._call("GET", "/status")
        return Status(
            doors={int(door["number"]): str(door["name"]) for door in body.get("doors", [])},
            last_sync_at=body.get("last_sync_at"),
            last_error=body.get("last_error"),
            is_clock_off=bool(body.get("is_clock_off")),
            events_pending=int(body.get("events_pending", 0)),
            pins=len(body.get("pins_stored", [])),
            log=list(body.get("log", [])),
        )

    async def _call(self, method: str, path: str, json: Json | None = None) -> Json:
        try:
            body = (await self.http.request(method, path, json=json)).json()
        except (httpx.HTTPError, ValueError) as error:
            raise ReaderAway(type(error).__name__) from error
        if not isinstance(body, dict):
            raise ReaderAway("not an object")
        return body
