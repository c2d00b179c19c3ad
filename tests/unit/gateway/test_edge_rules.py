"""Paths, headers, routes, origins, cookies, seals, breaker: the edge's rules without a network."""

import asyncio
import json

import httpx
import pytest

from regiohub_gateway.edge import cookies
from regiohub_gateway.edge.answers import page_policy, secure
from regiohub_gateway.edge.bff import safe_return
from regiohub_gateway.edge.csrf import ForeignOrigin, MissingHeader, check_api, check_origin
from regiohub_gateway.edge.headers import check_shape, client_address, content_length, request_headers, response_headers
from regiohub_gateway.edge.paths import AmbiguousPath, check_path
from regiohub_gateway.edge.routes import find_route
from regiohub_gateway.edge.seal import Broken, Seal
from regiohub_gateway.edge.upstream import Breaker, Upstream, UpstreamDown
from regiohub_shared.problem import BadRequest, MethodNotAllowed, NotFound

ORIGIN = "http://localhost:8000"


@pytest.mark.parametrize(
    "path",
    [
        b"/api/booking/v1/hubs/a%2Fb", b"/api/booking/v1/hubs/a%2fb", b"/api/booking/v1/%5cadmin",
        b"/api/booking/v1/../internal/events", b"/api/booking/v1/./x", b"/api/booking/v1/%2e%2e/internal",
        b"/api/booking/v1/%2E./internal", b"//api/booking/v1/hubs", b"/api//booking/v1/hubs", b"/api/booking//v1",
        b"/api/booking/v1/a\\b", b"/api/booking/v1/a%00b", b"/api/booking/v1/a\x00b", "/api/booking/v1/ü".encode(),
        b"/api/booking/v1/%C3%BC", b"/api/booking/v1/%252e%252e/x", b"/api/booking/v1/%zz", b"/api/booking/v1/%4",
        b"/api/booking/v1/%76", b"/api/booking/v1/a b", b'/api/booking/v1/a;b"c', b"", b"api/booking",
        b"/" + b"a" * 3000,
    ],
)  # fmt: skip
def test_ambiguous_paths_are_refused(path):
    with pytest.raises(AmbiguousPath):
        check_path(path, b"")


@pytest.mark.parametrize(
    "query", [b"a=\x00", b"a=%zz", b"a=%4", b"%", b"a=b c", b"a=1#x", "a=ü".encode(), b"a=" + b"b" * 9000]
)
def test_unprintable_queries_are_refused(query):
    with pytest.raises(AmbiguousPath):
        check_path(b"/", query)


@pytest.mark.parametrize("path", ["/", "/en", "/api/booking/v1/hubs", "/hubs/polch/", "/a/%20b", "/x/~a-b_c.d@e"])
def test_plain_paths_pass_byte_for_byte(path):
    assert check_path(path.encode(), b"start=2026-11-25T09:00:00%2B01:00") == path


@pytest.mark.parametrize(
    "path",
    [
        "/api/booking/internal/events", "/api/booking/metrics", "/api/booking/healthz", "/api/booking/readyz",
        "/api/booking/docs", "/api/booking", "/api/booking/", "/api/booking/v1", "/api/booking/v11/x",
        "/api/other/v1/x", "/api/v1/x", "/internal/events",
    ],
)  # fmt: skip
def test_only_public_routes_exist(path):
    with pytest.raises(NotFound):
        find_route("GET", path)


def test_foreign_methods_are_refused():
    for method in ("TRACE", "CONNECT", "OPTIONS", "PROPFIND"):
        with pytest.raises(MethodNotAllowed):
            find_route(method, "/api/booking/v1/hubs")


def test_a_readers_sync_may_wait_and_a_webhook_takes_no_session():
    assert find_route("POST", "/api/access/v1/readers/reader-polch/sync").first_byte_s > 10
    assert not find_route("POST", "/api/billing/v1/webhooks/stripe").takes_session
    assert find_route("GET", "/api/booking/v1/hubs").path == "/v1/hubs"


def test_a_service_sees_nothing_that_a_caller_says_about_trust():
    given = [
        (b"host", b"evil"), (b"cookie", b"__Host-rh=x"), (b"authorization", b"Bearer stolen"), (b"accept", b"*/*"),
        (b"x-forwarded-for", b"1.2.3.4"), (b"x-forwarded-proto", b"https"), (b"forwarded", b"for=1"),
        (b"x-real-ip", b"1"), (b"x-user-id", b"root"), (b"x-auth-roles", b"admin"), (b"x-request-id", b"old"),
        (b"connection", b"close, x-private"), (b"x-private", b"1"), (b"te", b"trailers"), (b"upgrade", b"h2c"),
        (b"x-original-url", b"/internal"), (b"x-remote-user", b"root"), (b"transfer-encoding", b"chunked"),
        (b"traceparent", b"old"), (b"tracestate", b"a=b"), (b"baggage", b"user=root"),
    ]  # fmt: skip

    kept = request_headers(
        given, authorization=b"Bearer own", client_ip="10.0.0.9", request_id="id-1", traceparent="t-1"
    )

    assert kept == [
        (b"accept", b"*/*"), (b"x-forwarded-for", b"10.0.0.9"), (b"x-request-id", b"id-1"), (b"traceparent", b"t-1"),
        (b"authorization", b"Bearer own"),
    ]  # fmt: skip


def test_a_caller_sees_no_cookie_and_no_name_of_a_service():
    given = [
        (b"Content-Type", b"text/plain"), (b"Set-Cookie", b"a=b"), (b"Server", b"uvicorn"), (b"Connection", b"x-inner"),
        (b"X-Inner", b"1"), (b"WWW-Authenticate", b"Bearer"), (b"Transfer-Encoding", b"chunked"), (b"ETag", b'"3"'),
    ]  # fmt: skip

    assert response_headers(given) == [
        (b"content-type", b"text/plain"), (b"www-authenticate", b"Bearer"), (b"etag", b'"3"'),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-length", b"1"), (b"content-length", b"2")],
        [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")],
        [(b"transfer-encoding", b"chunked"), (b"content-length", b"3")],
        [(b"x", b"y")] * 65,
        [(b"x", b"y" * 40_000)],
    ],
)
def test_headers_that_two_parsers_read_differently_are_refused(headers):
    with pytest.raises(BadRequest):
        check_shape(headers)


def test_a_length_that_is_no_number_is_refused():
    with pytest.raises(BadRequest):
        content_length([(b"content-length", b"+3")])


def test_the_address_comes_from_our_own_proxies_only():
    spoofed = [(b"x-forwarded-for", b"6.6.6.6, 203.0.113.7")]

    assert client_address(spoofed, "10.0.0.1", 0) == "10.0.0.1"
    assert client_address(spoofed, "10.0.0.1", 1) == "203.0.113.7"
    assert client_address(spoofed, "10.0.0.1", 3) == "10.0.0.1"
    assert client_address([(b"x-forwarded-for", b"<script>")], "10.0.0.1", 1) == "10.0.0.1"


def test_only_our_origin_may_change_things():
    check_origin([(b"origin", ORIGIN.encode())], ORIGIN)
    check_origin([(b"sec-fetch-site", b"same-origin")], ORIGIN)
    for foreign in (
        [(b"origin", b"https://evil.example")],
        [(b"origin", b"null")],
        [],
        [(b"sec-fetch-site", b"same-site")],
    ):
        with pytest.raises(ForeignOrigin):
            check_origin(foreign, ORIGIN)


def test_a_form_of_another_site_cannot_call_the_api():
    check_api("GET", [], ORIGIN)
    check_api("POST", [(b"origin", ORIGIN.encode()), (b"x-requested-with", b"RegioHub")], ORIGIN)
    with pytest.raises(MissingHeader):
        check_api("POST", [(b"origin", ORIGIN.encode())], ORIGIN)


def test_a_cookie_that_stands_twice_is_no_cookie():
    assert cookies.read([(b"cookie", b"a=1; __Host-rh=x")], cookies.SESSION) == "x"
    assert cookies.read([(b"cookie", b"__Host-rh=x; __Host-rh=y")], cookies.SESSION) is None
    assert cookies.has([(b"cookie", b"__Host-rh=x; __Host-rh=y")], cookies.SESSION)
    assert cookies.read([(b"cookie", b"__Host-rh-login-a=x")], cookies.SESSION) is None


def test_the_session_cookie_has_every_protection():
    written = cookies.write(cookies.SESSION, "v")

    assert written == "__Host-rh=v; Path=/; Secure; HttpOnly; SameSite=Lax"


def test_a_seal_opens_with_old_keys_and_only_where_it_belongs():
    old, new = b"o" * 32, b"n" * 32
    sealed = Seal((old,)).close(b"secret", "row-1")

    assert Seal((new, old)).open(sealed, "row-1") == b"secret"
    for seal, place, data in [
        (Seal((new,)), "row-1", sealed),
        (Seal((old,)), "row-2", sealed),
        (Seal((old,)), "row-1", b"x"),
    ]:
        with pytest.raises(Broken):
            seal.open(data, place)


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "",
        "/auth/logout",
        "/auth",
        "/en/auth/login",
        "/en/api/booking/v1/hubs",
        "/api/booking/v1/hubs",
        "/find/../auth/logout",
        "/./find",
        "/%2e%2e/find",
        "/find#there",
        "/find?a=b c",
        "/find?" + "a" * 300,
        "find",
        "/a\r\nb",
        "/ü",
    ],
)
def test_a_login_never_leads_away(target):
    assert safe_return(target) == "/"


def test_a_login_leads_back_to_the_page():
    assert safe_return("/en/book?resource=1&date=2026-11-25") == "/en/book?resource=1&date=2026-11-25"


@pytest.mark.parametrize("target", ["/api/billing/v1/documents/d1?lang=en", "/api/billing/v1/exports/e1/file"])
def test_a_login_leads_back_to_what_a_page_links_to(target):
    assert safe_return(target) == target


@pytest.mark.parametrize("target", [
    "/en/api/billing/v1/documents/d1", "/api/billing/v1/documents", "/api/billing/v1/documents/d1/x", "/api/billing/v1/exports/e1",
    "/api/access/v1/documents/d1", "/api/billing/v1/documents/..", "//api/billing/v1/documents/d1",
])  # fmt: skip
def test_a_login_leads_to_nothing_else_of_the_api(target):
    assert safe_return(target) == "/"


def test_the_policy_of_pages_allows_forms_to_two_origins_more():
    policy = page_policy(["http://kc", "http://pay"])

    assert "form-action 'self' http://kc http://pay" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_policy_that_a_service_set_stays():
    sealed = secure([(b"content-security-policy", b"sandbox")], policy="x", request_id="r", https=True)

    assert [value for name, value in sealed if name == b"content-security-policy"] == [b"sandbox"]
    assert any(name == b"strict-transport-security" for name, _ in sealed)


def test_the_breaker_opens_pauses_and_tries_once():
    clock = [0.0]
    breaker = Breaker(lambda: clock[0])
    for _ in range(5):
        assert breaker.admit()
        breaker.failed()

    assert not breaker.admit()
    clock[0] = 5.1
    assert breaker.admit()
    assert not breaker.admit()
    breaker.failed()
    assert not breaker.admit()
    clock[0] = 10.3
    assert breaker.admit()
    breaker.succeeded()
    assert breaker.admit()


def test_slow_failures_do_not_open_the_breaker():
    clock = [0.0]
    breaker = Breaker(lambda: clock[0])
    for _ in range(20):
        breaker.failed()
        clock[0] += 3

    assert breaker.admit()


async def test_only_safe_requests_are_tried_again():
    tries: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        tries.append(request.method)
        if tries == ["GET"]:
            raise httpx.ConnectError("down")
        if request.method == "POST":
            raise httpx.ConnectError("down")
        return httpx.Response(200)

    upstream = Upstream("http://x", transport=httpx.MockTransport(handler))

    assert (await upstream.handle_async_request(httpx.Request("GET", "http://x/"))).status_code == 200
    with pytest.raises(UpstreamDown):
        await upstream.handle_async_request(httpx.Request("POST", "http://x/"))
    assert tries == ["GET", "GET", "POST"]


async def test_a_service_that_hangs_is_given_up():
    async def hang(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(30)
        raise AssertionError

    upstream = Upstream("http://x", transport=httpx.MockTransport(hang))
    request = httpx.Request("GET", "http://x/", extensions={"timeout": {"read": 0.05}})
    with pytest.raises(UpstreamDown) as refused:
        await upstream.handle_async_request(request)

    assert json.loads(json.dumps(refused.value.body("id")))["status"] == 503
