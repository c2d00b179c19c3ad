"""After a restore: a stored epoch leads every number that the lost database may have given away.

A subject's version is ``epoch * STRIDE + n``; the first life is epoch 0. Receivers skip versions that are not newer, so
a restored database begins above all that anybody has heard from it.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import DateTime, text
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

STRIDE = 1_000_000
"""Versions of one subject in one epoch. 2,147 restores fit into an ``integer`` and into iCalendar's SEQUENCE."""
LAST = 2_146


class EpochRow(SQLModel):
    """Mixin of table ``epoch``: one row per restore, ``backup_at`` is the moment that it went back to."""

    __tablename__ = "epoch"

    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    backup_at: datetime = Field(sa_type=DateTime(timezone=True))
    raised_at: datetime = Field(sa_type=DateTime(timezone=True))


class TooManyEpochs(RuntimeError):
    """The numbers of a column would not hold the next epoch: someone told a version that cannot be ours."""


CREATE = (
    "CREATE TABLE epoch (number integer NOT NULL, backup_at timestamptz NOT NULL, raised_at timestamptz NOT NULL, "
    "CONSTRAINT pk_epoch PRIMARY KEY (number))"
)
"""For a service's migration; its app role may read it and no more."""
DROP = (
    """
DO $$ BEGIN
    IF EXISTS (SELECT FROM epoch) THEN
        RAISE EXCEPTION 'No step back: a restore has raised the epoch, and without it neighbours skip what is new.';
    END IF;
END $$
    """,
    "DROP TABLE epoch",
)
"""For its step back; refused where a restore has written into it."""

_OWN = text("SELECT coalesce(max(number), 0) FROM epoch")
_OF_BACKUP = text("SELECT max(number) FROM epoch WHERE backup_at = :backup_at")
_RAISE = text("INSERT INTO epoch (number, backup_at, raised_at) VALUES (:number, :backup_at, :now)")


def floor_of(epoch: int) -> int:
    """Return the number above which all versions of an epoch lie."""
    return epoch * STRIDE


def next_epoch(own: int, heard: Iterable[int]) -> int:
    """Return the epoch after ours and after those of all versions that anybody has heard."""
    epoch = max([own, *(version // STRIDE for version in heard)]) + 1
    if epoch > LAST:
        raise TooManyEpochs(f"Epoch {epoch} does not fit; check the highest versions that the witnesses name.")
    return epoch


async def find_epoch(session: AsyncSession, backup_at: datetime) -> int | None:
    """Return the epoch that a restore of this backup has raised here, if it was done."""
    found: int | None = (await session.execute(_OF_BACKUP, {"backup_at": backup_at})).scalar_one()
    return found


async def raise_epoch(session: AsyncSession, *, backup_at: datetime, heard: Iterable[int], now: datetime) -> int:
    """Store the next epoch and return it; ``now`` is real time."""
    own = (await session.execute(_OWN)).scalar_one()
    number = next_epoch(own, heard)
    await session.execute(_RAISE, {"number": number, "backup_at": backup_at, "now": now})
    return number
