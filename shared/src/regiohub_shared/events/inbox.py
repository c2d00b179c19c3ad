"""A receiver applies each fact at most once: event id and effect are stored in one transaction."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ValidationError
from sqlalchemy import DateTime, Text, text
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_shared.auth.deps import require_service
from regiohub_shared.auth.principal import Principal
from regiohub_shared.clock import real_now
from regiohub_shared.db.database import SessionDep
from regiohub_shared.events.envelope import Envelope
from regiohub_shared.log import get_logger
from regiohub_shared.problem import Malformed
from regiohub_shared.web.errors import problems

_log = get_logger(__name__)


class InboxRow(SQLModel):
    """Mixin of table ``inbox``."""

    __tablename__ = "inbox"

    event_id: UUID = Field(primary_key=True)
    source: str = Field(sa_type=Text)
    type: str = Field(sa_type=Text)
    received_at: datetime = Field(sa_type=DateTime(timezone=True))


Handler = Callable[[AsyncSession, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Subscription:
    """A fact that this service hears, and the use case that applies it (monotone by the subject's version)."""

    model: type[BaseModel]
    handler: Handler
    producer: str
    """The Keycloak client that may deliver it."""


class UnknownFact(Malformed):
    """Nobody here listens to this type."""

    type, title = "unknown-fact", "This kind of fact is not handled here"


_SEEN = text(
    "INSERT INTO inbox (event_id, source, type, received_at) VALUES (:id, :source, :type, :now) "
    "ON CONFLICT DO NOTHING RETURNING event_id"
)


async def receive(session: AsyncSession, envelope: Envelope, subscription: Subscription) -> bool:
    """Apply the fact unless its id is known; return whether it was applied now.

    Raises :class:`Malformed` if the data is not what the contract says.
    """
    try:
        fact = subscription.model.model_validate(envelope.data)
    except ValidationError as error:
        raise Malformed("The fact's data does not follow its contract.") from error
    seen = {"id": envelope.id, "source": envelope.source, "type": envelope.type, "now": real_now()}
    if (await session.execute(_SEEN, seen)).one_or_none() is None:
        return False
    await subscription.handler(session, fact)
    return True


class Receipt(BaseModel):
    """Answer to a delivery."""

    applied: bool


def events_router(subscriptions: Mapping[str, Subscription]) -> APIRouter:
    """Return ``POST /internal/events`` for the given types."""
    router = APIRouter(tags=["internal"])
    producers = sorted({item.producer for item in subscriptions.values()})

    @router.post("/internal/events", summary="Take a fact", responses=problems(UnknownFact))
    async def take(
        envelope: Envelope, session: SessionDep, caller: Annotated[Principal, Depends(require_service(*producers))]
    ) -> Receipt:
        """At least once, in any order; a known id changes nothing."""
        subscription = subscriptions.get(envelope.type)
        if subscription is None or subscription.producer != caller.azp:
            raise UnknownFact
        applied = await receive(session, envelope, subscription)
        _log.info("fact_heard", type=envelope.type, subject=envelope.subject, applied=applied)
        return Receipt(applied=applied)

    return router
