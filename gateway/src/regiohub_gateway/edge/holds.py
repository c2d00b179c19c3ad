"""Ten holds per member and hour, whichever way they come: page, script or partner."""

import hashlib
from datetime import timedelta

import httpx

from regiohub_gateway.edge.limits import Limiter, Rule, TooManyHolds
from regiohub_gateway.edge.upstream import NeverSent
from regiohub_shared.auth.verifier import Verifier
from regiohub_shared.problem import Unauthorized

_HOUR = timedelta(hours=1)
_REPEATS = Rule("hold-key", 100, _HOUR)
"""Marks the idempotency keys whose hold was counted; booking makes one hold per key at most."""


class HoldLimit(httpx.AsyncBaseTransport):
    """Stands before booking. A hold counts unless booking refused it or never heard of it.

    Who leaves before the answer, or meets a time-out, may have got a hold: it counts. A repeat under the same
    idempotency key is the same hold and counts no second time.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, limiter: Limiter, verifier: Verifier, per_hour: int) -> None:
        """``verifier`` checks tokens for booking's audience, so that nobody spends another member's holds."""
        self._inner, self._limiter, self._verifier = inner, limiter, verifier
        self._rule = Rule("hold", per_hour, _HOUR, TooManyHolds)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass on, or raise :class:`TooManyHolds`."""
        is_hold = request.method == "POST" and request.url.path == "/v1/bookings"
        who = await self._member(request) if is_hold else None
        if who is None:
            return await self._inner.handle_async_request(request)
        key = _key_of(request, who)
        if key and await self._limiter.has(_REPEATS, key):
            return await self._inner.handle_async_request(request)
        return await self._counted(request, who, key)

    async def _counted(self, request: httpx.Request, who: str, key: str) -> httpx.Response:
        taken = await self._limiter.take(self._rule, who)
        refused = False
        try:
            response = await self._inner.handle_async_request(request)
            refused = not response.is_success
        except NeverSent:
            refused = True
            raise
        finally:
            if refused:
                await self._limiter.give_back(self._rule, who, taken)
            elif key:
                await self._limiter.take(_REPEATS, key)
        return response

    async def _member(self, request: httpx.Request) -> str | None:
        """Return the member's subject; None lets booking itself refuse the token."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            return (await self._verifier.verify(token)).sub if scheme.lower() == "bearer" else None
        except Unauthorized:
            return None

    async def aclose(self) -> None:
        """Close the connections behind."""
        await self._inner.aclose()


def _key_of(request: httpx.Request, who: str) -> str:
    """Return the member's idempotency key as it stands in our table, empty without one."""
    given = request.headers.get("idempotency-key", "")
    return f"{who}:{hashlib.sha256(given.encode()).hexdigest()}" if given else ""
