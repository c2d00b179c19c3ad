"""A server of one's own that is away or refuses: one line with the setting and the host, never the password."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg
from sqlalchemy.exc import ArgumentError

from regiohub_local.postgres.home import PostgresError
from regiohub_shared.db.address import dsn

WAIT_SECONDS = 10


def check(addresses: Mapping[str, str]) -> None:
    """Log in at each address, by the name of its setting; raises PostgresError."""
    for variable, url in addresses.items():
        with named(variable, url):
            asyncio.run(_log_in(dsn(url)))


async def _log_in(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=WAIT_SECONDS)
    await connection.close(timeout=WAIT_SECONDS)


@contextmanager
def named(variable: str, url: str) -> Iterator[None]:
    """Turn what the server at `url` refuses into a PostgresError that names `variable`."""
    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        raise PostgresError(f"{variable}: PostgreSQL at {_place(url)} cannot be used: {why}") from error
    except (ValueError, ArgumentError):  # its text may quote a piece of the password
        raise PostgresError(f"{variable}: {_UNREADABLE}") from None


_UNREADABLE = "no address of the form postgresql://user:word@host:port/name (signs such as / # ? in it as %2F %23 %3F)"


def _place(url: str) -> str:
    """Host and port. With a raw `/` in the password what stands in their place is a piece of it."""
    place = urlsplit(url).netloc
    if "@" in url and "@" not in place:
        return "an unreadable address"
    return place.rpartition("@")[2]
