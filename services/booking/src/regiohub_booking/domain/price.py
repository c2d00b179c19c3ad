"""What a slot costs: gross cents per started hour, with every step written down."""

from dataclasses import dataclass
from datetime import timedelta

from regiohub_booking.domain.slot import Slot
from regiohub_shared.money import format_eur
from regiohub_shared.problem import Conflict, Malformed

_HOUR = timedelta(hours=1)
MIN_CHARGE_CENTS = 50
"""Stripe's minimum charge in EUR: less can be held, but never be paid."""
MAX_CHARGE_CENTS = 99_999_999
"""Stripe takes eight digits at most; it is also far inside the columns that hold a price."""


class PriceTooLow(Malformed):
    """Too little to be paid online; ``minimum_cents`` says from where on it works, 0 works too."""

    type, title = "price-too-low", "A price is 0 or at least the smallest amount that can be paid"


class TotalNotPayable(Conflict):
    """The whole booking costs more, or less, than one payment can be; ``minimum_cents`` and ``maximum_cents`` bound it."""

    type, title = "total-not-payable", "This total cannot be paid in one payment"


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


def check_rate(cents_per_hour: int) -> None:
    """Raise :class:`PriceTooLow` unless it is free or its shortest booking, one started hour, can be paid."""
    if 0 < cents_per_hour < MIN_CHARGE_CENTS:
        raise PriceTooLow(
            f"Online payment begins at {format_eur(MIN_CHARGE_CENTS)}: a price per hour is 0 or at least that.",
            minimum_cents=MIN_CHARGE_CENTS,
        )  # fmt: skip


def check_total(gross_cents: int) -> None:
    """Raise :class:`TotalNotPayable` unless it is free or one payment can be of that size."""
    if gross_cents and not MIN_CHARGE_CENTS <= gross_cents <= MAX_CHARGE_CENTS:
        raise TotalNotPayable(
            f"The total is {format_eur(gross_cents)}; one payment is at least {format_eur(MIN_CHARGE_CENTS)} "
            f"and at most {format_eur(MAX_CHARGE_CENTS)}.",
            gross_cents=gross_cents, minimum_cents=MIN_CHARGE_CENTS, maximum_cents=MAX_CHARGE_CENTS,
        )  # fmt: skip


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
