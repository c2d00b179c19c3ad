"""A database's address as libpq spells it: `postgresql://…`, with `?sslmode=verify-full&sslrootcert=…` if need be.

asyncpg reads that spelling itself; SQLAlchemy would pass `sslmode` on as an argument that asyncpg does not know.
"""

from typing import Any

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


def dsn(url: str) -> str:
    """Return the address for asyncpg."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def make_engine(url: str, **options: Any) -> AsyncEngine:
    """Return SQLAlchemy's engine, whose connections asyncpg opens by the whole address; ``options`` are SQLAlchemy's."""

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(dsn(url))

    shown = make_url(url).set(drivername="postgresql+asyncpg", query={})
    return create_async_engine(shown, async_creator=connect, **options)
