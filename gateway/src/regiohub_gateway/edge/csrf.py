"""A browser sends the session cookie along with requests that other sites caused: those are refused here."""

from regiohub_gateway.edge.headers import Headers, value_of
from regiohub_shared.problem import Forbidden

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CUSTOM_HEADER = b"x-requested-with"


class ForeignOrigin(Forbidden):
    """The request was caused by another site, or does not say by which."""

    type, title = "foreign-origin", "This request did not come from our own pages"


class MissingHeader(Forbidden):
    """A script must send ``X-Requested-With``: a form of another site cannot."""

    type, title = "custom-header-missing", "The header X-Requested-With is missing"


def check_origin(headers: Headers, public_origin: str) -> None:
    """Raise :class:`ForeignOrigin` unless ``Origin`` is ours; without one, the browser must say ``same-origin``."""
    origin = value_of(headers, b"origin")
    if origin is not None:
        if origin.decode("latin-1") != public_origin:
            raise ForeignOrigin
    elif value_of(headers, b"sec-fetch-site") != b"same-origin":
        raise ForeignOrigin


def check_api(method: str, headers: Headers, public_origin: str) -> None:
    """Raise for a cookie-authenticated change that our own script did not send."""
    if method in SAFE:
        return
    check_origin(headers, public_origin)
    if not value_of(headers, CUSTOM_HEADER):
        raise MissingHeader
