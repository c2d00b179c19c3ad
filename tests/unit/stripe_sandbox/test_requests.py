"""Requests are read as Stripe reads them, and held against stripe-python's own parameter types."""

from typing import Any

import pytest
import stripe
from stripe._encode import _api_encode

from regiohub_local.stripe_sandbox import forms, rules, shapes
from regiohub_local.stripe_sandbox.errors import StripeRefusal

NOW = 1_800_000_000


def a_session(**changes: Any) -> dict[str, Any]:
    line = {
        "price_data": {"currency": "eur", "unit_amount": 1200, "product_data": {"name": "Tisch 1"}},
        "quantity": 1,
    }
    return {"mode": "payment", "success_url": "http://localhost/ok", "line_items": [line]} | changes


def sent(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters after a trip through the SDK's own encoder and our decoder."""
    return forms.nest((key, str(value)) for key, value in _api_encode(params))


def test_nested_form_comes_back_as_the_sdk_sent_it():
    params = a_session(metadata={"payment_id": "p", "0": "zero", "x": "ü & = [1]"}, expires_at=NOW)

    assert shapes.check("SessionCreateParams", sent(params)) == params


def test_lists_longer_than_ten_keep_their_order():
    pairs = [(f"expand[{index}]", f"v{index}") for index in range(12)]

    assert forms.nest(pairs) == {"expand": [f"v{index}" for index in range(12)]}


@pytest.mark.parametrize("broken", ["a[b=1", "a&b", "a=1&a[b]=2", "a=1&a=2", "a" + "[b]" * 20 + "=1", "[a]=1"])
def test_broken_form_is_refused(broken: str):
    with pytest.raises(StripeRefusal):
        forms.decode(broken)


def _misspelt() -> dict[str, Any]:
    params = a_session()
    params["line_items"][0]["price_data"]["unit_amout"] = params["line_items"][0]["price_data"].pop("unit_amount")
    return params


def _quantity(value: Any) -> dict[str, Any]:
    params = a_session()
    params["line_items"][0]["quantity"] = value
    return params


PLANTED = {
    "removed payment_method_types": (
        a_session(payment_method_types=["card"]),
        "payment_method_types_no_longer_supported",
        "payment_method_types",
    ),
    "misspelt unit_amout": (_misspelt(), "parameter_unknown", "line_items[0][price_data][unit_amout]"),
    "quantity that is no number": (_quantity("one"), "parameter_invalid_integer", "line_items[0][quantity]"),
    "parameter Stripe never had": (a_session(booking="b"), "parameter_unknown", "booking"),
    "lines that are no list": (a_session(line_items="Tisch"), "parameter_invalid", "line_items"),
    "header sent as parameter": (a_session(idempotency_key="k"), "parameter_unknown", "idempotency_key"),
}


@pytest.mark.parametrize(("params", "code", "param"), PLANTED.values(), ids=PLANTED)
def test_planted_bad_request_is_refused(params: dict[str, Any], code: str, param: str):
    with pytest.raises(StripeRefusal) as refusal:
        shapes.check("SessionCreateParams", sent(params))

    assert (refusal.value.status, refusal.value.error["code"], refusal.value.error["param"]) == (400, code, param)


def test_every_shape_exists_in_the_installed_sdk():
    shapes.warm_up()

    assert stripe.VERSION.startswith("16.")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"expires_at": NOW + 29 * 60}, "expires_at"),
        ({"expires_at": NOW + 25 * 3600}, "expires_at"),
        ({"success_url": "javascript:alert(1)"}, "success_url"),
        ({"mode": "subscription"}, "mode"),
        ({"ui_mode": "elements"}, "ui_mode"),
        ({"locale": "xx"}, "locale"),
        ({"line_items": []}, "line_items"),
        ({"discounts": [{"coupon": "c"}]}, "discounts"),
        ({"metadata": {"k" * 41: "v"}}, f"metadata[{'k' * 41}]"),
        ({"payment_intent_data": {"on_behalf_of": "acct_1"}}, "payment_intent_data[on_behalf_of]"),
    ],
)
def test_rules_no_type_can_express(changes: dict[str, Any], param: str):
    with pytest.raises(StripeRefusal) as refusal:
        rules.check_session(a_session(**changes), NOW)

    assert refusal.value.error["param"] == param


@pytest.mark.parametrize(
    ("refunded", "wanted", "amount"), [(0, None, 1200), (200, None, 1000), (200, 1000, 1000), (0, 1, 1)]
)
def test_refund_within_the_cap(refunded: int, wanted: int | None, amount: int):
    charge = {"id": "ch_1", "paid": True, "amount_captured": 1200, "amount_refunded": refunded}

    assert rules.refundable(charge, wanted) == amount


@pytest.mark.parametrize(("refunded", "wanted"), [(0, 1201), (200, 1001), (1200, None), (1200, 1), (0, 0), (0, -5)])
def test_refund_beyond_the_cap_is_refused(refunded: int, wanted: int | None):
    charge = {"id": "ch_1", "paid": True, "amount_captured": 1200, "amount_refunded": refunded}

    with pytest.raises(StripeRefusal):
        rules.refundable(charge, wanted)
