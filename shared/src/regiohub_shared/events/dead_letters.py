"""Facts that a subscriber refused again and again: listed for the county's administration, and given a new start."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_shared.auth.deps import require
from regiohub_shared.auth.principal import COUNTY_ADMIN, Principal
from regiohub_shared.clock import real_now
from regiohub_shared.db.database import SessionDep

CountyDep = Annotated[Principal, Depends(require(COUNTY_ADMIN))]

_LIST = text(
    "SELECT d.outbox_id AS event_id, o.type, o.subject, o.sequence, d.subscriber, d.attempts, o.occurred_at, "
    "d.dead_at, d.last_error FROM outbox_delivery d JOIN outbox o ON o.id = d.outbox_id "
    "WHERE d.dead_at IS NOT NULL ORDER BY d.dead_at, d.outbox_id LIMIT :limit"
)
_REPLAY = text(
    "UPDATE outbox_delivery SET dead_at = NULL, attempts = 0, refusals = 0, next_at = :now, leased_until = NULL "
    "WHERE dead_at IS NOT NULL AND (:every OR outbox_id = ANY(:ids)) RETURNING 1"
)
_LIMIT = 200


class DeadLetter(BaseModel):
    """One delivery that was given up; ``last_error`` is a status or an error's name, never a body."""

    event_id: UUID
    type: str
    subject: str
    sequence: int
    subscriber: str
    attempts: int
    occurred_at: datetime
    dead_at: datetime
    last_error: str


class DeadLetterList(BaseModel):
    """The oldest 200; replaying makes room for the next."""

    items: list[DeadLetter]
    next: str | None


class Replay(BaseModel):
    """Which facts to deliver again; without ``event_ids`` all of them."""

    model_config = ConfigDict(extra="forbid")

    event_ids: Annotated[list[UUID], Field(min_length=1, max_length=_LIMIT)] | None = None


class Replayed(BaseModel):
    """How many deliveries start anew."""

    replayed: int


async def list_dead(session: AsyncSession) -> list[DeadLetter]:
    """Return the oldest deliveries that were given up, 200 at most."""
    return [DeadLetter(**row) for row in (await session.execute(_LIST, {"limit": _LIMIT})).mappings()]


async def replay(session: AsyncSession, event_ids: list[UUID] | None, *, now: datetime) -> int:
    """Give dead letters (all, or those of the given facts) a new start; return how many. ``now`` is real time."""
    values = {"now": now, "every": event_ids is None, "ids": event_ids or []}
    return len((await session.execute(_REPLAY, values)).all())


def dead_letters_router() -> APIRouter:
    """Return ``GET /v1/dead-letters`` and ``POST /v1/dead-letters/replay``, for the county's administration."""
    router = APIRouter(tags=["operations"])

    @router.get("/v1/dead-letters", summary="Facts that were given up")
    async def list_dead_letters(session: SessionDep, _caller: CountyDep) -> DeadLetterList:
        """Oldest first."""
        return DeadLetterList(items=await list_dead(session), next=None)

    @router.post("/v1/dead-letters/replay", summary="Deliver them again")
    async def replay_dead_letters(body: Replay, session: SessionDep, _caller: CountyDep) -> Replayed:
        """Receivers apply each fact once, so a replay is harmless."""
        return Replayed(replayed=await replay(session, body.event_ids, now=real_now()))

    return router
