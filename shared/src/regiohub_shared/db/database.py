"""One service's database: SQLAlchemy sessions for everything, asyncpg's own pool for the hot path."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import asyncpg
from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.ext.asyncio import AsyncSession as PlainAsyncSession
from sqlalchemy.orm import Session as PlainSession
from sqlmodel import Session as ModelSession
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_shared.db.address import dsn, make_engine


async def _json_codecs(connection: Any) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


async def _as_it_is(_connection: Any) -> None:
    """Asyncpg's own reset is a round trip, and we leave nothing to reset: every lock is the transaction's, nothing is SET.

    A transaction that was left open is rolled back before this is called.
    """


def _is_lost(connection: Any) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:  # the pool has taken it back: it does so at once with a closed one
        return True


class _Session(ModelSession):
    execute = PlainSession.execute


class _AsyncSession(AsyncSession):
    """SQLModel's session: ``exec`` for models, and ``execute`` for hand-written SQL without a warning against it."""

    sync_session_class = _Session
    execute = PlainAsyncSession.execute


class Database:
    """Engine and pool of one database; both open lazily and close together."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        """``url`` is ``postgresql://…`` in libpq's spelling; ``pool_size`` bounds each of the two pools."""
        self.url = url
        self._pool_size = pool_size
        self._pool: asyncpg.Pool | None = None
        # hide_parameters: else an error's text, and so the log, names the buyer whose row it was.
        self.engine: AsyncEngine = make_engine(
            url, pool_size=pool_size, max_overflow=0, pool_timeout=5, pool_pre_ping=True, hide_parameters=True
        )
        self._sessions = async_sessionmaker(self.engine, class_=_AsyncSession, expire_on_commit=False)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """One transaction: commits at the end, rolls back on any error."""
        async with self._sessions() as session, session.begin():
            yield session

    async def pool(self) -> asyncpg.Pool:
        """Return asyncpg's pool; ``jsonb`` travels as Python values."""
        if self._pool is None:
            self._pool = await asyncpg.create_pool(
                dsn(self.url), min_size=0, max_size=self._pool_size, init=_json_codecs, reset=_as_it_is, timeout=5
            )
        return self._pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """One transaction on a plain asyncpg connection: commits at the end, rolls back on any error.

        Raises :class:`ConnectionResetError` where asyncpg would call a lost connection our misuse of it.
        """
        pool = await self.pool()
        async with pool.acquire(timeout=5) as connection:
            try:
                async with connection.transaction():
                    yield connection
            except asyncpg.InterfaceError as error:
                if not _is_lost(connection):
                    raise
                raise ConnectionResetError("the connection to the database was lost") from error

    async def close(self) -> None:
        """Close both pools."""
        if self._pool is not None:
            await self._pool.close()
        await self.engine.dispose()


async def session(request: Request) -> AsyncIterator[AsyncSession]:
    """The request's transaction; FastAPI closes it, and so commits, before the response is sent."""
    async with request.app.state.db.session() as current:
        yield current


# scope="function": with the default scope clients received 200 although the commit failed.
SessionDep = Annotated[AsyncSession, Depends(session, scope="function")]
