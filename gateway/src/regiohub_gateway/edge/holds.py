"""Ten holds per member and hour, whichever way they come: page, script or partner."""

from datetime import timedelta

import httpx

from regiohub_gateway.edge.limits import Limiter, Rule, TooManyHolds
from regiohub_shared.auth.verifier import Verifier
from regiohub_shared.problem import Unauthorized


class HoldLimit(httpx.AsyncBaseTransport):
    """Stands before booking; only holds that booking grants count."""

    def __init__(self, inner: httpx.AsyncBaseTransport, limiter: Limiter, verifier: Verifier, per_hour: int) -> None:
        """``verifier`` checks tokens for booking's audience, so that nobody spends another member's holds."""
        self._inner, self._limiter, self._verifier = inner, limiter, verifier
        self._rule = Rule("hold", per_hour, timedelta(hours=1), TooManyHolds)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass on, or raise :class:`TooManyHolds`."""
        is_hold = request.method == "POST" and request.url.path == "/v1/bookings"
        who = await self._member(request) if is_hold else None
        if who is None:
            return await self._inner.handle_async_request(request)
        taken = await self._limiter.take(self._rule, who)
        granted = False
        try:
            response = await self._inner.handle_async_request(request)
            granted = response.is_success
        finally:
            if not granted:
                await self._limiter.give_back(self._rule, who, taken)
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
