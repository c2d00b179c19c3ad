"""The talk with access: events up; keys, deny-list and PINs down. Runs beside the door and never in its way."""

import asyncio
import logging
import random
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from regiohub_access.reader.clock import Clock
from regiohub_access.reader.commands import Waiting
from regiohub_access.reader.settings import Settings
from regiohub_access.reader.state import SyncRefused, synced
from regiohub_access.reader.store import Store
from regiohub_access.reader.wire import COMMANDS_VERSION, SyncRequest, SyncResponse, WireError

BATCH = 200
"""Events per request."""
SHORTEST_ROUND_S = 1.0
LONGEST_BACKOFF_S = 15.0
_TIMEOUT_S = 10.0
_TOKEN_MARGIN = timedelta(seconds=30)
_MAX_ANSWER = 4_000_000

log = logging.getLogger("regiohub.reader")


class SyncFailed(Exception):
    """Access or Keycloak cannot be reached or does not agree; the text holds no secrets."""


class Syncer:
    """Keeps `store` up to date; `wake` is set by whoever records an event."""

    def __init__(self, settings: Settings, store: Store, client: httpx.AsyncClient, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._client = client
        self._clock = clock
        self._token: str | None = None
        self._token_until = datetime.min.replace(tzinfo=UTC)
        self._pins_told: tuple[str, ...] | None = None
        self.commands = Waiting(store, clock)
        self.wake = asyncio.Event()
        self.last_error: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Sync until stopped: at once for news from here, waiting for news from there, backing off on errors."""
        failures = 0
        while not stop.is_set():
            started = self._clock().real
            self.wake.clear()
            told = self._told()
            failed = await self._try(self._wait_s(), stop)
            failures = failures + 1 if failed else 0
            if failures:
                await _pause(random.uniform(0.5, 1) * min(2.0**failures, LONGEST_BACKOFF_S), stop)  # noqa: S311 - jitter, not a secret
            elif told == self._told() and not self.wake.is_set():
                left = SHORTEST_ROUND_S - (self._clock().real - started).total_seconds()
                await _pause(left, stop, self.wake)

    async def once(self, wait_s: int = 0) -> None:
        """One exchange; raises `SyncFailed` or `SyncRefused`, after which the state is as before."""
        store = self._store
        self.commands.expire()
        pins = store.state.pins_stored()
        request = SyncRequest(
            chain=store.chain,
            events=store.pending(BATCH),
            acked_seq=store.acked_seq,
            have=store.state.have(),
            pins_stored=pins,
            wait_s=wait_s,
            commands_version=COMMANDS_VERSION,
        )
        response = await self._exchange(request)
        # Access was restored from a backup: what it has lost of our events, it gets again.
        begins_anew = 0 < store.state.epoch < response.epoch
        state = synced(store.state, response, self._clock())
        store.save(state, acked_seq=_acked(request, response), goes_back=begins_anew)
        self._pins_told = pins
        self.commands.arrive(response.commands.items, response.server_time)
        self.last_error = None

    def _told(self) -> tuple[int, tuple[str, ...] | None]:
        return self._store.acked_seq, self._pins_told

    def _wait_s(self) -> int:
        # Whoever has something to tell does not wait: access may store it only when it answers.
        untold = self._pins_told != self._store.state.pins_stored()
        # Nor does one with commands: when they lapse, access shall hear of it.
        return 0 if untold or self.commands or self._store.pending_count() else self._settings.wait_s

    def _remember_time(self) -> None:
        """Each round, also without the line: a clock that a power cut sets back must not open what is over."""
        try:
            self._store.tick(self._clock())
        except sqlite3.Error:
            log.exception("the time could not be stored")

    async def _try(self, wait_s: int, stop: asyncio.Event) -> bool:
        exchange = asyncio.ensure_future(self.once(wait_s))
        interrupts = [stop] if wait_s == 0 else [stop, self.wake]
        await _first(exchange, interrupts)
        self._remember_time()
        if not exchange.done():  # safe: an exchange changes nothing before its answer is complete
            exchange.cancel()
        try:
            await exchange
        except asyncio.CancelledError:
            return False
        except (SyncFailed, SyncRefused) as error:
            if self.last_error != str(error):
                log.warning("sync failed: %s", error)
            self.last_error = str(error)
            return True
        except Exception:  # the doors must go on working, whatever the sync meets
            log.exception("sync broke")
            self.last_error = "the reader failed"
            return True
        return False

    async def _exchange(self, request: SyncRequest) -> SyncResponse:
        response = await self._post(request)
        if response.status_code == 401:  # the token may have been revoked before its time
            self._token = None
            response = await self._post(request)
        if response.status_code != 200:
            raise SyncFailed(f"access answered {response.status_code}")
        try:
            return SyncResponse.from_json(_json(response))
        except (WireError, ValueError) as error:
            raise SyncFailed(f"access sent what this reader cannot read: {error}") from error

    async def _post(self, request: SyncRequest) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await self._bearer()}"}
        timeout = httpx.Timeout(_TIMEOUT_S, read=_TIMEOUT_S + request.wait_s)
        try:
            return await self._client.post(
                self._settings.sync_url, json=request.to_json(), headers=headers, timeout=timeout
            )
        except httpx.HTTPError as error:
            raise SyncFailed(f"access is unreachable ({type(error).__name__})") from error

    async def _bearer(self) -> str:
        real = self._clock().real
        if self._token is None or real >= self._token_until:
            self._token, lifetime = await self._fetch_token()
            self._token_until = real + max(lifetime - _TOKEN_MARGIN, timedelta())
        return self._token

    async def _fetch_token(self) -> tuple[str, timedelta]:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret,
        }
        try:
            response = await self._client.post(self._settings.token_url, data=form, timeout=_TIMEOUT_S)
        except httpx.HTTPError as error:
            raise SyncFailed(f"the token server is unreachable ({type(error).__name__})") from error
        if response.status_code != 200:
            raise SyncFailed(f"the token server answered {response.status_code}")
        try:
            answer = _json(response)
            return str(answer["access_token"]), timedelta(seconds=float(answer.get("expires_in", 60)))
        except (KeyError, TypeError, ValueError) as error:
            raise SyncFailed("the token server sent no token") from error


def _acked(request: SyncRequest, response: SyncResponse) -> int:
    highest = request.events[-1].seq if request.events else request.acked_seq
    return min(response.events_acked, highest)


def _json(response: httpx.Response) -> Any:
    if len(response.content) > _MAX_ANSWER:
        raise ValueError("too large")
    return response.json()


async def _first(task: "asyncio.Future[None]", events: list[asyncio.Event]) -> None:
    waiters = [asyncio.ensure_future(event.wait()) for event in events]
    awaited: list[asyncio.Future[Any]] = [task, *waiters]
    try:
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()


async def _pause(seconds: float, *events: asyncio.Event) -> None:
    if seconds <= 0:
        return
    waiters = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiters, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
