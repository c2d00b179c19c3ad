"""The reader's decisions: passes, PINs, the pause after wrong PINs, the clock."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiohub_access.reader.clock import Moment
from regiohub_access.reader.decide import Decided, PassShown, PinTyped, decide
from regiohub_access.reader.state import State
from regiohub_access.reader.wire import GRANTED, Door, Pin
from regiohub_access.rh1 import Reason
from tests.unit.access import rh1_vectors as v

HOUR = timedelta(hours=1)
PINS = (
    Pin("pin-now", "482913", (1, 12), v.NOW - HOUR, v.NOW + HOUR),
    Pin("pin-later", "719264", (12,), v.NOW + HOUR, v.NOW + 2 * HOUR),
    Pin("pin-past", "300518", (12,), v.NOW - 2 * HOUR, v.NOW - HOUR),
    Pin("pin-split", "555012", (12,), v.NOW - 2 * HOUR, v.NOW - HOUR),
    Pin("pin-split", "555012", (12,), v.NOW - HOUR, v.NOW + HOUR),
    Pin("pin-other-door", "904127", (1,), v.NOW - HOUR, v.NOW + HOUR),
)
ALL_DAY = Pin("pin-all-day", "640275", (1, 12), v.NOW - HOUR, v.NOW + 72 * HOUR)
STATE = State(
    issuer=v.CLAIMS.issuer,
    hub="bendorf",
    doors=(Door(1, "Haustür"), Door(12, "Desk 2")),
    keys=v.VERIFIER.keys,
    pins=PINS,
    latest_seen=v.NOW,
)
NOW = Moment(v.NOW, v.NOW)


def later(seconds: float) -> Moment:
    moved = v.NOW + timedelta(seconds=seconds)
    return Moment(moved, moved)


def after(state: State, decided: Decided) -> State:
    if decided.guard is not None:
        state = replace(state, guards={**state.guards, decided.door: decided.guard})
    return state


def type_pins(state: State, pins: list[str], moment: Moment = NOW, door: int = 12) -> tuple[State, list[str]]:
    reasons = []
    for pin in pins:
        decided = decide(state, PinTyped(door, pin), moment)
        state = after(state, decided)
        reasons.append(decided.reason)
    return state, reasons


def test_a_pass_opens():
    decided = decide(STATE, PassShown(12, v.shown()), NOW)
    assert (decided.decision, decided.pass_id, decided.ts) == ("allowed", v.CLAIMS.pass_id, v.TS)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hub": "mayen"}, Reason.FOREIGN_HUB),
        ({"issuer": "other"}, Reason.FOREIGN_ISSUER),
        ({"keys": {}}, Reason.UNKNOWN_KEY),
        ({"denied": {v.CLAIMS.pass_id: v.CLAIMS.expires_at}}, Reason.REVOKED),
        ({"last_ts": {v.CLAIMS.pass_id: v.TS}}, Reason.REPLAYED),
        ({"doors": ()}, Reason.UNKNOWN_DOOR),
        ({"is_clock_off": True}, Reason.CLOCK),
        ({"latest_seen": v.NOW + timedelta(seconds=61)}, Reason.CLOCK),
    ],
)
def test_a_pass_is_refused(change, reason):
    decided = decide(replace(STATE, **change), PassShown(12, v.shown()), NOW)
    assert (decided.decision, decided.reason, decided.ts) == ("denied", reason, None)


def test_business_time_judges_the_window_and_real_time_the_proof():
    shifted = Moment(now=v.NOW, real=v.NOW + timedelta(days=30))
    proof = replace(v.PROOF, ts=int(shifted.real.timestamp()))
    assert decide(STATE, PassShown(12, v.shown(proof=proof)), shifted).reason == GRANTED
    assert decide(STATE, PassShown(12, v.shown()), shifted).reason == Reason.STALE
    assert (
        decide(STATE, PassShown(12, v.shown(proof=proof)), replace(shifted, now=shifted.real)).reason == Reason.EXPIRED
    )


@pytest.mark.parametrize(
    ("pin", "reason", "pin_id"),
    [
        ("482913", GRANTED, "pin-now"),
        ("555012", GRANTED, "pin-split"),
        ("719264", Reason.NOT_YET_VALID, "pin-later"),
        ("300518", Reason.EXPIRED, "pin-past"),
        ("904127", Reason.WRONG_DOOR, None),
        ("000000", Reason.PIN_UNKNOWN, None),
        ("", Reason.PIN_UNKNOWN, None),
        ("48291३", Reason.PIN_UNKNOWN, None),
        ("\ud800", Reason.PIN_UNKNOWN, None),
    ],
)
def test_a_pin(pin, reason, pin_id):
    decided = decide(STATE, PinTyped(12, pin), NOW)
    assert (decided.reason, decided.pin_id) == (reason, pin_id)


def test_windows_are_half_open():
    assert decide(STATE, PinTyped(12, "719264"), later(3600)).reason == GRANTED
    assert decide(STATE, PinTyped(12, "482913"), later(3600)).reason == Reason.EXPIRED


def test_a_lost_clock_stops_pins_too():
    assert decide(replace(STATE, is_clock_off=True), PinTyped(12, "482913"), NOW).reason == Reason.CLOCK


def test_five_wrong_pins_pause_that_door_for_60_seconds():
    state, reasons = type_pins(STATE, ["000000"] * 5 + ["482913"])
    assert reasons == [Reason.PIN_UNKNOWN] * 5 + [Reason.PIN_PAUSED]
    assert decide(state, PinTyped(12, "482913"), later(59.9)).reason == Reason.PIN_PAUSED
    assert decide(state, PinTyped(12, "482913"), later(60)).reason == GRANTED
    assert decide(state, PinTyped(1, "482913"), NOW).reason == GRANTED
    assert decide(state, PassShown(12, v.shown()), NOW).reason == GRANTED


def test_a_right_pin_forgives_no_wrong_one():
    _, reasons = type_pins(STATE, (["000000"] * 4 + ["482913"]) * 3)
    assert reasons[:7] == [Reason.PIN_UNKNOWN] * 4 + [GRANTED, Reason.PIN_UNKNOWN, Reason.PIN_PAUSED]


@pytest.mark.parametrize("own", [1, 4])
def test_whoever_holds_a_right_pin_cannot_guess_more_than_50_times_a_day(own):
    """A try each 10 s for a day, its own PIN after each or each fourth guess."""
    state, refused, moment = replace(STATE, pins=(ALL_DAY,)), 0, NOW
    for number in range(86400 // 10):
        pin = ALL_DAY.pin if number % (own + 1) == own else "000000"
        moment = later(number * 10)
        state, reasons = type_pins(state, [pin], moment)
        refused += reasons == [Reason.PIN_UNKNOWN]
    assert 40 <= refused <= 50
    assert decide(state, PinTyped(12, ALL_DAY.pin), moment).reason == Reason.PIN_PAUSED
    assert decide(state, PinTyped(1, ALL_DAY.pin), moment).reason == GRANTED
    assert decide(state, PinTyped(12, ALL_DAY.pin), later(2 * 86400 - 1)).reason == GRANTED


def test_wrong_tries_are_forgiven_by_time_alone():
    state, _ = type_pins(STATE, ["000000"] * 4)
    _, soon = type_pins(state, ["000000", "482913"], later(3599))
    _, late = type_pins(state, ["000000", "555012"], later(3599.9))
    assert (soon, late) == ([Reason.PIN_UNKNOWN, Reason.PIN_PAUSED],) * 2
    _, forgiven = type_pins(replace(state, pins=(ALL_DAY,)), ["000000", ALL_DAY.pin], later(3600))
    assert forgiven == [Reason.PIN_UNKNOWN, GRANTED]


def test_tries_of_a_clock_that_ran_ahead_count_for_nothing():
    state, _ = type_pins(STATE, ["000000"] * 5, later(400 * 86400))
    assert decide(state, PinTyped(12, "482913"), NOW).reason == GRANTED


@pytest.mark.parametrize("pin", ["719264", "300518", "904127", "000000"])
def test_the_door_does_not_say_which_pins_exist(pin):
    decided = decide(STATE, PinTyped(12, pin), NOW)
    assert decided.told == Reason.PIN_UNKNOWN
    assert decided.decision == "denied"


def test_a_right_pin_a_pause_and_a_pass_are_told_as_they_are():
    state, _ = type_pins(STATE, ["000000"] * 5)
    assert decide(STATE, PinTyped(12, "482913"), NOW).told == GRANTED
    assert decide(state, PinTyped(12, "482913"), NOW).told == Reason.PIN_PAUSED
    assert decide(replace(STATE, hub="mayen"), PassShown(12, v.shown()), NOW).told == Reason.FOREIGN_HUB
    expired = Moment(v.CLAIMS.expires_at, v.NOW)
    assert decide(STATE, PassShown(12, v.shown()), expired).told == Reason.EXPIRED


def test_tries_during_the_pause_do_not_prolong_it():
    state, _ = type_pins(STATE, ["000000"] * 50)
    assert decide(state, PinTyped(12, "482913"), later(60)).reason == GRANTED


def test_known_pins_outside_their_window_count_as_wrong():
    _, reasons = type_pins(STATE, ["719264"] * 5 + ["482913"])
    assert reasons[-1] == Reason.PIN_PAUSED


def test_each_further_pause_within_the_hour_is_twice_as_long_up_to_15_minutes():
    state, moment, lengths = STATE, NOW, []
    for _ in range(6):
        state, _ = type_pins(state, ["000000"] * 5, moment)
        until = state.guards[12].paused_until
        lengths.append((until - moment.real).total_seconds())
        moment = Moment(until, until)
    assert lengths == [60, 120, 240, 480, 900, 900]


def test_a_typed_pin_does_not_show_itself():
    assert "482913" not in repr(PinTyped(12, "482913")) + repr(PINS[0]) + repr(
        decide(STATE, PinTyped(12, "482913"), NOW)
    )


@given(st.text(max_size=40), st.integers(-5, 20))
def test_nothing_shown_ever_raises_or_opens_by_chance(text, door):
    pin = decide(STATE, PinTyped(door, text), NOW)
    known = any(text == stored.pin for stored in PINS)
    assert known or pin.decision == "denied"
    assert decide(STATE, PassShown(door, text), NOW).decision == "denied"
