"""Prices per started hour; the life of a booking."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from regiohub_booking.domain.booking import Booking, Payment, judge
from regiohub_booking.domain.price import PriceTooLow, TotalNotPayable, check_rate, check_total, quote, started_hours
from regiohub_booking.domain.slot import Slot
from regiohub_booking.domain.states import Event, IllegalTransition, Status, can, next_status

ZERO = datetime(2026, 11, 25, 9, tzinfo=UTC)


@pytest.mark.parametrize(("minutes", "hours"), [(1, 1), (59, 1), (60, 1), (61, 2), (120, 2), (121, 3), (1440, 24)])
def test_an_hour_counts_as_soon_as_it_begins(minutes: int, hours: int) -> None:
    assert started_hours(timedelta(minutes=minutes)) == hours


@given(st.integers(1, 50_000), st.integers(0, 1_000_000))
def test_a_price_is_the_sum_of_its_steps_and_never_negative(minutes: int, rate: int) -> None:
    price = quote(Slot(ZERO, ZERO + timedelta(minutes=minutes)), cents_per_hour=rate, tax_code="S19")
    assert price.gross_cents == sum(step.cents for step in price.derivation) >= 0
    assert all(step.cents == step.quantity * step.unit_cents for step in price.derivation)
    assert (price.gross_cents == 0) is (rate == 0)


@pytest.mark.parametrize(("cents", "is_payable"), [(0, True), (1, False), (49, False), (50, True), (1_000_000, True)])
def test_a_price_per_hour_is_free_or_can_be_paid(cents: int, is_payable: bool) -> None:
    if is_payable:
        check_rate(cents)
        return
    with pytest.raises(PriceTooLow) as refused:
        check_rate(cents)
    assert refused.value.params["minimum_cents"] == 50


@pytest.mark.parametrize(
    ("cents", "is_payable"),
    [(0, True), (49, False), (50, True), (99_999_999, True), (100_000_000, False), (2**40, False)],
)
def test_a_total_is_free_or_fits_into_one_payment(cents: int, is_payable: bool) -> None:
    if is_payable:
        check_total(cents)
        return
    with pytest.raises(TotalNotPayable) as refused:
        check_total(cents)
    assert (refused.value.params["minimum_cents"], refused.value.params["maximum_cents"]) == (50, 99_999_999)


@given(st.integers(1, 5_000), st.integers(1, 5_000), st.integers(0, 10_000))
def test_longer_never_costs_less(one: int, other: int, rate: int) -> None:
    short, long = sorted((one, other))
    prices = [
        quote(Slot(ZERO, ZERO + timedelta(minutes=m)), cents_per_hour=rate, tax_code="E12") for m in (short, long)
    ]
    assert prices[0].gross_cents <= prices[1].gross_cents


def test_the_label_is_readable_and_the_parts_are_for_translation() -> None:
    [step] = quote(Slot(ZERO, ZERO + timedelta(minutes=150)), cents_per_hour=450, tax_code="S07").derivation
    assert step.label == "3 started hours at 4,50\u00a0€"
    assert (step.rule, step.quantity, step.unit_cents, step.cents) == ("per-started-hour", 3, 450, 1350)


ALLOWED = {
    ("requested", "approve", "held"), ("requested", "reject", "rejected"), ("requested", "expire", "expired"),
    ("requested", "cancel", "cancelled"), ("held", "confirm", "confirmed"), ("held", "expire", "expired"),
    ("held", "cancel", "cancelled"), ("expired", "confirm_late", "confirmed"), ("confirmed", "cancel", "cancelled"),
    ("confirmed", "move", "confirmed"), ("confirmed", "check_in", "checked_in"), ("confirmed", "complete", "completed"),
    ("checked_in", "complete", "completed"), ("checked_in", "revoke", "cancelled"),
}  # fmt: skip


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("event", Event)
def test_every_pair_is_decided(status: Status, event: Event) -> None:
    found = {after for before, what, after in ALLOWED if (before, what) == (status.value, event.value)}
    assert can(status, event) is bool(found)
    if found:
        assert next_status(status, event) == found.pop()
    else:
        with pytest.raises(IllegalTransition):
            next_status(status, event)


def held(gross: int = 400) -> Booking:
    return Booking(
        id=uuid4(), code="ABCDEFGH", sub="s", hub="bendorf", hub_name="Bendorf", operator="stadt-bendorf",
        status=Status.HELD, version=1,
        gross_cents=gross, fee_cents=0, starts_at=ZERO + timedelta(hours=5), ends_at=ZERO + timedelta(hours=6),
        created_at=ZERO, lines=(), held_at=ZERO, hold_until=ZERO + timedelta(minutes=35),
    )  # fmt: skip


def payment(paid: int = 400) -> Payment:
    return Payment(uuid4(), 1, paid, 0, None)


@pytest.mark.parametrize(
    ("booking", "paid", "now", "decision"),
    [
        (held(), 400, ZERO, "accepted"),
        (held(), 399, ZERO, "wait"),
        (held(), 0, ZERO, "wait"),
        (held(), 400, ZERO + timedelta(hours=2), "accepted"),
        (held(), 400, ZERO + timedelta(hours=6), "refund"),
        (held().expire(ZERO), 400, ZERO, "try_slot"),
        (held().expire(ZERO), 400, ZERO + timedelta(hours=6), "refund"),
        (held().cancel(ZERO, "member"), 400, ZERO, "refund"),
        (held().confirm(ZERO), 400, ZERO, "refund"),
        (held(0).confirm(ZERO), 0, ZERO, "wait"),
        (held(0).confirm(ZERO), 1, ZERO, "refund"),
    ],
)
def test_what_a_payment_does(booking: Booking, paid: int, now: datetime, decision: str) -> None:
    assert judge(booking, payment(paid), now) == decision


def test_money_that_went_back_already_opens_no_door() -> None:
    assert judge(held(), Payment(uuid4(), 3, 400, 400, None), ZERO) == "wait"


def test_a_verdict_stays() -> None:
    decided = Payment(uuid4(), 2, 400, 400, "accepted")
    assert judge(held().cancel(ZERO, "member"), decided, ZERO) == "accepted"


class Life(RuleBasedStateMachine):
    """Any events in any order: stamps are never cleared, versions only rise, an end stays an end."""

    def __init__(self) -> None:
        super().__init__()
        self.booking = held()
        self.now = ZERO
        self.seen: dict[str, datetime] = {}

    def _try(self, changed: Booking) -> None:
        assert changed.version in {self.booking.version, self.booking.version + 1}
        self.booking = changed

    @rule(
        event=st.sampled_from(["confirm", "confirm_late", "expire", "complete", "check_in"]), minutes=st.integers(1, 90)
    )
    def happen(self, event: str, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        before = self.booking.status
        try:
            self._try(getattr(self.booking, event)(self.now))
        except IllegalTransition:
            assert self.booking.status is before

    @rule(by=st.sampled_from(["member", "operator", "closure"]))
    def cancel(self, by: str) -> None:
        if can(self.booking.status, Event.CANCEL):
            self._try(self.booking.cancel(self.now, by))

    @rule(paid=st.sampled_from([0, 399, 400]))
    def pay(self, paid: int) -> None:
        wanted = payment(paid)
        decision = judge(self.booking, wanted, self.now)
        if decision in {"accepted", "try_slot"}:
            assert self.booking.status in {Status.HELD, Status.EXPIRED}
            self._try(self.booking.settle(Payment(wanted.payment_id, 1, paid, 0, "accepted"), self.now))
            assert self.booking.status.value == "confirmed"
        elif decision == "refund":
            self._try(self.booking.settle(Payment(wanted.payment_id, 1, paid, 0, "refund"), self.now))

    @invariant()
    def stamps_stay(self) -> None:
        for name in ("held_at", "confirmed_at", "cancelled_at", "expired_at", "checked_in_at", "completed_at"):
            stamp = getattr(self.booking, name)
            assert stamp is not None or name not in self.seen
            if stamp is not None:
                assert self.seen.setdefault(name, stamp) >= stamp
        if self.booking.status in {Status.CONFIRMED, Status.CHECKED_IN, Status.COMPLETED}:
            assert self.booking.confirmed_at is not None
        accepted = [one for one in self.booking.payments if one.verdict == "accepted"]
        assert len(accepted) <= 1
        if self.booking.cancelled_at:
            assert self.booking.status is Status.CANCELLED


TestLife = Life.TestCase
