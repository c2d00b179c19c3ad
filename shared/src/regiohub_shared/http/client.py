"""HTTP clients that pass the request id and the trace on, with every timeout explicit."""

import httpx

from regiohub_shared.tracing import trace_headers

IDLE_S = 2.0
"""How long unused connections are kept: well below our servers' ``KEEP_ALIVE_S``, so that none is closed as we write on it."""
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=IDLE_S)


async def _pass_on(request: httpx.Request) -> None:
    for header, value in trace_headers().items():
        request.headers.setdefault(header, value)


def make_client(
    base_url: str = "",
    *,
    timeout_s: float = 5.0,
    auth: httpx.Auth | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """Return a client; share it, one per neighbour. ``transport`` is the seam for tests."""
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 2.0)),
        limits=_LIMITS,
        auth=auth,
        transport=transport,
        trust_env=False,
        event_hooks={"request": [_pass_on]},
    )
