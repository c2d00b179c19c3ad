"""Booking's settings, from ``BOOKING_…``."""

from typing import Literal

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from regiohub_shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """What booking adds to the common settings."""

    model_config = SettingsConfigDict(env_prefix="BOOKING_", extra="ignore")

    client_id: str = "regiohub-booking"
    access_url: str = "http://localhost:8002"
    billing_url: str = "http://localhost:8003"
    unpaid_holds: int = 3
    unpaid_lines: int = 50
    unpaid_hours: int = 200
    mail_host: str = "localhost"
    mail_port: int = 1025
    mail_security: Literal["none", "starttls", "tls"] = "none"
    mail_user: str = ""
    mail_password: SecretStr = SecretStr("")
    mail_from: str = "RegioHub <buchung@regiohub.example>"
    mail_timeout_s: float = 10.0
    sweep_every_s: float = 5.0
    complete_every_s: float = 30.0
    mail_every_s: float = 1.0
