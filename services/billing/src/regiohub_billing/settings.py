"""Billing's settings, read from ``BILLING_*`` (Stripe's own names work too)."""

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from regiohub_shared.settings import ServiceSettings


def _names(name: str) -> AliasChoices:
    return AliasChoices(f"BILLING_{name}", name)


class Settings(ServiceSettings):
    """``docs/settings.md`` lists them all."""

    model_config = SettingsConfigDict(env_prefix="BILLING_", populate_by_name=True)

    client_id: str = "regiohub-billing"
    booking_url: str = "http://localhost:8001"
    """Where billing reaches the booking service (facts out, one read of a booking in)."""
    stripe_api_base: str = Field(default="https://api.stripe.com", validation_alias=_names("STRIPE_API_BASE"))
    stripe_api_key: SecretStr = Field(default=SecretStr(""), validation_alias=_names("STRIPE_API_KEY"))
    stripe_webhook_secret: SecretStr = Field(default=SecretStr(""), validation_alias=_names("STRIPE_WEBHOOK_SECRET"))
    stripe_timeout_s: float = 8.0
    """Per try; there are at most two, and a call's lease outlives both."""
    return_path: str = "/bookings/{booking_id}/payment"
    """Where the provider sends the member back after paying, on ``public_origin``."""
    cancel_path: str = "/bookings/{booking_id}/pay"
    """Where it sends them when they give up."""
    booking_path: str = "/bookings/{booking_id}"
    """The member's page of a booking on the gateway; documents lead back to it (English: behind ``/en``)."""
