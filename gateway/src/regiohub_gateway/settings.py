"""Settings of the gateway, all with the prefix ``GATEWAY_``."""

import base64
import re
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict
from yarl import URL

from regiohub_shared.settings import ServiceSettings

HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
"""Name and port as they stand in ``Host``, in lower case."""


class Settings(ServiceSettings):
    """Where the services are, how long a session lives, and how much one caller may ask."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    client_id: str = "regiohub-gateway"
    booking_url: str = "http://localhost:8001"
    access_url: str = "http://localhost:8002"
    billing_url: str = "http://localhost:8003"
    checkout_origin: str = "https://checkout.stripe.com"
    """Origin of the payment page; forms may redirect there and nowhere else outside."""
    session_key: SecretStr
    """32 random bytes as URL-safe base64: encrypts the tokens in the session rows."""
    previous_session_key: SecretStr = SecretStr("")
    """The key before the last change; still reads, never writes."""
    forwarded_hops: Annotated[int, Field(ge=0, le=5)] = 0
    """Number of own proxies in front that append to ``X-Forwarded-For``; 0 takes the peer's address."""
    internal_hosts: str = ""
    """Names besides addresses and ``localhost`` under which probes, Prometheus and Keycloak ask, by spaces or commas."""
    session_idle_s: int = 30 * 60
    session_absolute_s: int = 12 * 60 * 60
    holds_per_hour: int = 10
    requests_per_minute: int = 3000
    logins_per_minute: int = 60

    @field_validator("session_key", "previous_session_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and len(base64.urlsafe_b64decode(text)) != 32:
            raise ValueError("needs 32 bytes as URL-safe base64")
        return value

    @field_validator("public_origin")
    @classmethod
    def _has_a_name(cls, value: str) -> str:
        """Return the origin as browsers send it: a name with umlauts travels as Punycode."""
        url = URL(value)
        if url.scheme not in {"http", "https"} or not HOST.fullmatch(url.raw_authority.lower()):
            raise ValueError("needs scheme and host, such as https://regiohub.example")
        return value if value.isascii() else str(url.origin())

    @property
    def session_keys(self) -> tuple[bytes, ...]:
        """Keys that open session rows; the first one also seals."""
        texts = (self.session_key.get_secret_value(), self.previous_session_key.get_secret_value())
        return tuple(base64.urlsafe_b64decode(text) for text in texts if text)

    @property
    def internal_names(self) -> tuple[str, ...]:
        """The names in ``internal_hosts``."""
        return tuple(self.internal_hosts.replace(",", " ").split())

    @property
    def upstreams(self) -> dict[str, str]:
        """Base address of each service by the name that stands in ``/api/<name>/``."""
        return {"booking": self.booking_url, "access": self.access_url, "billing": self.billing_url}
