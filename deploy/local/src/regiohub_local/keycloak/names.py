"""What every part of the launcher names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

REALM = "regiohub"
ADMIN = "regiohub-admin"

Say = Callable[[str], None]


class KeycloakError(RuntimeError):
    """Keycloak could not be had or started; the message is one line with the ways out."""


@dataclass(frozen=True, slots=True)
class Keycloak:
    """A running server. `issuer` is what tokens say; `admin_*` log in at the realm `master`."""

    origin: str
    issuer: str
    admin_user: str
    admin_password: str


def say_now(line: str) -> None:
    """Progress, at once."""
    print(line, flush=True)
