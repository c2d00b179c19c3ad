"""Building blocks of all shapes: times, texts, prices."""

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Annotated, Any, Literal, Self, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from regiohub_booking.domain.price import Quote
from regiohub_shared.clock import FIRST_YEAR, LAST_YEAR
from regiohub_shared.money import CURRENCY

Row = Mapping[str, Any]
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_CLOCK = re.compile(r"\d\d:\d\d(:\d\d)?")


def _text_only(value: Any) -> Any:
    """Numbers are no times, also as text: lax parsing would take 0 as 1970."""
    if not isinstance(value, datetime) and not (isinstance(value, str) and _DATE_TIME.match(value)):
        raise ValueError("a time is a text like 2026-11-25T09:00:00+01:00")
    return value


def _is_date(value: Any) -> Any:
    if not isinstance(value, date) and not (isinstance(value, str) and _DATE.fullmatch(value)):
        raise ValueError("a date is a text like 2026-11-25")
    return value


def _is_clock(value: Any) -> Any:
    """Wall time has no offset; with one it would be read as another moment than it says."""
    if not isinstance(value, time) and not (isinstance(value, str) and _CLOCK.fullmatch(value)):
        raise ValueError("wall time is a text like 09:00, without offset")
    return value


_AnyDate = TypeVar("_AnyDate", bound=date)


def _in_reach(value: _AnyDate) -> _AnyDate:
    """Near the ends of the calendar, arithmetic with zones and margins has no result."""
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError("the year is out of range")
    return value


def _has_zone(value: datetime) -> datetime:
    if value.utcoffset() is None:
        raise ValueError("the time needs an offset from UTC, such as +01:00 or Z")
    return _in_reach(value)


Moment = Annotated[
    datetime,
    BeforeValidator(_text_only),
    AfterValidator(_has_zone),
    Field(examples=["2026-11-25T09:00:00+01:00"], json_schema_extra={"format": "date-time"}),
]
Day = Annotated[date, BeforeValidator(_is_date), AfterValidator(_in_reach), Field(examples=["2026-11-25"])]
WallTime = Annotated[time, BeforeValidator(_is_clock), Field(examples=["09:00"])]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
ShortText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120, pattern=r"^[^\x00-\x1f]*$")
]
LongText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000, pattern=r"^[^\x00]*$")]
PlainText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=120, pattern=r"^[^\x00-\x1f]*$")]
Kind = Literal["desk", "room", "booth", "event-space", "equipment"]
TaxCode = Literal["S19", "S07", "E12", "K19", "O2B"]
Cents = Annotated[int, Field(ge=0, le=1_000_000)]
Clock = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$"), Field(examples=["08:00"])]


class Strict(BaseModel):
    """Requests: unknown members are an error, not a silent loss."""

    model_config = ConfigDict(extra="forbid")


class StepPublic(BaseModel):
    """One applied price rule; ``rule``, ``quantity`` and ``unit_cents`` are for translation, ``label`` is English."""

    rule: str
    label: str
    quantity: int
    unit_cents: int
    cents: int


class QuotePublic(BaseModel):
    """A price in gross cents with its derivation."""

    gross_cents: int
    currency: str
    tax_code: str
    derivation: list[StepPublic]

    @classmethod
    def of(cls, quote: Quote) -> Self:
        """Build from the domain's value."""
        return cls(gross_cents=quote.gross_cents, currency=CURRENCY, tax_code=quote.tax_code, derivation=steps(quote))


def steps(quote: Quote) -> list[StepPublic]:
    """Return the derivation."""
    return [
        StepPublic(rule=s.rule, label=s.label, quantity=s.quantity, unit_cents=s.unit_cents, cents=s.cents)
        for s in quote.derivation
    ]


# Every hub lies in this zone (HubPut allows no other); a second one would travel with the booking.
BERLIN = ZoneInfo("Europe/Berlin")
