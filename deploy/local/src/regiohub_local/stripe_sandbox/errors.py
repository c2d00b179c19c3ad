"""Refusals in Stripe's own shape: ``{"error": {"type", "message", "code", "param"}}``."""

from typing import Any


class StripeRefusal(Exception):
    """An answer that is not a success; ``status`` is the HTTP status stripe-python maps to its error classes."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        optional = {"code": code, "param": param}
        self.error: dict[str, Any] = {"type": kind, "message": message} | {k: v for k, v in optional.items() if v}

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body of the answer."""
        return {"error": self.error}


def not_supported(param: str) -> StripeRefusal:
    """Stripe knows this parameter, the sandbox does not; silence would make a test pass that must not."""
    return StripeRefusal(f"The sandbox does not implement '{param}'.", code="parameter_not_in_sandbox", param=param)


def missing(kind: str, object_id: str, param: str = "id") -> StripeRefusal:
    """No such object (404)."""
    return StripeRefusal(f"No such {kind}: '{object_id}'", status=404, code="resource_missing", param=param)
