"""By which name the process is asked: the public one, one from inside, or a foreign one."""

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from regiohub_gateway.edge.headers import Headers, value_of
from regiohub_gateway.settings import HOST
from regiohub_shared.problem import Problem

_PORTS = {"http": 80, "https": 443}


class Misdirected(Problem):
    """The name in ``Host`` is not ours; answering would make every spelling of it a way in."""

    status, type, title = 421, "misdirected", "Nothing is served under this name"


class Hosts:
    """Compares names as browsers mean them: without case, final dot and the scheme's own port."""

    def __init__(self, public_origin: str, internal: Iterable[str] = ()) -> None:
        """``internal`` are names besides ``localhost`` and addresses, without ports."""
        origin = urlsplit(public_origin)
        self._port = _PORTS.get(origin.scheme, 0)
        self._public = self._split(origin.netloc)
        self._internal = frozenset({"localhost", *(name.lower() for name in internal)})

    def is_public(self, headers: Headers) -> bool:
        """Return whether people ask."""
        return self._asked(headers) == self._public

    def is_internal(self, headers: Headers) -> bool:
        """Return whether a probe, Prometheus or Keycloak asks the process itself, at any port.

        HTTP/1.0 needs no ``Host``, and no proxy of ours leaves it out: a plain probe asks like that.
        """
        if value_of(headers, b"host") is None:
            return value_of(headers, b"x-forwarded-for") is None
        asked = self._asked(headers)
        if asked is None or self._public is None or asked[0] == self._public[0]:
            return False
        return asked[0] in self._internal or _is_address(asked[0])

    def _asked(self, headers: Headers) -> tuple[str, int] | None:
        return self._split((value_of(headers, b"host") or b"").decode("latin-1"))

    def _split(self, host: str) -> tuple[str, int] | None:
        match = HOST.fullmatch(host.lower())
        return match and (match[1].removesuffix("."), int(match[2] or self._port))


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
