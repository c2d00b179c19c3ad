"""Commands: given by operators, handed to one reader each, decided by its report."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.tables import Command

PAGE = 100


async def add(session: AsyncSession, command: Command) -> bool:
    """Insert unless the id is known; return whether it was new."""
    made = insert(Command).values(command.model_dump()).on_conflict_do_nothing().returning(col(Command.id))
    return (await session.execute(made)).one_or_none() is not None


async def get(session: AsyncSession, command_id: UUID) -> Command:
    """Return a command that is known to exist."""
    return (await session.exec(select(Command).where(Command.id == command_id))).one()


async def find_locked(session: AsyncSession, command_id: UUID) -> Command | None:
    """Return the command, locked."""
    query = select(Command).where(Command.id == command_id).with_for_update()
    return (await session.exec(query.execution_options(populate_existing=True))).one_or_none()


async def list_of_hub(session: AsyncSession, hub: str) -> list[Command]:
    """Return the hub's newest commands."""
    query = select(Command).where(Command.hub == hub).order_by(col(Command.created_at).desc(), col(Command.id))
    return list((await session.exec(query.limit(PAGE))).all())


async def list_by_id(session: AsyncSession, ids: Iterable[UUID]) -> dict[UUID, Command]:
    """Return these commands."""
    found = (await session.exec(select(Command).where(col(Command.id).in_(list(ids))))).all()
    return {command.id: command for command in found}


async def hand_over(
    session: AsyncSession, hub: str, *, reader_id: str, chain: str, real_now: datetime
) -> list[Command]:
    """Return the commands that this reader has to follow; one that nobody has becomes its own, for good.

    Two readers of a hub serve the same doors: only one may get a command. A wiped reader (a new chain) does not get
    again what it may have followed before.
    """
    live = (
        col(Command.hub) == hub,
        col(Command.outcome).is_(None),
        col(Command.expires_at) > real_now,
    )
    free = update(Command).where(*live, col(Command.reader_id).is_(None))
    await session.execute(free.values(reader_id=reader_id, reader_chain=chain))
    mine = select(Command).where(*live, Command.reader_id == reader_id, Command.reader_chain == chain)
    ordered = mine.order_by(col(Command.created_at), col(Command.id)).execution_options(populate_existing=True)
    return list((await session.exec(ordered)).all())


async def list_opened(session: AsyncSession, hub: str, *, since: datetime, until: datetime) -> list[Command]:
    """Return the commands that opened a door of the hub within ``[since, until)``, in order of time."""
    query = select(Command).where(
        Command.hub == hub,
        Command.outcome == "opened",
        col(Command.decided_at) >= since,
        col(Command.decided_at) < until,
    )
    return list((await session.exec(query.order_by(col(Command.decided_at)))).all())


async def list_of_subject(session: AsyncSession, sub: str) -> list[Command]:
    """Return what this person ordered."""
    query = select(Command).where(Command.created_by == sub).order_by(col(Command.created_at))
    return list((await session.exec(query)).all())


async def forget_subject(session: AsyncSession, sub: str) -> None:
    """Cut the tie to the person who ordered; the command itself stays for its time."""
    await session.execute(update(Command).where(col(Command.created_by) == sub).values(created_by=None))


async def forget_old(session: AsyncSession, *, before: datetime) -> None:
    """Delete commands given before."""
    await session.execute(delete(Command).where(col(Command.created_at) < before))
