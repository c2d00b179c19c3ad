"""Settings of the sandbox, read from ``SANDBOX_*``."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What the sandbox needs to know; without a webhook address events are kept but not sent."""

    model_config = SettingsConfigDict(env_prefix="SANDBOX_")

    port: int = 8420
    state_dir: Path = Path(".run/stripe")
    api_key: SecretStr
    webhook_secret: SecretStr
    webhook_url: str = ""
    origin: str = ""

    @property
    def public_origin(self) -> str:
        """Where a browser reaches the hosted page."""
        return (self.origin or f"http://localhost:{self.port}").rstrip("/")

    @property
    def hosts(self) -> list[str]:
        """The names under which it answers."""
        return ["localhost", "127.0.0.1", urlsplit(self.public_origin).hostname or "localhost"]
