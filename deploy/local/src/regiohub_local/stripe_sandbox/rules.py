"""Stripe's rules that no parameter type can express: amounts, times, addresses, metadata. Pure."""

import re
from typing import Any

from regiohub_local.stripe_sandbox.errors import StripeRefusal, not_supported
from regiohub_local.stripe_sandbox.store import Json

# What the SDK knows and the sandbox carries out or echoes; the rest of the SDK's parameters is refused by name.
_SESSION = frozenset(
    {
        "allowed_payment_method_types", "billing_address_collection", "cancel_url", "client_reference_id",
        "currency", "custom_text", "customer", "customer_creation", "customer_email",
        "excluded_payment_method_types", "expand", "expires_at", "integration_identifier", "line_items", "locale",
        "metadata", "mode", "origin_context", "payment_intent_data", "submit_type", "success_url", "ui_mode",
    }
)  # fmt: skip
_INTENT_DATA = frozenset(
    {
        "capture_method", "description", "metadata", "receipt_email", "statement_descriptor",
        "statement_descriptor_suffix", "transfer_group",
    }
)  # fmt: skip
_REFUND = frozenset(
    {
        "amount", "charge", "expand", "metadata", "payment_intent", "reason",
    }
)  # fmt: skip
_REASONS = ("duplicate", "fraudulent", "requested_by_customer")
_LOCALES = frozenset(
    {
        "auto", "bg", "cs", "da", "de", "el", "en", "en-GB", "es", "es-419", "et", "fi", "fil", "fr", "fr-CA", "hr",
        "hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "mt", "nb", "nl", "pl", "pt", "pt-BR", "ro", "ru", "sk",
        "sl", "sv", "th", "tr", "vi", "zh", "zh-HK", "zh-TW",
    }
)  # fmt: skip
_HALF_HOUR_S, _DAY_S = 30 * 60, 24 * 3600
_MIN_CENTS, _MAX_CENTS = 50, 99_999_999


def check_session(params: Json, now: int) -> str:
    """Refuse a session that Stripe would refuse; returns the currency of its lines."""
    _only(params, _SESSION)
    _one_of(params, "mode", ("payment",))
    _one_of(params, "ui_mode", ("hosted_page",))
    _one_of(params, "locale", _LOCALES)
    if "mode" not in params or "success_url" not in params or not params.get("line_items"):
        absent = next(name for name in ("mode", "line_items", "success_url") if not params.get(name))
        raise StripeRefusal(f"Missing required param: {absent}.", code="parameter_missing", param=absent)
    for name in ("success_url", "cancel_url"):
        _url(params, name)
    _expiry(params.get("expires_at"), now)
    metadata(params, "metadata")
    data = params.get("payment_intent_data", {})
    _only(data, _INTENT_DATA, "payment_intent_data")
    _one_of(data, "capture_method", ("automatic_async", "automatic"))
    metadata(data, "payment_intent_data[metadata]")
    _suffix(data.get("statement_descriptor_suffix"))
    return _currency(params["line_items"])


def _only(params: Json, known: frozenset[str], inside: str = "") -> None:
    for name in params:
        if name not in known:
            raise not_supported(f"{inside}[{name}]" if inside else name)


def _one_of(params: Json, name: str, allowed: Any) -> None:
    if name in params and params[name] not in allowed:
        raise StripeRefusal(f"Invalid {name}: must be one of {', '.join(sorted(allowed))}", param=name)


def _url(params: Json, name: str) -> None:
    if name in params and not re.match(r"https?://[^/\s]+", params[name]):
        raise StripeRefusal("Not a valid URL", code="url_invalid", param=name)


def _expiry(expires_at: int | None, now: int) -> None:
    if expires_at is None:
        return
    if expires_at < now + _HALF_HOUR_S:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise StripeRefusal(message, param="expires_at")
    if expires_at > now + _DAY_S:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise StripeRefusal(message, param="expires_at")


def metadata(params: Json, name: str) -> None:
    """At most 50 keys of 40 characters with values of 500."""
    pairs: Json = params.get("metadata") or {}
    if len(pairs) > 50:
        raise StripeRefusal("You cannot have more than 50 metadata keys.", param=name)
    for key, value in pairs.items():
        if len(key) > 40 or len(value) > 500:
            raise StripeRefusal(
                f"Metadata keys can be up to 40 characters long, values up to 500: {key}", param=f"{name}[{key}]"
            )


def _suffix(value: str | None) -> None:
    if value is not None and (len(value) > 22 or re.search(r"[<>\\'\"*]", value) or not re.search("[A-Za-z]", value)):
        message = "The statement descriptor suffix must have a letter, at most 22 characters and none of < > \\ ' \" *"
        raise StripeRefusal(message, param="payment_intent_data[statement_descriptor_suffix]")


def _currency(items: list[Json]) -> str:
    for index, item in enumerate(items):
        at = f"line_items[{index}]"
        _only(item, frozenset({"metadata", "price_data", "quantity"}), at)
        if "price_data" not in item:
            raise StripeRefusal(f"Missing required param: {at}[price_data].", code="parameter_missing", param=at)
        price: Json = item["price_data"]
        _only(price, frozenset({"currency", "product_data", "tax_behavior", "unit_amount"}), f"{at}[price_data]")
        for name in ("product_data", "unit_amount"):
            if name not in price:
                param = f"{at}[price_data][{name}]"
                raise StripeRefusal(f"Missing required param: {param}.", code="parameter_missing", param=param)
        if price["unit_amount"] < 0 or item.get("quantity", 1) < 1:
            raise StripeRefusal("Invalid integer: must not be negative", code="parameter_invalid_integer", param=at)
    currencies = {item["price_data"]["currency"] for item in items}
    if currencies != {"eur"}:
        raise StripeRefusal(
            f"Invalid currency: the sandbox knows eur only, in lower case, not {', '.join(sorted(currencies))}",
            param="line_items[0][price_data][currency]",
        )
    return "eur"


def check_total(cents: int, currency: str) -> None:
    """Refuse sums that no card network takes."""
    if cents < _MIN_CENTS:
        message = f"The Checkout Session's total amount must be at least {_MIN_CENTS} cents {currency}."
        raise StripeRefusal(message, code="amount_too_small")
    if cents > _MAX_CENTS:
        raise StripeRefusal("The total amount must be no more than 999999.99", code="amount_too_large")


def check_refund(params: Json) -> None:
    """Refuse a refund request that names no payment, two payments or an unknown reason."""
    _only(params, _REFUND)
    _one_of(params, "reason", _REASONS)
    metadata(params, "metadata")
    if ("charge" in params) == ("payment_intent" in params):
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise StripeRefusal(message, code="parameter_missing", param="payment_intent")


def refundable(charge: Json, wanted: int | None) -> int:
    """Return the cents to refund (all that is left when ``wanted`` is None); raises when that is too much."""
    left = charge["amount_captured"] - charge["amount_refunded"]
    if not charge["paid"]:
        raise StripeRefusal(f"Charge {charge['id']} was not paid.", code="charge_not_refundable")
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise StripeRefusal(message, code="charge_already_refunded")
    amount = left if wanted is None else wanted
    if amount < 1:
        raise StripeRefusal("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if amount > left:
        message = f"Refund amount ({amount} cents) is greater than unrefunded amount on charge ({left} cents)"
        raise StripeRefusal(message, param="amount")
    return amount
