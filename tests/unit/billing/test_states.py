"""Payments and refunds only move forward, whatever order the news comes in."""

from datetime import UTC, datetime, timedelta
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from regiohub_billing.domain.payment import (
    MIN_SESSION_AHEAD,
    PaymentStatus,
    Received,
    RefundStatus,
    mismatches,
    next_refund_status,
    next_status,
    refundable,
    session_expiry,
)

PAYMENTS = st.lists(st.sampled_from(PaymentStatus), min_size=1, max_size=8)
REFUNDS = st.lists(st.sampled_from(RefundStatus), min_size=1, max_size=8)
NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)


@given(PAYMENTS, st.randoms())
def test_the_end_state_does_not_depend_on_order_or_repeats(seen, random):
    shuffled = seen + random.sample(seen, len(seen))
    random.shuffle(shuffled)

    end = reduce(next_status, seen, PaymentStatus.CREATED)
    assert reduce(next_status, shuffled, PaymentStatus.CREATED) == end
    assert (end is PaymentStatus.SUCCEEDED) == (PaymentStatus.SUCCEEDED in seen)


@given(REFUNDS)
def test_a_failed_refund_stays_failed(seen):
    end = reduce(next_refund_status, seen, RefundStatus.CREATED)
    assert (end is RefundStatus.FAILED) == (RefundStatus.FAILED in seen)


def test_late_money_beats_an_expired_session():
    assert next_status(PaymentStatus.EXPIRED, PaymentStatus.SUCCEEDED) is PaymentStatus.SUCCEEDED
    assert next_status(PaymentStatus.SUCCEEDED, PaymentStatus.EXPIRED) is PaymentStatus.SUCCEEDED


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_refund_never_exceeds_what_is_left(paid, requested, wanted):
    amount = refundable(paid, requested, wanted)
    assert 0 <= amount <= wanted
    assert amount == 0 or requested + amount <= paid


@given(st.integers(-3000, 3000))
def test_a_session_ends_with_the_hold_but_never_too_soon(minutes):
    hold_end = NOW + timedelta(minutes=minutes)
    expiry = session_expiry(hold_end, NOW)

    assert NOW + MIN_SESSION_AHEAD <= expiry <= NOW + timedelta(hours=23)
    if MIN_SESSION_AHEAD <= hold_end - NOW <= timedelta(hours=23):
        assert expiry == hold_end


def test_every_differing_figure_is_named():
    ours = Received("p", "b", 1200, "EUR", livemode=False)

    assert mismatches(ours, ours) == []
    assert mismatches(ours, Received("p", "b", 1201, "USD", livemode=True)) == ["amount_cents", "currency", "livemode"]
    assert mismatches(ours, Received("x", "y", 1200, "EUR", livemode=False)) == ["payment_id", "booking_id"]
