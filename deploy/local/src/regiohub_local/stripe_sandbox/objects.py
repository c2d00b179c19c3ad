"""The shapes of Stripe's objects, as the pinned API version sends them. Pure: values in, JSON out.

``_line_items`` and ``_payment_intent_data`` are the sandbox's own memory and never leave it (:func:`public`).
"""

import secrets
from typing import Any

from stripe import _api_version

from regiohub_local.stripe_sandbox.store import Json

API_VERSION: str = _api_version._ApiVersion.CURRENT  # noqa: SLF001 - the SDK has no public name for it
# Stripe's list price for cards of the European Economic Area; real fees come from the contract.
_FEE_PER_MILLE, _FEE_FIXED_CENTS = 15, 25


def new_id(prefix: str) -> str:
    """Return an id in Stripe's manner: ``pi_…``."""
    return f"{prefix}_{secrets.token_hex(12)}"


def public(thing: Json) -> Json:
    """Return the object without the sandbox's own memory."""
    return {key: value for key, value in thing.items() if not key.startswith("_")}


def line_item(params: Json, currency: str) -> Json:
    """One line of a session from the request's ``line_items``."""
    price, quantity = params["price_data"], params.get("quantity", 1)
    total = price["unit_amount"] * quantity
    return {
        "id": new_id("li"),
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": total,
        "amount_tax": 0,
        "amount_total": total,
        "currency": currency,
        "description": price["product_data"]["name"],
        "metadata": params.get("metadata") or {},
        "quantity": quantity,
    }


def session(params: Json, *, items: list[Json], currency: str, now: int, origin: str) -> Json:
    """A new, open Checkout session; its payment intent appears with the first attempt to pay, as at Stripe."""
    total = sum(item["amount_total"] for item in items)
    session_id = f"cs_test_{secrets.token_hex(24)}"
    echoed = (
        "allowed_payment_method_types", "billing_address_collection", "cancel_url", "client_reference_id", "customer",
        "customer_creation", "customer_email", "excluded_payment_method_types", "integration_identifier", "locale",
        "origin_context", "submit_type",
    )  # fmt: skip
    nothing = (
        "after_expiration", "allow_promotion_codes", "collected_information", "consent", "consent_collection",
        "currency_conversion", "customer_account", "payment_method_configuration_details",
        "permissions", "recovered_from", "saved_payment_method_options", "setup_intent",
        "shipping_address_collection", "shipping_cost", "subscription", "wallet_options",
    )  # fmt: skip
    email = params.get("customer_email")
    return (
        dict.fromkeys(nothing)
        | {key: params.get(key) for key in echoed}
        | {
            "adaptive_pricing": {"enabled": False},
            "discounts": [],
            "payment_method_collection": "if_required",
            "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
            "id": session_id,
            "object": "checkout.session",
            "amount_subtotal": total,
            "amount_total": total,
            "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
            "client_secret": None,
            "created": now,
            "currency": currency,
            "custom_fields": [],
            "custom_text": {
                name: (params.get("custom_text") or {}).get(name)
                for name in ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
            },
            "customer_details": _customer(email) if email else None,
            "expires_at": params.get("expires_at") or now + 24 * 3600,
            "invoice": None,
            "livemode": False,
            "metadata": params.get("metadata") or {},
            "mode": "payment",
            "payment_intent": None,
            "payment_link": None,
            "payment_method_types": params.get("allowed_payment_method_types") or ["card"],
            "payment_status": "unpaid",
            "phone_number_collection": {"enabled": False},
            "shipping_options": [],
            "status": "open",
            "success_url": params["success_url"],
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
            "ui_mode": "hosted_page",
            "url": f"{origin}/c/pay/{session_id}",
            "_line_items": items,
            "_payment_intent_data": params.get("payment_intent_data") or {},
        }
    )


def _customer(email: str | None) -> Json:
    empty = dict.fromkeys(("address", "business_name", "individual_name", "name", "phone"))
    return empty | {"email": email, "tax_exempt": "none", "tax_ids": []}


def payment_intent(of: Json, *, now: int) -> Json:
    """The payment intent behind a session, before its first attempt has ended."""
    data = of["_payment_intent_data"]
    intent_id = new_id("pi")
    nothing = (
        "application", "application_fee_amount", "canceled_at", "cancellation_reason", "customer", "customer_account",
        "excluded_payment_method_types", "last_payment_error", "latest_charge", "next_action", "on_behalf_of",
        "payment_method", "processing", "review", "setup_future_usage", "shipping", "source", "transfer_data",
    )  # fmt: skip
    return dict.fromkeys(nothing) | {
        "id": intent_id,
        "object": "payment_intent",
        "allowed_payment_method_types": of["allowed_payment_method_types"],
        "amount": of["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "automatic_payment_methods": None,
        "capture_method": "automatic_async",
        "client_secret": f"{intent_id}_secret_{secrets.token_hex(8)}",
        "confirmation_method": "automatic",
        "created": now,
        "currency": of["currency"],
        "customer": of["customer"],
        "description": data.get("description"),
        "livemode": False,
        "metadata": data.get("metadata") or {},
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": of["payment_method_types"],
        "receipt_email": data.get("receipt_email"),
        "statement_descriptor": data.get("statement_descriptor"),
        "statement_descriptor_suffix": data.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_group": data.get("transfer_group"),
    }


def charge(intent: Json, *, succeeded: bool, now: int) -> Json:
    """One attempt to charge a card; its balance transaction follows a moment later (``charge.updated``)."""
    nothing = (
        "application", "application_fee", "application_fee_amount", "balance_transaction",
        "failure_balance_transaction", "on_behalf_of", "receipt_number", "receipt_url", "review", "shipping",
        "source", "source_transfer", "transfer_data",
    )  # fmt: skip
    copied = (
        "amount", "currency", "customer", "description", "metadata", "receipt_email", "statement_descriptor",
        "statement_descriptor_suffix", "transfer_group",
    )  # fmt: skip
    last4 = "4242" if succeeded else "0002"
    return dict.fromkeys(nothing) | {key: intent[key] for key in copied} | {
        "id": new_id("ch"),
        "object": "charge",
        "amount_captured": intent["amount"] if succeeded else 0,
        "amount_refunded": 0,
        "billing_details": dict.fromkeys(("address", "email", "name", "phone", "tax_id")),
        "calculated_statement_descriptor": "REGIOHUB SANDBOX",
        "captured": succeeded,
        "created": now,
        "disputed": False,
        "failure_code": None if succeeded else "card_declined",
        "failure_message": None if succeeded else "Your card was declined.",
        "fraud_details": {},
        "livemode": False,
        "outcome": {
            "network_status": "approved_by_network" if succeeded else "declined_by_network",
            "reason": None if succeeded else "generic_decline",
            "risk_level": "normal",
            "seller_message": "Payment complete." if succeeded else "The bank did not return any further details.",
            "type": "authorized" if succeeded else "issuer_declined",
        },
        "paid": succeeded,
        "payment_intent": intent["id"],
        "payment_method": new_id("pm"),
        "payment_method_details": {"card": {"brand": "visa", "country": "DE", "last4": last4}, "type": "card"},
        "refunded": False,
        "status": "succeeded" if succeeded else "failed",
    }  # fmt: skip


def decline(failed: Json) -> Json:
    """What a payment intent says about its last, declined attempt."""
    return {
        "charge": failed["id"],
        "code": "card_declined",
        "decline_code": "generic_decline",
        "doc_url": "https://stripe.com/docs/error-codes/card-declined",
        "message": "Your card was declined.",
        "type": "card_error",
    }


def refund(params: Json, of: Json, *, amount: int, status: str, now: int) -> Json:
    """A refund of a charge; ``status`` is ``pending`` or ``succeeded``."""
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": of["id"],
        "created": now,
        "currency": of["currency"],
        "destination_details": {"card": {"type": "pending" if status == "pending" else "refund"}, "type": "card"},
        "metadata": params.get("metadata") or {},
        "payment_intent": of["payment_intent"],
        "reason": params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    } | ({"pending_reason": "processing"} if status == "pending" else {})


def dispute(of: Json, *, now: int) -> Json:
    """The payer's bank takes a charge back."""
    return {
        "id": new_id("dp"),
        "object": "dispute",
        "amount": of["amount"],
        "balance_transactions": [],
        "charge": of["id"],
        "created": now,
        "currency": of["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {},
        "evidence_details": {
            "due_by": now + 7 * 24 * 3600, "has_evidence": False, "past_due": False, "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": of["payment_intent"],
        "reason": "fraudulent",
        "status": "needs_response",
    }  # fmt: skip


def balance_transaction(source: Json, *, amount: int, kind: str, now: int) -> Json:
    """A line of the account's balance; only charges carry a fee, and Stripe keeps it at a refund."""
    fee = (amount * _FEE_PER_MILLE + 500) // 1000 + _FEE_FIXED_CENTS if kind == "charge" else 0
    detail: Json = {"amount": fee, "application": None, "currency": source["currency"], "type": "stripe_fee"}
    return {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": now + 3 * 24 * 3600,
        "balance_type": "payments",
        "created": now,
        "currency": source["currency"],
        "description": source.get("description"),
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [detail | {"description": "Stripe processing fees (sandbox)"}] if fee else [],
        "net": amount - fee,
        "reporting_category": kind,
        "source": source["id"],
        "status": "pending",
        "type": kind,
    }


def event(type_: str, thing: Json, *, previous: Json, request: Json, hooks: int, now: int) -> Json:
    """An event with a snapshot of its object as it was then."""
    data: dict[str, Any] = {"object": public(thing)}
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": now,
        "data": data | ({"previous_attributes": previous} if previous else {}),
        "livemode": False,
        "pending_webhooks": hooks,
        "request": request,
        "type": type_,
    }
