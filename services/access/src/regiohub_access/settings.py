"""Settings of access, all with the prefix ``ACCESS_``."""

import base64
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from regiohub_shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Who issues passes, what encrypts them and the PINs at rest, and how long door events are kept."""

    model_config = SettingsConfigDict(env_prefix="ACCESS_")

    client_id: str = "regiohub-access"
    booking_url: str = "http://localhost:8001"
    pass_issuer: Annotated[str, Field(min_length=1, max_length=64)] = "regiohub"
    """Stands in every pass; unique per installation, and the readers of this one accept no other."""
    secret_key: SecretStr
    """32 random bytes as URL-safe base64: encrypts PINs and the issuer's keys in the database."""
    previous_secret_key: SecretStr = SecretStr("")
    """The key before the last change; still reads, never writes."""
    pin_ahead_hours: Annotated[int, Field(ge=1)] = 14 * 24
    """A PIN goes to the reader this long before its window; so long may the line to a hub be down."""
    keep_allowed_days: Annotated[int, Field(ge=30)] = 30
    """Door events of openings are deleted after this; the database refuses less than 30."""
    keep_denied_days: Annotated[int, Field(ge=90)] = 90
    """Door events of refusals are deleted after this; the database refuses less than 90."""

    @field_validator("secret_key", "previous_secret_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and len(base64.urlsafe_b64decode(text)) != 32:
            raise ValueError("needs 32 bytes as URL-safe base64")
        return value

    @property
    def secret_keys(self) -> tuple[bytes, ...]:
        """Keys that open sealed columns; the first one also seals."""
        texts = (self.secret_key.get_secret_value(), self.previous_secret_key.get_secret_value())
        return tuple(base64.urlsafe_b64decode(text) for text in texts if text)
