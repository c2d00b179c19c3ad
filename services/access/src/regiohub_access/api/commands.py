"""Operators open a door from afar."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from regiohub_access.api.deps import Operator
from regiohub_access.api.schemas.commands import CommandIn, CommandList, CommandOut
from regiohub_access.domain.commands import CommandReused, DoorNotFound, ReaderAway
from regiohub_access.domain.readers import ForeignHub, HubNotFound
from regiohub_access.usecases import commands
from regiohub_shared import clock
from regiohub_shared.db.database import SessionDep
from regiohub_shared.web.errors import problems

router = APIRouter(prefix="/v1/hubs/{slug}/commands", tags=["commands"])
Slug = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,60}$", examples=["bendorf"])]


@router.put(
    "/{command_id}",
    summary="Open a door now",
    responses=problems(ForeignHub, HubNotFound, DoorNotFound, ReaderAway, CommandReused) | {201: {"model": CommandOut}},
)
async def put_command(
    *, slug: Slug, command_id: UUID, body: CommandIn, operator: Operator, session: SessionDep, response: Response
) -> CommandOut:
    """The id is the caller's own, so that a repeat opens nothing twice: 201 the first time, then 200.

    Accepted is not opened: the door opens within 30 seconds or never, and `state` says what its reader reported.
    Refused with `reader-away` if no reader of the hub could be told at once; nothing is queued.
    """
    wish = commands.Wish(command_id, body.door, body.reason)
    row, is_new = await commands.order_open(
        session, principal=operator, slug=slug, wish=wish, now=clock.now(), real_now=clock.real_now()
    )
    response.status_code = 201 if is_new else 200
    return CommandOut.of(row, real_now=clock.real_now())


@router.get("", summary="Commands of a hub", responses=problems(ForeignHub, HubNotFound))
async def list_commands(slug: Slug, operator: Operator, session: SessionDep) -> CommandList:
    """The newest first, each with what became of it."""
    found = await commands.list_commands(session, principal=operator, slug=slug)
    return CommandList(items=[CommandOut.of(row, real_now=clock.real_now()) for row in found], next=None)
