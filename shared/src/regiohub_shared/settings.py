"""Settings that every program has; a program adds its own and its prefix (``BOOKING_``, ``ACCESS_``, …)."""

import os
from typing import Literal, Self

from pydantic import SecretStr, model_validator
from pydantic_settings import BaseSettings


class ServiceSettings(BaseSettings):
    """Common settings; ``docs/settings.md`` lists them all."""

    environment: Literal["dev", "prod"] = "dev"
    log_level: str = "INFO"
    database_url: str
    """Role without DDL, ``postgresql://user:password@host/db``."""
    migrate_database_url: str = ""
    """Owner role; only migrations use it. Empty: the same as ``database_url``."""
    pool_size: int = 10
    issuer: str
    """Keycloak's realm as it stands in tokens, for example ``http://localhost:8080/realms/regiohub``."""
    keycloak_url: str = ""
    """Where this program reaches Keycloak; empty: the issuer's origin."""
    client_id: str
    """This service's Keycloak client, which is also the audience that it accepts."""
    client_secret: SecretStr = SecretStr("")
    public_origin: str = "http://localhost"
    http_timeout_s: float = 5.0

    @model_validator(mode="after")
    def _fill_in(self) -> Self:
        if self.environment != "dev" and os.environ.get("REGIOHUB_NOW"):
            raise ValueError("REGIOHUB_NOW is refused outside the dev environment")
        if not self.keycloak_url:
            self.keycloak_url = self.issuer.split("/realms/")[0]
        if not self.migrate_database_url:
            self.migrate_database_url = self.database_url
        return self

    @property
    def realm(self) -> str:
        """The realm's name, the last part of the issuer."""
        return self.issuer.rsplit("/realms/", 1)[-1]
