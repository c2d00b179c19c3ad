"""Every request is checked against stripe-python's own parameter types.

The SDK ships them as ``TypedDict``; pydantic turns them into validators that refuse unknown keys and coerce strings,
because everything in a form is a string. A parameter that Stripe removed or never had is refused here as Stripe does.
"""

import importlib
from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from stripe import _request_options
from stripe._stripe_context import StripeContext
from typing_extensions import is_typeddict

from regiohub_local.stripe_sandbox.errors import StripeRefusal

_CONFIG = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
# The SDK's types inherit these, but they travel as headers, never in the form.
_HEADERS_ONLY = frozenset(_request_options.RequestOptions.__annotations__)
_MODULES = {
    "SessionCreateParams": "checkout._session_create_params",
    "SessionExpireParams": "checkout._session_expire_params",
    "SessionListParams": "checkout._session_list_params",
    "SessionRetrieveParams": "checkout._session_retrieve_params",
    "PaymentIntentListParams": "_payment_intent_list_params",
    "PaymentIntentRetrieveParams": "_payment_intent_retrieve_params",
    "ChargeRetrieveParams": "_charge_retrieve_params",
    "BalanceTransactionRetrieveParams": "_balance_transaction_retrieve_params",
    "RefundCreateParams": "_refund_create_params",
    "RefundListParams": "_refund_list_params",
    "RefundRetrieveParams": "_refund_retrieve_params",
    "DisputeListParams": "_dispute_list_params",
    "DisputeRetrieveParams": "_dispute_retrieve_params",
    "EventListParams": "_event_list_params",
    "EventRetrieveParams": "_event_retrieve_params",
}
_REMOVED = {"payment_method_types": ("payment_method_types_no_longer_supported", "allowed_payment_method_types")}


@cache
def _adapter(shape: str) -> TypeAdapter[dict[str, Any]]:
    module = importlib.import_module(f"stripe.params.{_MODULES[shape]}")
    names: dict[str, Any] = {"StripeContext": StripeContext}
    for source in (_request_options, module):
        names |= vars(source)
    for value in names.values():
        if is_typeddict(value):
            value.__pydantic_config__ = _CONFIG
    adapter: TypeAdapter[dict[str, Any]] = TypeAdapter(names[shape])
    adapter.rebuild(_types_namespace=names)
    return adapter


def warm_up() -> None:
    """Build all validators, so that a drift of the SDK stops the start and not the first request."""
    for shape in _MODULES:
        _adapter(shape)


def check(shape: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters with numbers and booleans turned from text; raises what Stripe would answer."""
    for name in params:
        if name in _REMOVED:
            code, instead = _REMOVED[name]
            raise StripeRefusal(f"`{name}` is no longer supported. Use `{instead}`.", code=code, param=name)
        if name in _HEADERS_ONLY:
            raise StripeRefusal(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
    try:
        return _adapter(shape).validate_python(params)
    except ValidationError as error:
        raise _refusal(error.errors()[0], params) from None


def _refusal(error: ErrorDetails, params: dict[str, Any]) -> StripeRefusal:
    param = _param(error, params)
    match error["type"]:
        case "extra_forbidden":
            return StripeRefusal(f"Received unknown parameter: {param}", code="parameter_unknown", param=param)
        case "missing":
            return StripeRefusal(f"Missing required param: {param}.", code="parameter_missing", param=param)
        case "int_parsing" | "int_type" | "int_from_float":
            message = f"Invalid integer: {error['input']}"
            return StripeRefusal(message, code="parameter_invalid_integer", param=param)
        case _:
            return StripeRefusal(f"Invalid {param}: {error['msg']}.", code="parameter_invalid", param=param)


def _param(error: ErrorDetails, params: dict[str, Any]) -> str:
    """Name the parameter as the form did; pydantic's own labels for union branches are left out."""
    node: Any = params
    path: list[str | int] = []
    for part in error["loc"]:
        known = (isinstance(node, dict) and part in node) or (isinstance(node, list) and isinstance(part, int))
        if known:
            path.append(part)
            node = node[part]
    if error["type"] == "missing":
        path.append(error["loc"][-1])
    return f"{path[0]}" + "".join(f"[{part}]" for part in path[1:]) if path else ""
