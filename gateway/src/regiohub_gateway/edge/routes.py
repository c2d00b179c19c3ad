"""The route table: which paths lead to which service, with the limits of each."""

import re
from dataclasses import dataclass

from regiohub_shared.problem import MethodNotAllowed, NotFound

_PREFIX = re.compile(r"/api/(booking|access|billing)(/.+)")
_LINK = re.compile(r"/api/billing/v1/(documents/[^/]+|exports/[^/]+/file)")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes. ``first_byte_s`` bounds the wait for the answer's head, ``total_s`` the whole exchange."""

    service: str
    path: str
    first_byte_s: float = 5.0
    total_s: float = 15.0
    max_body: int = MIB
    takes_session: bool = True


def is_link(path: str) -> bool:
    """Return whether our pages link to it: a person opens it like a page, and may have to log in first."""
    return _LINK.fullmatch(path) is not None


def find_route(method: str, path: str) -> Route:
    """Return the route of a checked path below ``/api``.

    Only ``/v1/…`` and the API description are reachable: ``/internal``, ``/metrics`` and health pages have no route.
    Raises ``NotFound`` or ``MethodNotAllowed``.
    """
    match = _PREFIX.fullmatch(path)
    if match is None or not (match[2].startswith("/v1/") or match[2] == "/openapi.json"):
        raise NotFound
    if method not in _METHODS:
        raise MethodNotAllowed
    service, rest = match[1], match[2]
    if service == "access" and re.fullmatch(r"/v1/readers/[^/]+/sync", rest):
        # A reader waits up to 10 s for news.
        return Route(service, rest, first_byte_s=20.0, total_s=30.0)
    if rest.startswith("/v1/webhooks/"):
        # The raw body is signed by the sender; nobody's session may ride along.
        return Route(service, rest, takes_session=False)
    if service == "billing" and method == "POST":
        # A checkout is opened at the provider, which can take its time; so can a large export.
        return Route(service, rest, first_byte_s=25.0, total_s=30.0)
    return Route(service, rest)
