"""Back-off grows, is capped and spread; a retry's fingerprint is that of its content."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiohub_shared.events.relay import RelayRules, backoff_s
from regiohub_shared.idempotency import IdempotencyKeyReused, Stored, attempt, check

RULES = RelayRules()


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_stays_in_bounds(attempts: int, spread: float) -> None:
    assert 0.3 < backoff_s(attempts, RULES, spread) <= RULES.max_backoff_s * 1.25


@given(st.integers(1, 8), st.floats(0, 1, exclude_max=True))
def test_backoff_doubles(attempts: int, spread: float) -> None:
    assert backoff_s(attempts + 1, RULES, spread) == pytest.approx(2 * backoff_s(attempts, RULES, spread))


def test_backoff_spreads() -> None:
    assert backoff_s(3, RULES, 0.0) == pytest.approx(1.5)
    assert backoff_s(3, RULES, 0.999) == pytest.approx(2.5, abs=0.01)


def test_default_rules_keep_trying_for_hours() -> None:
    total = sum(backoff_s(number, RULES, 0.5) for number in range(1, RULES.max_attempts))
    assert total > 2 * 3600


def test_lease_outlasts_the_clients_timeout() -> None:
    assert RULES.lease_s * 0.8 > 5.0


def test_fingerprint_ignores_order_and_quotes() -> None:
    one = attempt(sub="s", route="r", key=' "k" ', body={"a": 1, "b": [1, 2]})
    two = attempt(sub="s", route="r", key="k", body={"b": [1, 2], "a": 1})
    assert one == two
    assert attempt(sub="s", route="r", key="k", body={"a": 1, "b": [2, 1]}).fingerprint != one.fingerprint


def test_stored_response_needs_the_same_body() -> None:
    wanted = attempt(sub="s", route="r", key="k", body={})
    stored = Stored(201, {})
    assert check(None, "", wanted) is None
    assert check(stored, wanted.fingerprint, wanted) is stored
    with pytest.raises(IdempotencyKeyReused):
        check(stored, "other", wanted)
