"""What the county's administration sets up (operators, hubs, resources) and mends (mails that were given up)."""

from uuid import UUID

from fastapi import APIRouter, Response

from regiohub_booking.api.deps import CountyDep
from regiohub_booking.api.operator import DurationUpsideDown
from regiohub_booking.api.schemas.bookings import DeadMail, DeadMailList, MailReplay, MailReplayed
from regiohub_booking.api.schemas.common import Slug
from regiohub_booking.api.schemas.places import (
    HubPublic,
    HubPut,
    OperatorPublic,
    OperatorPut,
    ResourcePublic,
    ResourcePut,
)
from regiohub_booking.domain.hours import HoursOverlap
from regiohub_booking.domain.price import PriceTooLow
from regiohub_booking.repo import mails, places
from regiohub_booking.usecases.setup import (
    HubIsFixed,
    InvalidParts,
    PartsInUse,
    put_hub,
    put_operator,
    put_resource,
)
from regiohub_shared.clock import now, real_now
from regiohub_shared.db.database import SessionDep
from regiohub_shared.problem import NotFound, PreconditionFailed, PreconditionRequired
from regiohub_shared.web.errors import problems
from regiohub_shared.web.etag import InvalidIfMatch, MaybeVersionDep, tag

router = APIRouter(tags=["county"])
_PUT = problems(NotFound, PreconditionFailed, PreconditionRequired, InvalidIfMatch, HubIsFixed)


@router.get("/v1/dead-mails", summary="Mails that were given up")
async def list_dead_mails(session: SessionDep, _caller: CountyDep) -> DeadMailList:
    """Refused by the mail server again and again; oldest first."""
    found = await mails.list_dead(session, limit=200)
    return DeadMailList(items=[DeadMail(**row) for row in found], next=None)


@router.post("/v1/dead-mails/replay", summary="Send them again")
async def replay_dead_mails(body: MailReplay, session: SessionDep, _caller: CountyDep) -> MailReplayed:
    """For when the mail server or an address was mended."""
    return MailReplayed(replayed=await mails.replay(session, body.ids, now=real_now()))


@router.put("/v1/operators/{slug}", summary="Create or replace an operator", responses=_PUT)
async def set_operator(
    slug: Slug, body: OperatorPut, session: SessionDep, _caller: CountyDep, version: MaybeVersionDep, response: Response
) -> OperatorPublic:
    """The same content again changes nothing; other content needs If-Match."""
    operator = await put_operator(session, slug=slug, values=body.model_dump(), version=version)
    tag(response, operator.version)
    return OperatorPublic.of(operator)


@router.put("/v1/hubs/{slug}", summary="Create or replace a hub", responses=_PUT | problems(HoursOverlap))
async def set_hub(
    slug: Slug, body: HubPut, session: SessionDep, _caller: CountyDep, version: MaybeVersionDep, response: Response
) -> HubPublic:
    """The same content again changes nothing; other content needs If-Match."""
    week = [opening.opening() for opening in body.opening_hours]
    values = body.model_dump(exclude={"opening_hours"})
    hub = await put_hub(session, slug=slug, values=values, week=week, version=version)
    tag(response, hub.version)
    return HubPublic.of(
        hub, await places.list_week(session, slug), (await places.operator_names(session))[hub.operator]
    )


@router.put(
    "/v1/resources/{resource_id}", summary="Create or replace a resource",
    responses=_PUT | problems(HoursOverlap, InvalidParts, PartsInUse, DurationUpsideDown, PriceTooLow),
)  # fmt: skip
async def set_resource(
    resource_id: UUID, body: ResourcePut, session: SessionDep, _caller: CountyDep, version: MaybeVersionDep,
    response: Response,
) -> ResourcePublic:  # fmt: skip
    """With parts and own hours. The same content again changes nothing; other content needs If-Match."""
    if body.min_minutes > body.max_minutes:
        raise DurationUpsideDown
    week = [opening.opening() for opening in body.opening_hours]
    values = body.model_dump(exclude={"opening_hours", "parts"})
    await put_resource(
        session, resource_id=resource_id, values=values, parts=body.parts, week=week, version=version, now=now()
    )
    row = await places.get_place_row(session, resource_id)
    tag(response, row["version"])
    return ResourcePublic.of(row)
