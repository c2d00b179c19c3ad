"""httpx's request types over aiohttp, with the request target byte for byte.

httpx and aiohttp both rewrite addresses (``%61`` becomes ``a``, ``%zz`` becomes ``%25zz``): what we checked would not be
what a service reads. Where a request names its ``target`` (httpx's own extension for that), it goes out as it is.
"""

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream, map_aiohttp_exceptions
from yarl import URL


class ExactTransport(AiohttpTransport):
    """Sends to one address after the other, follows nothing, repairs nothing."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer as soon as its head is there."""
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = self.get_client()
        timeout = request.extensions.get("timeout", {})
        with map_aiohttp_exceptions():
            response = await self.client.request(
                request.method,
                _exact(request),
                headers=request.headers,
                data=await request.aread() or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(sock_connect=timeout.get("connect"), sock_read=timeout.get("read")),
            )
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=AiohttpResponseStream(response), request=request
        )


def _exact(request: httpx.Request) -> URL:
    target: bytes = request.extensions.get("target", request.url.raw_path)
    origin = f"{request.url.scheme}://{request.url.netloc.decode('ascii')}"
    return URL(origin + target.decode("ascii"), encoded=True)
