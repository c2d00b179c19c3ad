"""A document as a page that prints well: German, no script, nothing loaded from anywhere.

What is printed is the document alone. Around it, on a screen only: the way back, and English beside the German.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from regiohub_billing.domain.document import CANCELLATION, ZONE, Line, TaxTotal, tax_totals
from regiohub_shared.money import format_eur

_FOLDER = Path(__file__).parent / "templates"
_STYLE = (_FOLDER / "document.css").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Printed:
    """What the page shows."""

    kind: str
    number: str
    refers_number: str
    test: bool
    issue_date: date
    booking_code: str
    seller: dict[str, Any]
    buyer: dict[str, Any]
    lines: Sequence[Line]
    net_cents: int
    tax_cents: int
    gross_cents: int
    payment_reference: str


@dataclass(frozen=True, slots=True)
class Shell:
    """What stands around the document on a screen and is no part of it."""

    english: bool = False
    """For people who read English: labels beside the German ones, which alone count."""
    back: str = ""
    """Where the page was opened from."""


def style_source() -> str:
    """Return the CSP source that allows the page's own style sheet and no other."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return f"'sha256-{digest}'"


_BARE = Shell()
_ENGLISH = {
    "Rechnung": "Invoice", "Stornorechnung": "Cancellation of an invoice", "Nummer": "Number", "Datum": "Date",
    "Buchung": "Booking", "Steuernummer": "Tax number", "USt-IdNr.": "VAT ID", "Leistungen": "Services", "Pos.": "No.",
    "Leistung": "Service", "Zeitraum der Leistung": "Period of service", "USt": "VAT", "Netto": "Net",
    "Brutto": "Gross", "Umsatzsteuer": "VAT", "Rechnungsbetrag": "Invoice total", "Korrekturbetrag": "Total taken back",
}  # fmt: skip


def page(document: Printed, shell: Shell = _BARE) -> str:
    """Return the HTML of an invoice or Stornorechnung."""
    totals = tax_totals(document.lines)
    return _TEMPLATES.get_template("document.html").render(
        doc=document, shell=shell, english=_ENGLISH, style=_STYLE, totals=totals, notes=_notes(totals),
        sign=-1 if document.kind == CANCELLATION else 1,
    )  # fmt: skip


def _notes(totals: Sequence[TaxTotal]) -> list[str]:
    return list(dict.fromkeys(total.note for total in totals if total.note))


def _rate(value: Decimal) -> str:
    return f"{value.normalize():f}".replace(".", ",") + "\u00a0%"


def _day(value: date) -> str:
    return f"{value:%d.%m.%Y}"


def _span(start: datetime, end: datetime) -> str:
    begins, ends = start.astimezone(ZONE), end.astimezone(ZONE)
    until = f"{ends:%H:%M}" if begins.date() == ends.date() else f"{ends:%d.%m.%Y %H:%M}"
    return f"{begins:%d.%m.%Y %H:%M}–{until} Uhr"


_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_TEMPLATES.filters |= {"eur": format_eur, "rate": _rate, "day": _day}
_TEMPLATES.globals["span"] = _span
