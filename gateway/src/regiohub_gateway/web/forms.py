"""What forms send, checked: the session's token first, then each field."""

import re
from dataclasses import dataclass, field
from datetime import date, time
from hmac import compare_digest
from uuid import UUID

from fastapi import Request

from regiohub_gateway.visitor import SessionBusy, Visitor
from regiohub_gateway.web import moments
from regiohub_shared.problem import BadRequest, Forbidden, NotFound, Problem

_SLUG = re.compile(r"[a-z0-9-]{1,64}")
# Not ``isdigit``: that is also true of ²; and ``int`` refuses digits by the thousand in its own way.
_WHOLE, _EUROS, _CENTS = (re.compile(pattern) for pattern in (r"[0-9]{1,9}", r"[0-9]{1,6}", r"[0-9]{0,2}"))

_MOST_CENTS = 1_000_000
"""The highest price per hour that booking takes."""


class FormOutdated(Forbidden):
    """The form belongs to another session, or to none."""

    type, title = "form-outdated", "This form is out of date"


class LoginNeeded(Problem):
    """The page is for people who are logged in; they are sent to log in and come back."""

    status, type, title = 401, "login-needed", "Please log in"


def visitor_of(request: Request) -> Visitor:
    """Return who is logged in; raises :class:`LoginNeeded`, or ``SessionBusy`` while nobody can be asked for them."""
    visitor: Visitor | None = request.state.visitor
    if visitor is None:
        raise LoginNeeded
    if not visitor.access_token:
        raise SessionBusy(retry_after_s=3)
    return visitor


@dataclass(slots=True)
class Form:
    """Fields of a form, and what is wrong with them (field → text key)."""

    values: dict[str, str]
    lists: dict[str, list[str]]
    errors: dict[str, str] = field(default_factory=dict)

    def text(self, name: str, *, longest: int = 200, required: bool = True) -> str:
        """Return a field without outer spaces."""
        value = " ".join(self.values.get(name, "").split())[: longest + 1]
        if required and not value:
            self.errors[name] = "form.required"
        elif len(value) > longest:
            self.errors[name] = "form.too_long"
        return value

    def lines(self, name: str, *, longest: int) -> str:
        """Return an optional text of several lines, as it was written."""
        value = self.values.get(name, "").replace("\r\n", "\n").strip()[: longest + 1]
        if len(value) > longest:
            self.errors[name] = "form.too_long"
        return value

    def whole(self, name: str, *, low: int, high: int) -> int:
        """Return a whole number; ``low`` when it is wrong."""
        value = whole_number(self.values.get(name, "").strip(), low=low, high=high)
        if value is None:
            self.errors[name] = "form.number"
        return low if value is None else value

    def cents(self, name: str) -> int:
        """Return euros as cents: ``12``, ``12,5`` and ``12.50`` are read, by digits and not by floats."""
        euros, _, rest = self.values.get(name, "").strip().replace(",", ".").partition(".")
        if not _EUROS.fullmatch(euros) or not _CENTS.fullmatch(rest):
            self.errors[name] = "form.money"
            return 0
        cents = int(euros) * 100 + int(rest.ljust(2, "0"))
        if cents > _MOST_CENTS:
            self.errors[name] = "form.money"
        return cents

    def day(self, name: str) -> date | None:
        """Return a date, or None when it is none."""
        try:
            return moments.read_day(self.values.get(name, ""))
        except ValueError:
            self.errors[name] = "form.date"
            return None

    def clock(self, name: str) -> time | None:
        """Return a wall time, or None when it is none."""
        try:
            return moments.read_clock(self.values.get(name, ""))
        except ValueError:
            self.errors[name] = "form.time"
            return None

    def has(self, name: str) -> bool:
        """Return whether a box is ticked or a button was the one."""
        return name in self.values

    def key(self) -> str:
        """Return the form's idempotency key: sent twice, it acts once. Raises ``BadRequest``."""
        try:
            return str(UUID(self.values.get("key", "")))
        except ValueError:
            raise BadRequest("the form has no key") from None

    def etag(self) -> str:
        """Return the version that the form showed. Raises ``BadRequest``."""
        value = self.values.get("etag", "")
        if not value.isascii() or not value.isprintable() or not 0 < len(value) < 100:
            raise BadRequest("the form has no version")
        return value


def whole_number(value: str, *, low: int, high: int) -> int | None:
    """Return the number that somebody typed, or None when it is none or out of range."""
    return int(value) if _WHOLE.fullmatch(value) and low <= int(value) <= high else None


async def read_form(request: Request) -> Form:
    """Return the fields of a form of this session; raises :class:`LoginNeeded` or :class:`FormOutdated`."""
    visitor = visitor_of(request)
    data = await request.form(max_files=0, max_fields=200)
    pairs = [(key, value) for key, value in data.multi_items() if isinstance(value, str)]
    form = Form(values=dict(pairs), lists={})
    for key, value in pairs:
        form.lists.setdefault(key, []).append(value)
    if not compare_digest(form.values.get("csrf", "").encode(), visitor.csrf.encode()):
        raise FormOutdated
    return form


def known_id(value: str) -> str:
    """Return an id in its one spelling, or raise ``NotFound``: nothing else may become part of a path."""
    try:
        return str(UUID(value))
    except ValueError:
        raise NotFound from None


def known_slug(value: str) -> str:
    """Return the name of a hub or operator, or raise ``NotFound``."""
    if _SLUG.fullmatch(value):
        return value
    raise NotFound
