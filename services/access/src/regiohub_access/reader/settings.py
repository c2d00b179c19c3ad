"""The reader's settings, from `READER_*` in the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class SettingsError(ValueError):
    """A setting is missing or cannot be used; the text names it and never its value."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`issuer` is the `iss` of the passes (not Keycloak's); `sync_url` is the whole address, reader id included."""

    hub: str
    client_id: str
    client_secret: str = field(repr=False)
    token_url: str
    sync_url: str
    state_dir: Path
    port: int
    issuer: str
    wait_s: int = 10
    environment: str = "dev"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read and check all settings; raises `SettingsError`."""

        def text(name: str) -> str:
            value = environ.get(f"READER_{name}", "").strip()
            if not value:
                raise SettingsError(f"READER_{name} is missing")
            return value

        def number(name: str, value: str, limit: int) -> int:
            if not value.isascii() or not value.isdigit() or int(value) > limit:
                raise SettingsError(f"READER_{name} is not a number from 0 to {limit}")
            return int(value)

        environment = environ.get("REGIOHUB_ENVIRONMENT", "dev")
        return cls(
            hub=text("HUB"),
            client_id=text("CLIENT_ID"),
            client_secret=text("CLIENT_SECRET"),
            token_url=_url("TOKEN_URL", text("TOKEN_URL"), environment),
            sync_url=_url("SYNC_URL", text("SYNC_URL"), environment),
            state_dir=Path(text("STATE_DIR")),
            port=number("PORT", text("PORT"), 65535),
            issuer=text("ISSUER"),
            wait_s=number("WAIT_S", environ.get("READER_WAIT_S", "10"), 60),
            environment=environment,
        )


def _url(name: str, value: str, environment: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(f"READER_{name} is not an http(s) address")
    if parts.scheme == "http" and environment != "dev" and parts.hostname not in _LOOPBACK:
        raise SettingsError(f"READER_{name} must be https: it carries PINs and the client secret")
    return value
