"""The proxy: what passes, what does not, and that nothing of one person reaches the next."""

import asyncio
import json
import re
import socket
from contextlib import suppress
from datetime import timedelta

import httpx
import pytest
import uvicorn

from regiohub_gateway.edge.upstream import NeverSent, Upstream
from regiohub_shared.clock import real_now
from regiohub_shared.log import configure_logging
from regiohub_shared.web.server import BoundedHttp
from tests.service.gateway.fakes import ORIGIN, Browser, refusal
from tests.support.tokens import bearer

BOOK = {"lines": []}


async def test_a_session_becomes_a_token_and_nothing_else(house):
    browser = house.browser()
    await browser.login()

    answer = await browser.get("/api/booking/v1/hubs", headers={"x-forwarded-for": "6.6.6.6", "x-user-id": "root"})

    assert answer.status_code == 200
    seen = house.booking.last("GET", "/v1/hubs")
    assert seen.headers["authorization"].startswith("Bearer eyJ")
    assert "cookie" not in seen.headers
    assert "x-user-id" not in seen.headers
    assert seen.headers["x-forwarded-for"] == "127.0.0.1"
    assert seen.headers["x-request-id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/api/booking/v1/hubs", "/"])
async def test_a_trace_goes_through_the_gateway_and_begins_there(house, path):
    """Through the proxy and from a page alike; what is no trace is replaced, and a state without its trace is not kept."""
    given, browser = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01", house.browser()

    await browser.get(path, headers={"traceparent": given, "tracestate": "a=b", "baggage": "user=root"})
    kept = house.booking.last("GET", "/v1/hubs").headers
    await browser.get(path, headers={"traceparent": "nonsense"})
    made = house.booking.last("GET", "/v1/hubs").headers["traceparent"]

    assert kept["traceparent"] == given
    assert not {"tracestate", "baggage"} & kept.keys()
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", made)
    assert made[3:35] != given[3:35]


async def test_the_gateway_logs_the_trace_that_it_sends_on(house, capsys):
    configure_logging("gateway")
    await house.browser().get("/api/booking/v1/hubs")

    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"proxied"' in line]
    sent = house.booking.last("GET", "/v1/hubs").headers
    assert (line["trace_id"], line["request_id"]) == (sent["traceparent"][3:35], sent["x-request-id"])


async def test_public_reading_needs_no_session(house):
    answer = await house.browser().get("/api/booking/v1/hubs?a=b%2Bc")

    assert answer.json()["items"][0]["slug"] == "bendorf"
    seen = house.booking.last("GET", "/v1/hubs")
    assert "authorization" not in seen.headers
    assert seen.url.query == b"a=b%2Bc"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_a_bearer_token_passes_through_without_origin_or_header(house):
    house.access.routes["POST /v1/readers/reader-polch/sync"] = {"ok": True}
    token = bearer("svc", "lock-device", azp="reader-polch")

    answer = await house.browser().send(
        "POST", "/api/access/v1/readers/reader-polch/sync", json={"a": 1}, headers=token
    )

    assert answer.status_code == 200
    assert house.access.seen[-1].headers["authorization"] == token["Authorization"]
    assert json.loads(house.access.seen[-1].content) == {"a": 1}


async def test_cookie_and_bearer_together_are_refused(house):
    browser = house.browser()
    await browser.login()

    answer = await browser.get("/api/booking/v1/hubs", headers=bearer("mallory", "member"))

    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/two-credentials"
    assert not house.booking.seen


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": ORIGIN, "x-requested-with": "RegioHub"}, 201),
        ({"sec-fetch-site": "same-origin", "x-requested-with": "RegioHub"}, 201),
        ({"origin": ORIGIN}, 403),
        ({"origin": "https://evil.example", "x-requested-with": "RegioHub"}, 403),
        ({"origin": "null", "x-requested-with": "RegioHub"}, 403),
        ({"x-requested-with": "RegioHub"}, 403),
    ],
)
async def test_a_cookie_may_change_things_only_from_our_own_pages(house, headers, status):
    browser = house.browser()
    await browser.login()

    answer = await browser.send("POST", "/api/booking/v1/bookings", json=BOOK, headers=headers)

    assert answer.status_code == status
    assert bool(house.booking.seen) == (status == 201)


async def test_a_dead_session_is_refused_for_changes_and_ignored_for_reading(house):
    browser = house.browser()
    browser.cookies["__Host-rh"] = "gone"

    assert (await browser.api("POST", "/api/booking/v1/bookings", json=BOOK)).status_code == 401
    assert (await browser.get("/api/booking/v1/hubs")).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/booking/internal/events", "/api/booking/metrics", "/api/booking/healthz", "/api/booking/readyz",
        "/api/booking/v1x", "/api/unknown/v1/hubs",
    ],
)  # fmt: skip
async def test_there_is_no_way_to_internal_pages(house, path):
    assert (await house.browser().get(path)).status_code == 404
    assert not house.booking.seen


async def test_the_gateways_own_description_and_internal_paths_are_hidden(house):
    for path in ("/internal/events", "/docs", "/openapi.json", "/en/internal/x"):
        assert (await house.browser().get(path)).status_code == 404


async def test_problems_of_a_service_pass_unchanged(house):
    house.booking.routes["GET /v1/hubs"] = refusal(409, "slot-taken", alternatives=[{"start": "x"}])

    answer = await house.browser().get("/api/booking/v1/hubs")

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["alternatives"] == [{"start": "x"}]


async def test_a_dead_service_is_a_problem_with_retry_after_and_opens_the_breaker(house):
    house.booking.routes["GET /v1/hubs"] = httpx.ConnectError("down")
    browser = house.browser()
    for _ in range(6):
        answer = await browser.get("/api/booking/v1/hubs")
        assert answer.status_code == 503
        assert answer.json()["type"] == "/problems/service-unavailable"
        assert int(answer.headers["retry-after"]) >= 1

    # Five tries, each once more; the sixth is stopped by the breaker. Other services go on.
    assert len(house.booking.seen) == 10
    house.access.routes["GET /v1/grants"] = {"items": []}
    assert (await browser.get("/api/access/v1/grants")).status_code == 200
    ready = await browser.get("/readyz", headers={"host": "127.0.0.1:8080"})
    assert ready.status_code == 200
    assert ready.json()["degraded"] == {"services_paused": ["booking"]}
    assert (
        'proxied_requests_total{service="booking",status="503"} 6.0'
        in (await browser.get("/metrics", headers={"host": "127.0.0.1:8080"})).text
    )


async def test_bodies_over_a_mebibyte_never_reach_a_service(house):
    token = bearer("alice", "member")
    browser = house.browser()

    async def stream():
        for _ in range(20):
            yield b"x" * 65536

    announced = await browser.send("POST", "/api/booking/v1/bookings", content=b"x" * (1024 * 1024 + 1), headers=token)
    streamed = await browser.send("POST", "/api/booking/v1/bookings", content=stream(), headers=token)

    assert (announced.status_code, streamed.status_code) == (413, 413)
    assert not house.booking.seen


async def test_the_webhook_passes_raw_and_without_a_session(house):
    house.billing.routes["POST /v1/webhooks/stripe"] = {"received": True}
    browser = house.browser()
    await browser.login()
    body = b'{"id": "evt_1",  "odd":"spacing"}'

    answer = await browser.send(
        "POST", "/api/billing/v1/webhooks/stripe", content=body, headers={"stripe-signature": "t=1"}
    )

    assert answer.status_code == 200
    seen = house.billing.seen[-1]
    assert seen.content == body
    assert seen.headers["stripe-signature"] == "t=1"
    assert "authorization" not in seen.headers


async def test_ten_holds_an_hour_by_any_way_then_429(house):
    browser = house.browser()
    await browser.login()
    for _ in range(5):
        assert (await browser.api("POST", "/api/booking/v1/bookings", json=BOOK)).status_code == 201
    for _ in range(5):
        answer = await house.browser().send(
            "POST", "/api/booking/v1/bookings", json=BOOK, headers=bearer("alice", "member")
        )
        assert answer.status_code == 201

    for replica in (house, house.restarted()):
        refused = await replica.browser().send(
            "POST", "/api/booking/v1/bookings", json=BOOK, headers=bearer("alice", "member")
        )
        assert refused.status_code == 429
        assert refused.json()["type"] == "/problems/too-many-holds"
        assert 3000 < int(refused.headers["retry-after"]) <= 3601
    other = await house.browser().send("POST", "/api/booking/v1/bookings", json=BOOK, headers=bearer("bob", "member"))
    assert other.status_code == 201


async def test_the_hour_slides(house):
    for _ in range(10):
        await house.browser().send("POST", "/api/booking/v1/bookings", json=BOOK, headers=bearer("alice", "member"))
    pool = await house.db.pool()
    await pool.execute("UPDATE rate_limit SET hits[1] = $1", real_now() - timedelta(minutes=61))

    answers = [
        await house.browser().send("POST", "/api/booking/v1/bookings", json=BOOK, headers=bearer("alice", "member"))
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [201, 429]


async def test_holds_that_were_not_granted_do_not_count_and_forged_tokens_count_for_nobody(house):
    house.booking.routes["POST /v1/bookings"] = refusal(409, "slot-taken")
    for _ in range(12):
        await house.browser().send("POST", "/api/booking/v1/bookings", json=BOOK, headers=bearer("alice", "member"))
    house.booking.routes["POST /v1/bookings"] = httpx.Response(201, json={})
    forged = bearer("alice", "member")["Authorization"][:-6] + "AAAAAA"
    for _ in range(12):
        await house.browser().send("POST", "/api/booking/v1/bookings", json=BOOK, headers={"Authorization": forged})

    answer = await house.browser().send(
        "POST", "/api/booking/v1/bookings", json=BOOK, headers=bearer("alice", "member")
    )
    assert answer.status_code == 201


async def hold(house, key="", who="alice"):
    headers = bearer(who, "member") | ({"idempotency-key": key} if key else {})
    return await house.browser().send("POST", "/api/booking/v1/bookings", json=BOOK, headers=headers)


async def counted(house):
    pool = await house.db.pool()
    return await pool.fetchval("SELECT coalesce(cardinality(hits), 0) FROM rate_limit WHERE bucket = 'hold:alice'") or 0


async def test_a_hold_whose_answer_nobody_saw_counts(house):
    house.booking.routes["POST /v1/bookings"] = httpx.ReadTimeout("late")
    assert (await hold(house)).status_code == 503
    assert await counted(house) == 1

    house.booking.routes["POST /v1/bookings"] = httpx.RemoteProtocolError("cut")
    assert (await hold(house)).status_code == 503
    assert await counted(house) == 2


async def test_a_hold_that_booking_never_heard_of_does_not_count(house):
    house.booking.routes["POST /v1/bookings"] = httpx.ConnectError("down")
    for _ in range(12):  # the breaker opens meanwhile
        assert (await hold(house)).status_code == 503
    assert await counted(house) == 0


async def test_who_leaves_before_the_answer_spends_a_hold_all_the_same(house):
    """Else somebody holds every room by cutting each request."""
    reached = asyncio.Event()

    async def booking(_request):
        reached.set()
        await asyncio.sleep(30)

    limit = house.app._proxy._targets["booking"][1]
    limit._inner = Upstream("http://x", transport=httpx.MockTransport(booking))
    body = [{"type": "http.request", "body": b"{}", "more_body": False}]

    async def receive():
        if body:
            return body.pop()
        await reached.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        raise AssertionError(message)

    path = "/api/booking/v1/bookings"
    token = bearer("alice", "member")["Authorization"].encode()
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(b"host", b"gateway.test"), (b"authorization", token), (b"content-length", b"2")],
        "client": ("127.0.0.1", 1), "scheme": "http", "http_version": "1.1",
    }  # fmt: skip
    for number in range(1, 11):
        body[:] = [{"type": "http.request", "body": b"{}", "more_body": False}]
        reached.clear()
        await house.app(scope, receive, send)
        assert await counted(house) == number
    limit._inner = house.booking
    assert (await hold(house)).status_code == 429


async def test_a_repeat_under_the_same_key_is_the_same_hold(house):
    for _ in range(12):
        assert (await hold(house, "key-1")).status_code == 201
    assert await counted(house) == 1
    house.booking.routes["POST /v1/bookings"] = httpx.ReadTimeout("late")
    assert (await hold(house, "key-2")).status_code == 503
    house.booking.routes["POST /v1/bookings"] = httpx.Response(201, json={})
    assert (await hold(house, "key-2")).status_code == 201
    assert await counted(house) == 2


async def test_a_key_whose_hold_was_refused_is_no_way_around_the_limit(house):
    house.booking.routes["POST /v1/bookings"] = refusal(409, "slot-taken")
    for number in range(12):
        await hold(house, f"key-{number}")
    house.booking.routes["POST /v1/bookings"] = httpx.Response(201, json={})

    assert [(await hold(house, f"key-{number}")).status_code for number in range(12)] == [201] * 10 + [429] * 2


async def test_keys_of_another_member_are_no_way_around_the_limit(house):
    for number in range(10):
        assert (await hold(house, f"key-{number}")).status_code == 201

    answers = [await hold(house, f"key-{number}", "bob") for number in range(11)]

    assert [answer.status_code for answer in answers] == [201] * 10 + [429]


async def test_parallel_holds_do_not_pass_the_limit(house):
    token = bearer("alice", "member")
    answers = await asyncio.gather(
        *(house.browser().send("POST", "/api/booking/v1/bookings", json=BOOK, headers=token) for _ in range(25))
    )

    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [429] * 15


async def test_requests_are_limited_per_address(house):
    strict = house.restarted(requests_per_minute=40)
    browser = strict.browser()
    codes = [(await browser.get("/api/booking/v1/hubs")).status_code for _ in range(45)]

    assert codes == [200] * 40 + [429] * 5
    assert (await browser.get("/static/app.css")).status_code == 200


async def test_parallel_requests_of_one_address_have_the_whole_limit_and_no_more(house):
    strict = house.restarted(requests_per_minute=40)
    answers = await asyncio.gather(*(strict.browser().get("/api/booking/v1/hubs") for _ in range(45)))

    assert sorted(answer.status_code for answer in answers) == [200] * 40 + [429] * 5


async def test_more_requests_than_a_service_shall_bear_at_once_wait_and_are_then_told_to_come_again():
    free = asyncio.Event()

    async def handler(_request: httpx.Request) -> httpx.Response:
        await free.wait()
        return httpx.Response(200)

    upstream = Upstream("http://x", transport=httpx.MockTransport(handler), concurrent=1)
    first = asyncio.create_task(upstream.handle_async_request(httpx.Request("GET", "http://x/")))
    await asyncio.sleep(0)
    with pytest.raises(NeverSent, match="too many requests at once"):
        await upstream.handle_async_request(httpx.Request("GET", "http://x/"))
    waiting = asyncio.create_task(upstream.handle_async_request(httpx.Request("GET", "http://x/")))
    await asyncio.sleep(0)
    free.set()

    assert [(await task).status_code for task in (first, waiting)] == [200, 200]


async def test_who_leaves_stops_the_work(house):
    stopped = asyncio.Event()

    async def handler(_request: httpx.Request) -> httpx.Response:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            stopped.set()
            raise
        raise AssertionError

    proxy = house.app._proxy
    proxy._targets["booking"] = ("http://x", Upstream("http://x", transport=httpx.MockTransport(handler)))
    messages = [{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]

    async def receive():
        await asyncio.sleep(0.05)
        return messages.pop(0) if messages else await asyncio.sleep(60)

    async def send(message):
        raise AssertionError(message)

    scope = {
        "type": "http", "method": "GET", "path": "/api/booking/v1/hubs", "raw_path": b"/api/booking/v1/hubs",
        "query_string": b"", "headers": [(b"host", b"gateway.test")], "client": ("127.0.0.1", 1), "scheme": "http", "http_version": "1.1",
    }  # fmt: skip
    await house.app(scope, receive, send)

    assert stopped.is_set()


# ---------------------------------------------------------------- over real sockets


class Serving:
    """An ASGI app on a real port of this machine."""

    def __init__(self, app):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        config = uvicorn.Config(
            app, http=BoundedHttp, lifespan="off", log_level="critical", access_log=False, proxy_headers=False
        )
        self.server = uvicorn.Server(config)

    async def __aenter__(self):
        self.task = asyncio.create_task(self.server.serve(sockets=[self.socket]))
        while not self.server.started:
            await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, *_):
        self.server.should_exit = True
        await self.task
        self.socket.close()

    async def raw(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        await writer.drain()
        answer = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(3):
                while part := await reader.read(65536):
                    answer += part
        writer.close()
        return answer


async def service_that_sets_cookies(scope, receive, send):
    """Sets a cookie for whoever calls and tells which cookies and path came."""
    message = await receive()
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    told = {"headers": headers, "path": scope["raw_path"].decode(), "query": scope["query_string"].decode()}
    body = json.dumps(told | {"body": message.get("body", b"").decode()}).encode()
    secret = headers.get("authorization", "nobody").encode()[-12:]
    await send({
        "type": "http.response.start", "status": 200,
        "headers": [(b"content-type", b"application/json"), (b"set-cookie", b"upstream=" + secret + b"; Path=/")],
    })  # fmt: skip
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def over_sockets(house):
    async with Serving(service_that_sets_cookies) as service:
        url = f"http://127.0.0.1:{service.port}"
        upstream = Upstream(url)
        house.app._proxy._targets["booking"] = (url, upstream)
        async with Serving(house.app) as gateway:
            yield house, gateway
        await upstream.aclose()


async def test_one_persons_upstream_cookie_never_reaches_the_next(over_sockets):
    house, gateway = over_sockets
    people = {}
    for name in ("alice", "bob"):
        people[name] = Browser(house.app, house.keycloak)
        await people[name].login(name)

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}") as http:
        for name in ("alice", "bob", "nobody", "bob", "alice") * 3:
            cookies = people[name].cookies if name in people else {}
            header = {"host": "gateway.test"}
            if cookies:
                header["cookie"] = "; ".join(f"{key}={value}" for key, value in cookies.items())
            http.cookies.clear()
            answer = await http.get("/api/booking/v1/hubs", headers=header)
            assert "set-cookie" not in answer.headers
            assert "cookie" not in answer.json()["headers"]


async def test_paths_and_queries_arrive_byte_for_byte_or_not_at_all(over_sockets):
    _, gateway = over_sockets
    good = b"/api/booking/v1/a~b/%20c?start=2026-11-25T09:00:00%2B01:00&x=a+b%2Fc"
    told = await gateway.raw(b"GET " + good + b" HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n")

    assert b'"path": "/v1/a~b/%20c"' in told
    assert b'"query": "start=2026-11-25T09:00:00%2B01:00&x=a+b%2Fc"' in told
    for bad in (
        b"/v1/x?a=%zz",
        b"/v1/x?a=%4",
        b"/v1/../internal/x",
        b"/v1/%2e%2e/internal/x",
        b"/v1/a%2fb",
        b"//v1/x",
        b"/v1/a\\b",
        b"/v1/./x",
        b"/v1/%c3%bc",
    ):
        answer = await gateway.raw(
            b"GET /api/booking" + bad + b" HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 400"), bad


@pytest.mark.parametrize(
    "target",
    [
        "/v1/a%3Bb;c%27'",
        "/v1/%3a:%40@",
        "/v1/x?%61=%41",
        "/v1/x?a='%27&b=%2b+%20&c[]={}|^`",
        "/v1/x?%c3%bc=%C3%BC&",
        "/v1/x?a=b?c=/../%2F%00",
    ],
)
async def test_what_was_checked_is_what_the_service_reads(over_sockets, target):
    """Through the real transport, as raw ASGI hears it."""
    _, gateway = over_sockets
    told = await gateway.raw(
        f"GET /api/booking{target} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n".encode()
    )
    heard = json.loads(told[told.index(b"{") : told.rindex(b"}") + 1])

    path, _, query = target.partition("?")
    assert (heard["path"], heard["query"]) == (path, query)


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /api/booking/v1/x HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/booking/v1/x HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"GET /api/booking/v1/x HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\nConnection: close\r\n\r\n",
        b"GET /api/booking/v1/x HTTP/1.1\r\nHost: gateway.test\r\n" + b"X-A: b\r\n" * 70 + b"Connection: close\r\n\r\n",
    ],
)
async def test_smuggled_requests_are_refused(over_sockets, request_):
    _, gateway = over_sockets

    answer = await gateway.raw(request_)

    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("path", [b"/", b"/bookings", b"/api/booking/v1/hubs", b"/nothing", b"/healthz"])
async def test_websockets_are_refused_without_a_word_in_the_log(over_sockets, path, caplog):
    _, gateway = over_sockets
    answer = await gateway.raw(
        b"GET " + path + b" HTTP/1.1\r\nHost: gateway.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 403")
    assert [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}] == []


async def test_headers_named_in_connection_end_at_the_gateway(over_sockets):
    _, gateway = over_sockets
    answer = await gateway.raw(
        b"POST /api/booking/v1/x HTTP/1.1\r\nHost: GATEWAY.test:80\r\nConnection: close, X-Inner\r\nX-Inner: 1\r\nX-Outer: 2\r\n"
        b"X-Forwarded-For: 6.6.6.6\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
    )
    told = json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])

    assert told["body"] == "hi"
    assert told["headers"]["content-type"] == "text/plain"
    assert told["headers"]["host"].startswith("127.0.0.1:")
    assert told["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert "x-outer" in told["headers"]
    assert {"x-inner", "user-agent", "accept-encoding", "accept"} & told["headers"].keys() == set()


async def test_a_calendar_needs_no_login_and_takes_no_session_along(house, caplog):
    caplog.set_level("DEBUG")
    secret = "S" * 43
    feed = httpx.Response(
        200, text="BEGIN:VCALENDAR", headers={"etag": '"a"', "cache-control": "private, no-cache", "content-type": "text/calendar"}
    )  # fmt: skip
    house.booking.routes[f"GET /v1/calendars/{secret}.ics"] = feed
    browser = house.browser()
    await browser.login()

    for visitor in (house.browser(), browser):
        answer = await visitor.get(f"/calendars/{secret}.ics", headers={"if-none-match": '"b"'})

        assert (answer.status_code, answer.text) == (200, "BEGIN:VCALENDAR")
        assert (answer.headers["etag"], answer.headers["cache-control"]) == ('"a"', "private, no-cache")
        seen = house.booking.last("GET", f"/v1/calendars/{secret}.ics")
        assert "authorization" not in seen.headers
        assert seen.headers["if-none-match"] == '"b"'
    unknown = await house.browser().get("/calendars/x.ics")
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
    assert "proxied" in caplog.text
    assert secret[:12] not in caplog.text
