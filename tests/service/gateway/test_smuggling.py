"""Requests that two servers in a row could cut in different places: over real sockets, in front of a service that counts."""

import json

import pytest

from regiohub_gateway.edge.upstream import Upstream
from tests.service.gateway.test_proxy import Serving

POST = b"POST /api/booking/v1/x HTTP/1.1\r\nHost: gateway.test\r\n"
HIDDEN = b"GET /api/booking/v1/hidden HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
CLOSE = b"Connection: close\r\n"


class Counting:
    """The service behind: remembers method, path, headers and body of what it is asked."""

    def __init__(self):
        self.seen = []

    async def __call__(self, scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.seen.append((scope["method"], scope["raw_path"].decode(), dict(scope["headers"]), body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps({"n": len(self.seen)}).encode()})

    @property
    def paths(self):
        return [path for _, path, _, _ in self.seen]


@pytest.fixture
async def wire(house):
    """The service, and the gateway on a port."""
    service = Counting()
    async with Serving(service) as behind:
        url = f"http://127.0.0.1:{behind.port}"
        upstream = Upstream(url)
        house.app._proxy._targets["booking"] = (url, upstream)
        async with Serving(house.app) as gateway:
            yield service, gateway
        await upstream.aclose()


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: identity\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: 60\r\n\r\n",
        b"Content-Length: 4, 4\r\n\r\nabcd",
        b"Content-Length: +4\r\n\r\nabcd",
        b"Content-Length: 0x4\r\n\r\nabcd",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 99999999999999999999999\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0x4\r\nabcd\r\n0\r\n\r\n",
        b"X-Fold: a\r\n Content-Length: 60\r\n\r\n",
        b"X-Bare: a\rContent-Length: 60\r\n\r\n",
        b"X Space: a\r\n\r\n",
        b"X-Nul: a\x00b\r\n\r\n",
        b": empty\r\n\r\n",
    ],
)
async def test_what_could_be_cut_in_two_places_is_refused(wire, head):
    service, gateway = wire
    told = await gateway.raw(POST + head + HIDDEN)

    assert told.startswith(b"HTTP/1.1 400 ")
    assert "/v1/hidden" not in service.paths
    assert told.count(b"HTTP/1.1 ") == 1, "nothing after it is read"


@pytest.mark.parametrize(
    "head",
    [
        b"GET http://evil.example/api/booking/v1/x HTTP/1.1\r\nHost: evil.example\r\n",
        b"GET /api/booking/v1/x HTTP/1.1\r\nHost: gateway.test\r\nHost: evil.example\r\n",
        b"GET /api/booking/v1/x HTTP/1.1\r\nHost: gateway.test, evil.example\r\n",
        b"GET /api/booking/v1/x HTTP/1.1\r\n",
        b"CONNECT gateway.test:443 HTTP/1.1\r\nHost: gateway.test\r\n",
        b"TRACE /api/booking/v1/x HTTP/1.1\r\nHost: gateway.test\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: gateway.test\r\n",
        b"GET ../internal HTTP/1.1\r\nHost: gateway.test\r\n",
        b"PRI * HTTP/2.0\r\n",
    ],
)
async def test_targets_and_methods_that_are_not_ours_end_here(wire, head):
    service, gateway = wire
    told = await gateway.raw(head + CLOSE + b"\r\n")

    assert int(told.split(b" ")[1]) in {400, 404, 405, 421}
    assert service.seen == []


async def test_an_absolute_target_is_read_as_its_path_and_by_our_name_only(wire):
    service, gateway = wire
    await gateway.raw(b"GET http://gateway.test/api/booking/v1/x HTTP/1.1\r\nHost: gateway.test\r\n" + CLOSE + b"\r\n")

    assert service.paths in ([], ["/v1/x"])


async def test_a_body_is_a_body_however_it_looks(wire):
    service, gateway = wire
    length = str(len(HIDDEN)).encode()
    await gateway.raw(POST + CLOSE + b"Content-Length: " + length + b"\r\n\r\n" + HIDDEN)
    chunk = format(len(HIDDEN), "x").encode() + b";ext=1\r\n" + HIDDEN + b"\r\n0\r\nX-Trailer: 1\r\n\r\n"
    await gateway.raw(POST + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)

    assert [(path, body) for _, path, _, body in service.seen] == [("/v1/x", HIDDEN)] * 2
    for _, _, headers, body in service.seen:
        assert headers[b"content-length"] == str(len(body)).encode()
        assert b"transfer-encoding" not in headers
        assert b"x-trailer" not in headers


async def test_a_request_without_its_body_takes_nothing_of_the_next(wire):
    service, gateway = wire
    told = await gateway.raw(b"GET /api/booking/v1/first HTTP/1.1\r\nHost: gateway.test\r\n\r\n" + HIDDEN)

    assert sorted(service.paths) == ["/v1/first", "/v1/hidden"]
    assert told.count(b"HTTP/1.1 200") == 2


async def test_connection_cannot_take_the_authorization_off(wire):
    """A hop that drops what ``Connection`` names would make a member's request an anonymous one, or ours another's."""
    service, gateway = wire
    for name in (b"Authorization", b"X-Request-Id", b"X-Forwarded-For", b"Content-Length"):
        await gateway.raw(
            POST + b"Authorization: Bearer x\r\nConnection: close, " + name + b"\r\nContent-Length: 2\r\n\r\nhi"
        )

    for _, _, headers, body in service.seen:
        assert headers[b"authorization"] == b"Bearer x"
        assert headers[b"x-forwarded-for"] == b"127.0.0.1"
        assert b"x-request-id" in headers
        assert body == b"hi"
    assert len(service.seen) == 4


async def test_no_upgrade_leads_past_the_gateway(wire):
    service, gateway = wire
    for kind in (b"h2c", b"websocket", b"TLS/1.0"):
        head = b"GET /api/booking/v1/x HTTP/1.1\r\nHost: gateway.test\r\nConnection: close, Upgrade, HTTP2-Settings\r\n"
        told = await gateway.raw(head + b"HTTP2-Settings: AAMAAABkAAQAAP__\r\nUpgrade: " + kind + b"\r\n\r\n")
        assert b" 101 " not in told
    assert all(b"upgrade" not in headers and b"http2-settings" not in headers for _, _, headers, _ in service.seen)
