"""Header hygiene in both directions: nothing about trust or routing is taken from a caller."""

import ipaddress
from collections.abc import Iterable

from regiohub_shared.problem import BadRequest

Headers = list[tuple[bytes, bytes]]

MAX_HEADERS = 64
MAX_HEADER_BYTES = 32 * 1024
HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te"}
    | {b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings"}
)
# What says who the caller is, comes from us or from nobody. Cookies end at the gateway. Expect is ours to answer.
_NOT_FORWARDED = HOP_BY_HOP | {
    b"host",
    b"cookie",
    b"forwarded",
    b"x-real-ip",
    b"x-request-id",
    b"traceparent",
    b"tracestate",
    b"baggage",
    b"expect",
    b"authorization",
}
_FOREIGN_PREFIXES = (b"x-forwarded-", b"x-user", b"x-auth", b"x-remote-", b"x-original-", b"x-rewrite-")
# Services set no cookies; if one did, one member's could reach the next. Length and date are counted anew by the server.
_NOT_RETURNED = HOP_BY_HOP | {b"set-cookie", b"set-cookie2", b"server", b"date", b"x-powered-by", b"alt-svc"}


def check_shape(headers: Headers) -> None:
    """Refuse what makes two parsers disagree about where a request ends; raises ``BadRequest``."""
    if len(headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        raise BadRequest("too many or too long headers")
    names = [name for name, _ in headers]
    for single in (
        b"content-length",
        b"authorization",
        b"host",
        b"content-type",
        b"origin",
        b"if-match",
        b"idempotency-key",
    ):
        if names.count(single) > 1:
            raise BadRequest(f"{single.decode()} is given twice")
    if b"transfer-encoding" in names and b"content-length" in names:
        raise BadRequest("transfer-encoding and content-length exclude each other")


def value_of(headers: Headers, name: bytes) -> bytes | None:
    """Return the first value of a header, or None."""
    return next((value for key, value in headers if key == name), None)


def is_navigation(method: str, headers: Headers) -> bool:
    """Return whether a person follows a link, rather than a program asking."""
    accept = value_of(headers, b"accept") or b""
    wants_page = b"text/html" in accept and b"json" not in accept
    mode = value_of(headers, b"sec-fetch-mode") or b"navigate"
    return method == "GET" and wants_page and mode == b"navigate"


def content_length(headers: Headers) -> int | None:
    """Return the announced body size in bytes; raises ``BadRequest`` if it is no number."""
    value = value_of(headers, b"content-length")
    if value is None:
        return None
    if not value.isdigit():
        raise BadRequest("content-length is no number")
    return int(value)


def request_headers(
    headers: Headers, *, authorization: bytes | None, client_ip: str, request_id: str, traceparent: str
) -> Headers:
    """Return what a service gets to see of a request."""
    dropped = _NOT_FORWARDED | _named_in_connection(headers)
    kept = [(name, value) for name, value in headers if name not in dropped and not name.startswith(_FOREIGN_PREFIXES)]
    kept += [(b"x-forwarded-for", client_ip.encode()), (b"x-request-id", request_id.encode())]
    kept += [(b"traceparent", traceparent.encode())]
    return kept if authorization is None else [*kept, (b"authorization", authorization)]


def response_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return what a caller gets to see of an answer, names in lower case."""
    lower = [(name.lower(), value) for name, value in headers]
    dropped = _NOT_RETURNED | _named_in_connection(lower)
    return [(name, value) for name, value in lower if name not in dropped]


def _named_in_connection(headers: Headers) -> frozenset[bytes]:
    listed = (value for name, value in headers if name == b"connection")
    return frozenset(token.strip().lower() for value in listed for token in value.split(b","))


def client_address(headers: Headers, peer: str, hops: int) -> str:
    """Return the caller's address: the peer, or the ``hops``-th entry from the right that our own proxies wrote."""
    if hops == 0:
        return peer
    listed = b",".join(value for name, value in headers if name == b"x-forwarded-for").decode("latin-1")
    entries = [entry.strip() for entry in listed.split(",") if entry.strip()]
    if len(entries) < hops:
        return peer
    try:
        return str(ipaddress.ip_address(entries[-hops]))
    except ValueError:
        return peer
