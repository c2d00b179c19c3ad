"""Whether a door opens. Pure: the state, what was shown and the time come in, a decision comes out."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from regiohub_access.reader.clock import Moment
from regiohub_access.reader.state import CLOCK_LEEWAY, PinGuard, State
from regiohub_access.reader.wire import GRANTED, Decision, Kind, Pin
from regiohub_access.rh1 import Reason, Refused, Verifier, verify

WRONG_PINS = 5
"""Each fifth refused PIN within ``PIN_MEMORY`` pauses PINs at the door."""
PIN_MEMORY = timedelta(hours=1)
FIRST_PAUSE = timedelta(seconds=60)
LONGEST_PAUSE = timedelta(minutes=15)
PINS_A_DAY = 50
"""Refused PINs at one door within any 24 hours; then PINs pause there until the oldest is a day old."""
DAY = timedelta(days=1)
_UNTOLD = {Reason.NOT_YET_VALID, Reason.EXPIRED, Reason.WRONG_DOOR}


@dataclass(frozen=True, slots=True)
class PassShown:
    """A presentation (`RH1:…`) held to the reader of `door`."""

    door: int
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class PinTyped:
    """A PIN typed at `door`; the repr hides it, so that no log ever shows it."""

    door: int
    pin: str

    def __repr__(self) -> str:
        return f"PinTyped(door={self.door})"


Shown = PassShown | PinTyped


@dataclass(frozen=True, slots=True)
class Decided:
    """The decision and what must be stored before the door may open: `ts` of a pass, `guard` of a keypad, the command."""

    door: int
    kind: Kind
    reason: str
    pass_id: bytes | None = None
    pin_id: str | None = None
    ts: int | None = None
    guard: PinGuard | None = None
    command_id: str | None = None
    command_until: datetime | None = None

    @property
    def decision(self) -> Decision:
        """Allowed only for the one reason that allows."""
        return "allowed" if self.reason == GRANTED else "denied"

    @property
    def told(self) -> str:
        """The reason as whoever stands at the door may know it."""
        return told(self.kind, self.reason)


def told(kind: Kind, reason: str) -> str:
    """`pin_unknown` for every PIN that does not open now: a precise reason would tell which PINs exist."""
    return Reason.PIN_UNKNOWN if kind == "pin" and reason in _UNTOLD else reason


def decide(state: State, shown: Shown, moment: Moment) -> Decided:
    """Decide; never raises for anything that can be shown."""
    kind: Kind = "pass" if isinstance(shown, PassShown) else "pin"
    if all(shown.door != door.number for door in state.doors):
        return Decided(shown.door, kind, Reason.UNKNOWN_DOOR)
    if state.is_clock_off or moment.real < state.latest_seen - CLOCK_LEEWAY:
        return Decided(shown.door, kind, Reason.CLOCK)
    return _pass(state, shown, moment) if isinstance(shown, PassShown) else _pin(state, shown, moment)


def _pass(state: State, shown: PassShown, moment: Moment) -> Decided:
    verifier = Verifier(state.issuer, state.hub, shown.door, state.keys, state.denied, state.last_ts)
    try:
        verified = verify(shown.text, verifier, now=moment.now, real_now=moment.real)
    except Refused as refused:
        return Decided(shown.door, "pass", refused.reason, pass_id=refused.pass_id)
    return Decided(shown.door, "pass", GRANTED, pass_id=verified.claims.pass_id, ts=verified.ts)


def _pin(state: State, shown: PinTyped, moment: Moment) -> Decided:
    guard = state.guards.get(shown.door, PinGuard())
    if _is_paused(guard, moment.real):
        return Decided(shown.door, "pin", Reason.PIN_PAUSED)
    reason, pin = _judge([pin for pin in state.pins if _same(pin.pin, shown.pin)], shown.door, moment.now)
    # A right PIN forgives nothing: its holder could else guess between two uses of it, without end.
    changed = None if reason == GRANTED else _refused(guard, moment.real)
    return Decided(shown.door, "pin", reason, pin_id=pin.pin_id if pin else None, guard=changed)


def _is_paused(guard: PinGuard, real_now: datetime) -> bool:
    # An end further ahead was set by a clock that ran ahead, and would close the door to PINs for good.
    return real_now < guard.paused_until <= real_now + DAY + CLOCK_LEEWAY


def _same(stored: str, typed: str) -> bool:
    return hmac.compare_digest(stored.encode(), typed.encode(errors="replace"))


def _judge(matching: Sequence[Pin], door: int, now: datetime) -> tuple[str, Pin | None]:
    here = [pin for pin in matching if door in pin.doors]
    for pin in here:
        if pin.starts_at <= now < pin.ends_at:
            return GRANTED, pin
    if here:
        coming = [pin for pin in here if now < pin.starts_at]
        return (Reason.NOT_YET_VALID, coming[0]) if coming else (Reason.EXPIRED, here[0])
    # The same digits may belong to somebody else at another door, so nobody is named.
    return (Reason.WRONG_DOOR if matching else Reason.PIN_UNKNOWN), None


def _refused(guard: PinGuard, real_now: datetime) -> PinGuard:
    """Count a refused PIN, unknown or known alike; only time forgives it."""
    known = [at for at in guard.refused if real_now - DAY < at <= real_now + CLOCK_LEEWAY]
    tries = (*known, real_now)[-PINS_A_DAY:]
    if len(tries) == PINS_A_DAY:
        return PinGuard(tries, tries[0] + DAY)
    rounds, rest = divmod(sum(at > real_now - PIN_MEMORY for at in tries), WRONG_PINS)
    pause = timedelta() if rest else min(FIRST_PAUSE * 2 ** (rounds - 1), LONGEST_PAUSE)
    return PinGuard(tries, real_now + pause)
