"""Write HKR records as bytes by a profile: each treasury's software wants its own columns, encoding and marks."""

import csv
import io
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Literal

from regiohub_billing.domain.hkr import Record

_FORMULA_STARTS = ("=", "+", "-", "@")
_BY_HAND = str.maketrans(
    {
        "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ħ": "h", "Ħ": "H", "ı": "i", "ĸ": "k", "ŋ": "n", "Ŋ": "N",
        "ŧ": "t", "Ŧ": "T", "ő": "ö", "Ő": "Ö", "ű": "ü", "Ű": "Ü", "ẞ": "SS", "−": "-", "‐": "-", "‑": "-",
        "′": "'", "″": '"', "≤": "<=", "≥": ">=", "→": "->", "\u2009": " ", "\u202f": " ",
    }
)  # fmt: skip
"""Characters of European names and of typing that Unicode's decomposition does not resolve or resolves badly."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: title, the record's attribute, how it is written, and its greatest length (0 = any)."""

    title: str
    source: str
    kind: Literal["text", "amount", "date", "number"] = "text"
    length: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """How one treasury wants its file."""

    name: str
    encoding: str
    delimiter: str
    newline: str
    header: bool
    columns: tuple[Column, ...]
    date_format: str = "%d.%m.%Y"
    decimal_mark: str = ","


@dataclass(frozen=True, slots=True)
class Replaced:
    """A text that the target encoding cannot write, and what stands in its place."""

    position: int
    column: str
    original: str
    written: str


@dataclass(frozen=True, slots=True)
class File:
    """The bytes and what had to be replaced in them."""

    content: bytes
    replaced: list[Replaced] = field(default_factory=list)


DEFAULT = Profile(
    name="default",
    encoding="cp1252",
    delimiter=";",
    newline="\r\n",
    header=True,
    columns=(
        Column("Satzart", "record_type"),
        Column("LfdNr", "position", "number"),
        Column("Mandant", "mandant"),
        Column("Haushaltsjahr", "fiscal_year", "number"),
        Column("AnordnungsNrExtern", "order_id"),
        Column("Anordnungsdatum", "order_date", "date"),
        Column("Belegart", "voucher_kind"),
        Column("BelegNr", "voucher_number"),
        Column("BezugBelegNr", "refers_number"),
        Column("Kassenzeichen", "cash_sign"),
        Column("Debitor", "debtor"),
        Column("Name1", "name1", length=80),
        Column("Name2", "name2", length=80),
        Column("Straße", "street", length=80),
        Column("PLZ", "postcode", length=10),
        Column("Ort", "city", length=60),
        Column("Land", "country", length=2),
        Column("Betrag brutto", "gross_cents", "amount"),
        Column("Betrag netto", "net_cents", "amount"),
        Column("Steuerbetrag", "tax_cents", "amount"),
        Column("Steuerkennzeichen", "tax_code"),
        Column("Sachkonto", "revenue_account"),
        Column("Finanzkonto", "finance_account"),
        Column("Produkt", "product"),
        Column("Kostenstelle", "cost_centre"),
        Column("Fälligkeit", "due_date", "date"),
        Column("Verwendungszweck", "purpose", length=140),
        Column("Zahlungsreferenz", "payment_reference"),
    ),
)
PROFILES = {DEFAULT.name: DEFAULT}


def file_name(mandant: str, day: date, number: int) -> str:
    """Return ``HKR_<mandant>_<JJJJMMTT>_<lfd>.csv``."""
    return f"HKR_{mandant}_{day:%Y%m%d}_{number:04d}.csv"


def write(records: Sequence[Record], profile: Profile = DEFAULT) -> File:
    """Return the file's bytes and the list of texts that had to be transliterated."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=profile.delimiter, lineterminator=profile.newline)
    if profile.header:
        writer.writerow([column.title for column in profile.columns])
    rows, replaced = cells(records, profile)
    writer.writerows(rows)
    return File(out.getvalue().encode(profile.encoding), replaced)


def cells(records: Sequence[Record], profile: Profile = DEFAULT) -> tuple[list[list[str]], list[Replaced]]:
    """Return the cells exactly as the file will hold them, for a preview."""
    replaced: list[Replaced] = []
    return [_row(record, profile, replaced) for record in records], replaced


def neutralise(text: str) -> str:
    """Return text that a spreadsheet will not run: what starts with ``= + - @`` gets an apostrophe in front.

    Control characters become spaces first, since a tab or line break in front would hide the mark.
    """
    flat = "".join(" " if unicodedata.category(char) == "Cc" else char for char in text).strip()
    return f"'{flat}" if flat.startswith(_FORMULA_STARTS) else flat


def transliterate(text: str, encoding: str) -> str:
    """Return the text with each character that the encoding lacks replaced by its nearest one, else ``?``."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(char if _fits(char, encoding) else _nearest(char, encoding) for char in composed)


def _row(record: Record, profile: Profile, replaced: list[Replaced]) -> list[str]:
    values = asdict(record)
    return [_cell(values[column.source], column, profile, record.position, replaced) for column in profile.columns]


def _cell(value: object, column: Column, profile: Profile, position: int, replaced: list[Replaced]) -> str:
    if value is None or value == "":
        return ""
    if column.kind == "amount" and isinstance(value, int):
        return f"{value // 100}{profile.decimal_mark}{value % 100:02d}"
    if isinstance(value, date):
        return value.strftime(profile.date_format)
    if column.kind == "number":
        return str(value)
    # The nearest character of a full-width "＝" is "=": what is dangerous is judged after the replacement.
    original = str(value)
    written = transliterate(original, profile.encoding)
    if written != unicodedata.normalize("NFC", original):
        replaced.append(Replaced(position, column.title, original, written))
    safe = neutralise(written)
    return safe[: column.length] if column.length else safe


def _fits(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _nearest(char: str, encoding: str) -> str:
    by_hand = char.translate(_BY_HAND)
    if by_hand != char:
        return by_hand
    base = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    return base if base and _fits(base, encoding) else "?"
