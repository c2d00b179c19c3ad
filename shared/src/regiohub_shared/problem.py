"""Refusals as values of RFC 9457: plain Python, so that a rule's error can stand beside the rule.

``type`` is a kebab-case name, rendered as ``/problems/<type>``; ``title`` is English; ``params`` become extra members
that a page can translate and a program can act on (for example ``alternatives``).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class Problem(Exception):
    """An expected refusal with its HTTP status."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **params: Any,
    ) -> None:
        """Keep the machine-readable parts; ``errors`` are ``{"pointer": …, "detail": …}``."""
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.params = params

    def body(self, instance: str) -> dict[str, Any]:
        """Return the members of ``application/problem+json``; ``instance`` is the request id."""
        members: dict[str, Any] = {
            "type": f"/problems/{self.type}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
        }
        if self.errors:
            members["errors"] = self.errors
        return self.params | members


class BadRequest(Problem):
    """The request cannot be understood as HTTP."""

    status, type, title = 400, "bad-request", "The request cannot be understood"


class Unauthorized(Problem):
    """No valid token or session."""

    status, type, title = 401, "unauthorized", "Please log in"

    def __init__(self, detail: str = "", **params: Any) -> None:
        """Answer with the challenge that RFC 6750 asks for."""
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"}, **params)


class Forbidden(Problem):
    """The caller is known, the act is not theirs."""

    status, type, title = 403, "forbidden", "You may not do this"


class NotFound(Problem):
    """Nothing there, or nothing that this caller may know of."""

    status, type, title = 404, "not-found", "Not found"


class MethodNotAllowed(Problem):
    """The path exists, the method does not."""

    status, type, title = 405, "method-not-allowed", "This method is not allowed here"


class SlowBody(Problem):
    """The body did not arrive in time; the connection ends with the answer, or its rest would go on dripping in."""

    status, type, title = 408, "slow-body", "The request body did not arrive in time"

    def __init__(self, detail: str = "") -> None:
        """Tell the server to close the connection."""
        super().__init__(detail, headers={"Connection": "close"})


class Conflict(Problem):
    """The state of things does not allow it now."""

    status, type, title = 409, "conflict", "This is not possible in the current state"


class PreconditionFailed(Problem):
    """``If-Match`` names an older version."""

    status, type, title = 412, "precondition-failed", "It was changed meanwhile"


class TooLarge(Problem):
    """The body exceeds the limit."""

    status, type, title = 413, "too-large", "The request body is too large"


class Malformed(Problem):
    """The payload's form is wrong: types, zones, ranges, encodings."""

    status, type, title = 422, "malformed", "The request is malformed"


class PreconditionRequired(Problem):
    """A change needs ``If-Match``."""

    status, type, title = 428, "precondition-required", "If-Match is required"


class TooManyRequests(Problem):
    """A limit was reached; ``Retry-After`` says when to come back."""

    status, type, title = 429, "too-many-requests", "Too many requests"

    def __init__(self, detail: str = "", *, retry_after_s: int = 60, **params: Any) -> None:
        """``retry_after_s`` is in seconds."""
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)}, retry_after_s=retry_after_s, **params)


class Unavailable(Problem):
    """Ours or a neighbour's passing failure."""

    status, type, title = 503, "unavailable", "Temporarily unavailable"

    def __init__(self, detail: str = "", *, retry_after_s: int = 1, **params: Any) -> None:
        """``retry_after_s`` is in seconds."""
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)}, retry_after_s=retry_after_s, **params)
