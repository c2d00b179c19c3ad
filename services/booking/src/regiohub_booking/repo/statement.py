"""One SQL text that runs in a session as well as on a plain asyncpg connection (the hot path's pool)."""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, TypeAlias

import asyncpg
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_shared.events.envelope import Fact
from regiohub_shared.events.outbox import emit, emit_on

On: TypeAlias = AsyncSession | asyncpg.Connection
"""Whatever holds the current transaction."""
Row: TypeAlias = Mapping[str, Any]


class Statement:
    """SQL with ``:names``, translated once into asyncpg's ``$1``."""

    def __init__(self, sql: str) -> None:
        """``sql`` casts what PostgreSQL cannot infer."""
        self.text = text(sql)
        compiled = self.text.compile(dialect=PGDialect_asyncpg())  # type: ignore[no-untyped-call]  # SQLAlchemy's own gap
        self.positional = str(compiled)
        self.names: Sequence[str] = list(compiled.positiontup or ())


async def fetch(on: On, statement: Statement, **values: Any) -> list[Row]:
    """Return all rows."""
    if isinstance(on, AsyncSession):
        return [dict(row) for row in (await on.execute(statement.text, values)).mappings()]
    rows = await on.fetch(statement.positional, *(values[name] for name in statement.names))
    return [dict(row) for row in rows]


async def run(on: On, statement: Statement, **values: Any) -> None:
    """Execute without rows."""
    if isinstance(on, AsyncSession):
        await on.execute(statement.text, values)
    else:
        await on.execute(statement.positional, *(values[name] for name in statement.names))


def savepoint(on: On) -> AbstractAsyncContextManager[Any]:
    """Return a context that rolls back to here when it is left by an error."""
    if isinstance(on, AsyncSession):
        return on.begin_nested()
    transaction: AbstractAsyncContextManager[Any] = on.transaction()
    return transaction


async def send_fact(on: On, fact: Fact, *, now: datetime) -> None:
    """Write the fact to the outbox; ``now`` is real time."""
    await (emit(on, fact, now=now) if isinstance(on, AsyncSession) else emit_on(on, fact, now=now))


def parsed(value: Any) -> Any:
    """Return ``jsonb`` as Python values: the pool decodes it, an untyped column of a session is text."""
    return json.loads(value) if isinstance(value, str) else value
