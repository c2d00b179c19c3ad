"""What both of billing's processes reach the world with."""

import httpx

from regiohub_billing.providers.stripe import StripeAccess, StripeProvider
from regiohub_billing.settings import Settings
from regiohub_shared.auth.service_tokens import ServiceAuth, ServiceTokens
from regiohub_shared.http.client import make_client


def make_provider(settings: Settings) -> StripeProvider:
    """Return Stripe; call it inside the running event loop."""
    return StripeProvider(
        StripeAccess(
            api_base=settings.stripe_api_base,
            api_key=settings.stripe_api_key.get_secret_value(),
            webhook_secret=settings.stripe_webhook_secret.get_secret_value(),
            timeout_s=settings.stripe_timeout_s,
        )
    )


def booking_http(settings: Settings) -> httpx.AsyncClient:
    """Return the client for the booking service, with our token."""
    return make_client(
        settings.booking_url, timeout_s=settings.http_timeout_s, auth=ServiceAuth(ServiceTokens(settings))
    )
