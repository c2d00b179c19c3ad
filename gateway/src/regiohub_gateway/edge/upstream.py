"""The only way to a service: httpx's request types over aiohttp, without a memory for cookies.

An httpx client (and aiohttp's default session) keeps ``Set-Cookie`` and sends it with the next person's request; so no
client stands here, only the transport, with a jar that stores nothing.
"""

import asyncio
from collections import deque
from collections.abc import Callable

import aiohttp
import httpx

from regiohub_gateway.edge.exact import ExactTransport
from regiohub_shared.http.client import IDLE_S
from regiohub_shared.problem import Unavailable

_FAILURES = (httpx.TransportError, TimeoutError)
_BEFORE_SENDING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class UpstreamDown(Unavailable):
    """A service did not answer in time or could not be reached."""

    type, title = "service-unavailable", "This part is not available right now"


class NeverSent(UpstreamDown):
    """The request did not leave us: nothing can have happened."""


class Breaker:
    """Five failures within ten seconds open it for five; then one request tries, and its outcome decides."""

    def __init__(
        self, monotonic: Callable[[], float], *, failures: int = 5, within_s: float = 10, pause_s: float = 5
    ) -> None:
        """``monotonic`` gives seconds."""
        self._now, self._limit, self._within, self._pause = monotonic, failures, within_s, pause_s
        self._failed: deque[float] = deque(maxlen=failures)
        self._open_until = 0.0
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether requests are kept away now."""
        return self._open_until > self._now()

    def admit(self) -> bool:
        """Return whether a request may go; the first one after a pause is the trial."""
        if not self._open_until:
            return True
        if self._now() < self._open_until or self._trying:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        """Close it."""
        self._open_until, self._trying = 0.0, False
        self._failed.clear()

    def failed(self) -> None:
        """Count a failure; open when they come too close."""
        now = self._now()
        self._failed.append(now)
        close_together = len(self._failed) == self._limit and now - self._failed[0] <= self._within
        if self._trying or close_together:
            self._open_until = now + self._pause
        self._trying = False

    def undecided(self) -> None:
        """A request ended before it could tell: the next one tries."""
        self._trying = False


class Upstream(httpx.AsyncBaseTransport):
    """One service behind its breaker and a bound on concurrent requests."""

    def __init__(
        self, base_url: str, *, transport: httpx.AsyncBaseTransport | None = None, concurrent: int = 128
    ) -> None:
        """``transport`` replaces the network in tests."""
        self.base_url = base_url.rstrip("/")
        self._transport = transport or ExactTransport(client=_new_session, verify=True)
        self._slots = asyncio.Semaphore(concurrent)
        self.breaker = Breaker(lambda: asyncio.get_running_loop().time())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer as soon as its head is there; raises :class:`UpstreamDown` or :class:`NeverSent`.

        A safe request that could not connect is tried once more. 503 and 502 do not open the breaker: a service that
        answers is alive.
        """
        if not self.breaker.admit():
            raise NeverSent(retry_after_s=5)
        if self._slots.locked():
            await self._wait_for_slot()
        else:
            await self._slots.acquire()
        try:
            response = await self._send(request)
        except _FAILURES as error:
            self.breaker.failed()
            kind = NeverSent if isinstance(error, _BEFORE_SENDING) else UpstreamDown
            raise kind(retry_after_s=2) from error
        except BaseException:
            self.breaker.undecided()
            raise
        finally:
            self._slots.release()
        self.breaker.succeeded()
        return response

    async def _wait_for_slot(self) -> None:
        try:
            async with asyncio.timeout(1.0):
                await self._slots.acquire()
        except TimeoutError:
            self.breaker.undecided()
            raise NeverSent("too many requests at once", retry_after_s=1) from None

    async def _send(self, request: httpx.Request) -> httpx.Response:
        first_byte_s = request.extensions.get("timeout", {}).get("read", 5.0)
        for last in (request.method not in {"GET", "HEAD"}, True):
            try:
                async with asyncio.timeout(first_byte_s):
                    return await self._transport.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if last:
                    raise
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


def _new_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=256, keepalive_timeout=IDLE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )
