"""Templates to answers, with what every page needs: words, links of its language, the visitor, the form token."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from babel.numbers import format_currency
from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from regiohub_gateway.visitor import Visitor
from regiohub_gateway.web import moments, texts
from regiohub_shared.ids import new_id
from regiohub_shared.money import format_eur

_FOLDER = Path(__file__).parent / "templates"
UNSENT = "unsent"
"""In a page's address: its form came after the login had ended, and went nowhere."""


def _environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals["new_key"] = lambda: str(new_id())
    env.globals["after"] = moments.after
    env.filters["moment"] = moments.parse
    return env


_ENV = _environment()


def _eur(cents: int, language: str) -> str:
    return format_eur(cents) if language == "de" else format_currency(Decimal(cents) / 100, "EUR", locale="en_GB")


def language_of(request: Request) -> str:
    """Return ``de`` or ``en``."""
    language: str = request.state.language
    return language


def link(language: str, path: str) -> str:
    """Return a path in the page's language."""
    return f"/en{path}" if language == "en" else path


def _context(language: str, visitor: Visitor | None, path: str, query: str = "") -> dict[str, Any]:
    other = "en" if language == "de" else "de"
    return {
        "lang": language,
        "t": lambda key, **values: texts.text(language, key, **values),
        "has_text": texts.has_text,
        "problem_title": lambda kind: texts.problem_title(language, kind),
        "problem_help": lambda kind, params=None: texts.problem_help(language, kind, params),
        "url": lambda target: link(language, target),
        "eur": lambda cents: _eur(cents, language),
        "day": lambda value: moments.show_date(_as_day(value), language),
        "clock": lambda value: moments.show_time(_as_time(value), language),
        "span": lambda start, end: moments.show_span(_as_time(start), _as_time(end), language),
        "book_url": lambda resource, start, end: link(language, f"/book?{slot_query(start, end, resource=resource)}"),
        "find_url": lambda hub, start, end: link(language, f"/find?{slot_query(start, end, hub=hub)}"),
        "visitor": visitor,
        "csrf": visitor.csrf if visitor else "",
        "here": link(language, path) + query,
        "other_language": other,
        "other_url": link(other, path) + query,
        "path": path,
        "is_demo": False,
        "is_unsent": False,
        "lengths_named": lambda lengths, chosen: _lengths(lengths, chosen, language),
    }


def _lengths(lengths: Sequence[int], chosen: int, language: str) -> list[tuple[int, str]]:
    """Return the choices of a duration, in minutes, with the chosen one among them."""
    return [(minutes, _length(minutes, language)) for minutes in sorted({*lengths, chosen})]


def _length(minutes: int, language: str) -> str:
    hours, rest = divmod(minutes, 60)
    if not hours:
        return texts.text(language, "time.minutes", count=minutes)
    if rest:
        return texts.text(language, "time.hours_minutes", hours=hours, minutes=rest)
    return texts.text(language, "time.hour") if hours == 1 else texts.text(language, "time.hours", count=hours)


def _as_day(value: str | datetime | date) -> datetime | date:
    return moments.parse(value) if isinstance(value, str) else value


def _as_time(value: str | datetime) -> datetime:
    return moments.parse(value) if isinstance(value, str) else value


def slot_query(start: str | datetime, end: str | datetime, **what: str) -> str:
    """Return the part of an address that asks for a slot."""
    first = _as_time(start).astimezone(moments.ZONE)
    minutes = moments.minutes_between(first, _as_time(end))
    when = {"date": first.date().isoformat(), "time": first.strftime("%H:%M"), "minutes": str(minutes)}
    return urlencode(what | when | ({"fold": "1"} if first.fold else {}))


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page; ``template`` without folder and ending."""
    query = f"?{request.url.query}" if request.url.query and request.method == "GET" else ""
    path = request.scope["raw_path"].decode("ascii")
    context = _context(language_of(request), request.state.visitor, path, query)
    context["is_demo"] = request.app.state.settings.environment == "dev"
    context["is_unsent"] = request.method == "GET" and UNSENT in request.query_params
    return HTMLResponse(_ENV.get_template(f"{template}.html").render(context | values), status_code=status)


def bare(template: str, *, language: str, **values: Any) -> str:
    """Return a page's HTML where there is no request to look at (the edge refused it)."""
    return _ENV.get_template(f"{template}.html").render(_context(language, None, "/") | values)


def go(request: Request, path: str) -> RedirectResponse:
    """Return the redirect after a form (303), in the page's language."""
    return RedirectResponse(link(language_of(request), path), 303)
