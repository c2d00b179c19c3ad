"""PostgreSQL's SQLSTATE, whichever driver wrapped it."""

import traceback
from collections.abc import Iterator
from pathlib import Path

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

RETRY = frozenset({"40P01", "40001"})
"""deadlock_detected, serialization_failure: the same request may succeed at once."""
BUSY = frozenset({"55P03", "57014", "57P01", "57P02", "57P03", "08000", "08003", "08006", "08001", "53300"})
"""lock_not_available, query_canceled, shutdowns, lost connections: come back in a moment."""
BAD_VALUE = frozenset({"22021", "22P05", "22003", "22007", "22008", "22P02", "22023"})
"""Text or numbers that no column can hold (NUL, out of range, overflow)."""


def sqlstate(error: BaseException) -> str:
    """Return the five-letter code found on the error or what it wraps, else an empty string."""
    seen: BaseException | None = error
    while seen is not None:
        code = getattr(seen, "sqlstate", None) or getattr(getattr(seen, "orig", None), "sqlstate", None)
        if code:
            return str(code)
        seen = seen.__cause__
    return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it wraps, driver by driver."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = getattr(seen, "orig", None) or seen.__cause__


def is_bad_value(error: BaseException) -> bool:
    """Say whether PostgreSQL, or asyncpg before it, found a value that no column can hold.

    A wrong Python type is not one: that is our bug.
    """
    if sqlstate(error) in BAD_VALUE:
        return True
    return any(isinstance(seen, (OverflowError, UnicodeEncodeError)) for seen in _chain(error))


DRIVER = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg raises; they have no kind in common."""
_AWAY = (ConnectionError, TimeoutError, asyncpg.InternalClientError)


def is_connection_error(error: BaseException) -> bool:
    """Say whether the database could not be reached at all.

    asyncpg's internal error is one: between a server's farewell (SQLSTATE 57P01) and the end of the line, whoever uses
    the connection hears that it "cannot switch to state 15"; nothing was sent. After that end it speaks of our misuse.
    """
    return any(
        isinstance(seen, _AWAY)
        or "TimeoutError" in type(seen).__name__
        or (isinstance(seen, asyncpg.InterfaceError) and "connection is closed" in str(seen))
        for seen in _chain(error)
    )


def is_away(error: BaseException) -> bool:
    """Say whether the database is busy, starting or out of reach: the same request may succeed in a moment."""
    return sqlstate(error) in BUSY or is_connection_error(error)


def is_database_error(error: BaseException) -> bool:
    """Say whether a driver raised it, or something that a driver raised is behind it."""
    return any(isinstance(seen, (SQLAlchemyError, *DRIVER)) for seen in _chain(error))


def describe(error: BaseException) -> dict[str, str]:
    """Return what may be logged of a database error: kind, SQLSTATE, constraint and where our code was.

    Never its text, since PostgreSQL and the drivers quote the row (``DETAIL: Failing row contains …``): names, addresses.
    """
    constraint = next((str(name) for seen in _chain(error) if (name := getattr(seen, "constraint_name", None))), "")
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "/regiohub_" in frame.filename]
    at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name}" if ours else ""
    known = {"error": type(error).__name__, "sqlstate": sqlstate(error), "constraint": constraint, "at": at}
    return {key: value for key, value in known.items() if value}
