"""Write HKR records as bytes by a profile: each treasury's software wants its own columns, encoding and marks."""

import csv
import io
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

from anyascii import anyascii

from regiohub_billing.domain.hkr import Record

_FORMULA_STARTS = ("=", "+", "-", "@")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
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
    rest: str = ""
    """The record's attribute that takes what is too long for this column."""


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
    """A text that does not stand in the file as it is, and what stands in its place."""

    position: int
    column: str
    original: str
    written: str
    reason: Literal["encoding", "length"]
    """The encoding lacks a character, or the column is too narrow."""


@dataclass(frozen=True, slots=True)
class File:
    """The bytes, their cells (without the header), and what had to be replaced in them."""

    content: bytes
    rows: list[list[str]]
    replaced: list[Replaced]


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
        Column("Name1", "name1", length=80, rest="name2"),
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
    """Return the file's bytes, its cells, and the list of texts that had to be replaced."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=profile.delimiter, lineterminator=profile.newline)
    if profile.header:
        writer.writerow([column.title for column in profile.columns])
    replaced: list[Replaced] = []
    rows = [_row(record, profile, replaced) for record in records]
    writer.writerows(rows)
    return File(out.getvalue().encode(profile.encoding), rows, replaced)


def neutralise(text: str) -> str:
    """Return text that a spreadsheet will not run: what starts with ``= + - @`` gets an apostrophe in front.

    Control characters become spaces first, since a tab or line break in front would hide the mark.
    """
    flat = _CONTROL.sub(" ", text).strip()
    return f"'{flat}" if flat.startswith(_FORMULA_STARTS) else flat


def transliterate(text: str, encoding: str) -> str:
    """Return the text with each character that the encoding lacks replaced by its nearest one or Latin spelling.

    What has neither becomes ``?``.
    """
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFC", text)
    if _fits(composed, encoding):
        return composed
    return "".join(char if _fits(char, encoding) else _nearest(char, encoding) for char in composed)


def _row(record: Record, profile: Profile, replaced: list[Replaced]) -> list[str]:
    record = _spread(record, profile)
    return [
        _cell(getattr(record, column.source), column, profile, record.position, replaced) for column in profile.columns
    ]


def _spread(record: Record, profile: Profile) -> Record:
    """Move what is too long for a column to the one that takes its rest, at a space if there is one."""
    for column in profile.columns:
        if not column.rest or getattr(record, column.rest):
            continue
        text = neutralise(transliterate(getattr(record, column.source), profile.encoding))
        if len(text) > column.length:
            head, tail = _break(" ".join(getattr(record, column.source).split()), column.length - 1, profile.encoding)
            changes: dict[str, Any] = {column.source: head, column.rest: tail}
            record = replace(record, **changes)
    return record


def _break(text: str, length: int, encoding: str) -> tuple[str, str]:
    """Return head and tail; the head is measured as it will stand in the file, where one letter can become several."""
    fitting = (n for n in range(length, 0, -1) if len(transliterate(text[:n], encoding)) <= length)
    longest = next(fitting, 1)
    at = text.rfind(" ", 0, longest + 1)
    at = at if at > 0 else longest
    return text[:at], text[at:].lstrip()


def _cell(value: object, column: Column, profile: Profile, position: int, replaced: list[Replaced]) -> str:
    if value is None or value == "":
        return ""
    if column.kind == "amount" and isinstance(value, int):
        return f"{value // 100}{profile.decimal_mark}{value % 100:02d}"
    if isinstance(value, date):
        return value.strftime(profile.date_format)
    if column.kind == "number":
        return str(value)
    return _text(str(value), column, profile, position, replaced)


def _text(original: str, column: Column, profile: Profile, position: int, replaced: list[Replaced]) -> str:
    # The nearest character of a full-width "＝" is "=": what is dangerous is judged after the replacement.
    written = transliterate(original, profile.encoding)
    safe = neutralise(written)
    if column.length and len(safe) > column.length:
        safe = safe[: column.length]
        replaced.append(Replaced(position, column.title, original, safe, "length"))
    elif written != original and written != unicodedata.normalize("NFC", original):
        replaced.append(Replaced(position, column.title, original, written, "encoding"))
    return safe


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
    # Of another script, the name as Latin letters spell it: a treasury books no debtor called "????".
    return base if base and _fits(base, encoding) else anyascii(char) or "?"
