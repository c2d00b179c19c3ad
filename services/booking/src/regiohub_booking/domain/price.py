"""What a slot costs: gross cents per started hour, with every step written down."""

from dataclasses import dataclass
from datetime import timedelta

from regiohub_booking.domain.slot import Slot
from regiohub_shared.money import format_eur

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Step:
    """One applied rule: a machine name with its figures, an English label, and what it adds in cents."""

    rule: str
    label: str
    quantity: int
    unit_cents: int
    cents: int


@dataclass(frozen=True, slots=True)
class Quote:
    """A price that is frozen on the booking; ``gross_cents`` is the sum of its steps."""

    gross_cents: int
    tax_code: str
    derivation: tuple[Step, ...]


def started_hours(duration: timedelta) -> int:
    """Count an hour as soon as it begins: 60 min is 1, 61 min is 2."""
    return -(-duration // _HOUR)


def quote(slot: Slot, *, cents_per_hour: int, tax_code: str) -> Quote:
    """Price ``slot``; a rate of 0 gives a free booking whose derivation says so."""
    if cents_per_hour == 0:
        return Quote(0, tax_code, (Step("free", "Free of charge", 1, 0, 0),))
    hours = started_hours(slot.duration)
    label = f"{hours} started {'hour' if hours == 1 else 'hours'} at {format_eur(cents_per_hour)}"
    step = Step("per-started-hour", label, hours, cents_per_hour, hours * cents_per_hour)
    return Quote(step.cents, tax_code, (step,))
