"""Refusals carry their parameters and cannot lose their standard members."""

import pytest

from regiohub_shared import problem
from regiohub_shared.problem import Conflict, Problem, TooManyRequests, Unauthorized, Unavailable


class SlotTaken(Conflict):
    """A rule's own refusal."""

    type, title = "slot-taken", "The slot is taken"


def test_body() -> None:
    refusal = SlotTaken("Someone was faster.", alternatives=["a", "b"], errors=[{"pointer": "/x", "detail": "y"}])
    assert refusal.body("req-1") == {
        "type": "/problems/slot-taken", "title": "The slot is taken", "status": 409, "detail": "Someone was faster.",
        "instance": "req-1", "errors": [{"pointer": "/x", "detail": "y"}], "alternatives": ["a", "b"],
    }  # fmt: skip


def test_a_parameter_never_replaces_a_standard_member() -> None:
    body = SlotTaken("Real.", status="held", type="other", title="other", instance="other").body("req-1")
    assert (body["status"], body["type"], body["title"], body["instance"]) == (
        409, "/problems/slot-taken", "The slot is taken", "req-1",
    )  # fmt: skip


def test_no_errors_member_without_errors() -> None:
    assert "errors" not in SlotTaken().body("")


def test_text_is_detail_or_title() -> None:
    assert str(SlotTaken()) == "The slot is taken"
    assert str(SlotTaken("Because.")) == "Because."


@pytest.mark.parametrize("kind", [TooManyRequests, Unavailable])
def test_retry_after_is_header_and_member(kind: type[Problem]) -> None:
    refusal = kind(retry_after_s=7)
    assert refusal.headers == {"Retry-After": "7"}
    assert refusal.body("")["retry_after_s"] == 7


def test_challenge() -> None:
    assert Unauthorized().headers == {"WWW-Authenticate": "Bearer"}


def test_names_and_statuses() -> None:
    kinds = [item for item in vars(problem).values() if isinstance(item, type) and issubclass(item, Problem)]
    assert {kind.__name__: kind.status for kind in kinds} == {
        "Problem": 500, "BadRequest": 400, "Unauthorized": 401, "Forbidden": 403, "NotFound": 404,
        "MethodNotAllowed": 405, "SlowBody": 408, "Conflict": 409, "PreconditionFailed": 412, "TooLarge": 413, "Malformed": 422,
        "PreconditionRequired": 428, "TooManyRequests": 429, "Unavailable": 503,
    }  # fmt: skip
    assert len({kind.type for kind in kinds}) == len(kinds)
