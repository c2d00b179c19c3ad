"""Answers that the edge gives itself, as raw ASGI messages, and the headers that every answer carries."""

import json

from starlette.types import Send

from regiohub_gateway.edge.headers import Headers
from regiohub_shared.problem import Problem

_ALWAYS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=()"),
    (b"x-frame-options", b"DENY"),
]
# A document from a service (an invoice) brings its own styles and may do nothing else.
API_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def page_policy(form_origins: list[str]) -> str:
    """Return the Content-Security-Policy of pages; forms may end in a redirect to ``form_origins``."""
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "manifest-src 'self'",
            "worker-src 'self'",
            "form-action " + " ".join(["'self'", *form_origins]),
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ]
    )


def secure(headers: Headers, *, policy: str, request_id: str, https: bool) -> Headers:
    """Return the headers of an answer with ours added; a policy or cache rule that is there already stays."""
    present = {name for name, _ in headers}
    ours = [*_ALWAYS, (b"content-security-policy", policy.encode()), (b"cache-control", b"no-store")]
    if https:
        ours.append((b"strict-transport-security", b"max-age=31536000; includeSubDomains"))
    kept = [(name, value) for name, value in headers if name != b"x-request-id"]
    return (
        kept + [(name, value) for name, value in ours if name not in present] + [(b"x-request-id", request_id.encode())]
    )


async def send_problem(send: Send, problem: Problem, *, request_id: str, https: bool = False) -> None:
    """Answer with ``application/problem+json``."""
    body = json.dumps(problem.body(request_id), ensure_ascii=False).encode()
    await _send(send, body, b"application/problem+json", problem, policy=API_POLICY, request_id=request_id, https=https)


async def send_page(send: Send, body: bytes, *, problem: Problem, policy: str, request_id: str, https: bool) -> None:
    """Answer with a page that tells a person about the refusal."""
    await _send(send, body, b"text/html; charset=utf-8", problem, policy=policy, request_id=request_id, https=https)


async def send_redirect(send: Send, target: str, *, request_id: str, https: bool = False) -> None:
    """Send a browser elsewhere (303)."""
    headers: Headers = [(b"location", target.encode("ascii")), (b"content-length", b"0")]
    sealed = secure(headers, policy=API_POLICY, request_id=request_id, https=https)
    await send({"type": "http.response.start", "status": 303, "headers": sealed})
    await send({"type": "http.response.body", "body": b""})


async def _send(
    send: Send, body: bytes, kind: bytes, problem: Problem, *, policy: str, request_id: str, https: bool
) -> None:
    headers: Headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in problem.headers.items()),
    ]
    sealed = secure(headers, policy=policy, request_id=request_id, https=https)
    await send({"type": "http.response.start", "status": problem.status, "headers": sealed})
    await send({"type": "http.response.body", "body": body})
