"""The cookies of the gateway; ``__Host-`` binds them to this host, HTTPS (or localhost) and every path."""

from regiohub_gateway.edge.headers import Headers

SESSION = "__Host-rh"
QUESTION = "__Host-rh-login-"
"""Prefix; the number of a slot follows, so that two tabs can log in at once."""
OWNER = "__Host-rh-owner"
"""A keyed hash of who logged in here last: what is kept on the device belongs to them."""
_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"


def read(headers: Headers, name: str) -> str | None:
    """Return a cookie's value; None when it is missing or stands there twice."""
    wanted = name.encode() + b"="
    parts = (part.strip() for key, value in headers if key == b"cookie" for part in value.split(b";"))
    found = [part[len(wanted) :] for part in parts if part.startswith(wanted)]
    return found[0].decode("latin-1") if len(found) == 1 else None


def has(headers: Headers, name: str) -> bool:
    """Return whether the cookie is there at all."""
    wanted = name.encode() + b"="
    parts = (part.strip() for key, value in headers if key == b"cookie" for part in value.split(b";"))
    return any(part.startswith(wanted) for part in parts)


def names(headers: Headers, prefix: str) -> set[str]:
    """Return the names of the cookies that begin with ``prefix``."""
    parts = (part.strip() for key, value in headers if key == b"cookie" for part in value.split(b";"))
    found = {part.split(b"=")[0].decode("latin-1") for part in parts}
    return {name for name in found if name.startswith(prefix)}


def write(name: str, value: str, *, max_age_s: int | None = None) -> str:
    """Return a ``Set-Cookie`` value; without ``max_age_s`` the browser forgets it when it closes."""
    age = "" if max_age_s is None else f"; Max-Age={max_age_s}"
    return f"{name}={value}; {_ATTRIBUTES}{age}"


def delete(name: str) -> str:
    """Return a ``Set-Cookie`` value that removes the cookie."""
    return write(name, "", max_age_s=0)
