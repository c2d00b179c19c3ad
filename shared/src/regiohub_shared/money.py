"""Money is integer cents of EUR; rates are ``Decimal`` percent; there is one rounding rule (half up)."""

from decimal import ROUND_HALF_UP, Decimal

CURRENCY = "EUR"


def round_half_up(value: Decimal) -> int:
    """Round to whole cents, halves away from zero."""
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def tax_in_gross(gross_cents: int, rate_percent: Decimal) -> int:
    """Return the tax contained in a gross amount, in cents: ``gross · r / (100 + r)``."""
    return round_half_up(Decimal(gross_cents) * rate_percent / (Decimal(100) + rate_percent))


def format_eur(cents: int) -> str:
    """Write cents as German text with a no-break space: ``1.234,50 €``."""
    euros, rest = divmod(abs(cents), 100)
    sign = "-" if cents < 0 else ""
    grouped = f"{euros:,}".replace(",", ".")
    return f"{sign}{grouped},{rest:02d}\u00a0€"
