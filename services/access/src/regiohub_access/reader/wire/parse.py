"""Reading members of a message: the wanted type and shape, or `WireError`."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

Json = dict[str, Any]
_T = TypeVar("_T")
MAX_INT = 2**53 - 1
"""The greatest number that every JSON reader takes as it is."""


class WireError(ValueError):
    """A message that does not have the agreed shape."""


def want(obj: object, name: str, kind: type[_T]) -> _T:
    """The member, if it is there and of this type; numbers are 0 to `MAX_INT`."""
    if not isinstance(obj, dict) or name not in obj:
        raise WireError(f"{name}: missing")
    value = obj[name]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise WireError(f"{name}: not of type {kind.__name__}")
    if isinstance(value, int) and not 0 <= value <= MAX_INT:
        raise WireError(f"{name}: out of range")
    return value


def text(obj: object, name: str, pattern: str = r"(?s:.{1,200})") -> str:
    """A text that fits the pattern as a whole."""
    value = want(obj, name, str)
    if not re.fullmatch(pattern, value):
        raise WireError(f"{name}: malformed")
    return value


def optional_text(obj: Json, name: str) -> str | None:
    """The text, None if it is null or left out."""
    return None if obj.get(name) is None else text(obj, name)


def time(obj: object, name: str) -> datetime:
    """A time with offset, in UTC."""
    try:
        value = datetime.fromisoformat(want(obj, name, str))
    except ValueError as error:
        raise WireError(f"{name}: not a time") from error
    if value.tzinfo is None:
        raise WireError(f"{name}: a time without an offset")
    return value.astimezone(UTC)


def items(obj: object, name: str, item: Callable[[Json], _T]) -> tuple[_T, ...]:
    """Each entry of a list, read by `item`."""
    return tuple(item(entry) for entry in want(obj, name, list))


def numbers(obj: object, name: str) -> tuple[int, ...]:
    """A list of numbers."""
    return tuple(want({"item": item}, "item", int) for item in want(obj, name, list))


def format_time(value: datetime) -> str:
    """RFC 3339 in UTC with milliseconds (`2026-11-26T14:00:00.000Z`); a naive time raises `ValueError`."""
    if value.tzinfo is None:
        raise ValueError("a time without an offset")
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def check_version(obj: Json, supported: int) -> int:
    """The version, if it is the supported one."""
    version = want(obj, "version", int)
    if version != supported:
        raise WireError(f"version: {version} is not supported")
    return version
