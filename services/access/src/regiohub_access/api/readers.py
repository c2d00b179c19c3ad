"""Readers talk here; operators look; the county sets up."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from regiohub_access.api.deps import CountyAdmin, DatabaseDep, Device, Operator, RulesDep
from regiohub_access.api.schemas.hubs import (
    DoorEventOut,
    DoorEventPage,
    DoorsIn,
    DoorsOut,
    ReaderIn,
    ReaderList,
    ReaderOut,
    ReaderStateOut,
)
from regiohub_access.domain.readers import ForeignHub, HubNotFound, ReaderMismatch, ReaderMoved, ReaderNotFound
from regiohub_access.reader import wire
from regiohub_access.usecases import places, sync
from regiohub_shared import clock
from regiohub_shared.db.database import SessionDep
from regiohub_shared.problem import Malformed, PreconditionFailed, PreconditionRequired
from regiohub_shared.web.errors import problems
from regiohub_shared.web.etag import InvalidIfMatch, MaybeVersionDep, tag
from regiohub_shared.web.paging import link_next

router = APIRouter(prefix="/v1", tags=["readers"])

Slug = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,60}$", examples=["bendorf"])]
ReaderId = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,100}$", examples=["reader-bendorf"])]


@router.post(
    "/readers/{reader_id}/sync",
    summary="Synchronise a reader",
    response_model=wire.SyncResponse,
    responses=problems(ReaderMismatch, ReaderNotFound),
)
async def sync_reader(
    *, reader_id: ReaderId, body: wire.SyncRequest, device: Device, db: DatabaseDep, rules: RulesDep, call: Request
) -> Response:
    """Events up; keys, deny-list, PINs and commands (to readers that understand them) down.

    Waits up to `wait_s` (at most 10) seconds for news. Repeating a request changes nothing.
    """
    answer = await sync.synchronise(
        db, principal=device, reader_id=reader_id, request=_checked(body), rules=rules, is_gone=call.is_disconnected
    )
    return JSONResponse(answer.to_json(), headers={"Cache-Control": "no-store"})


def _checked(body: wire.SyncRequest) -> wire.SyncRequest:
    """Hold the body against the wire format's own rules, which say more than its types."""
    try:
        return wire.SyncRequest.from_json(body.to_json())
    except ValueError as error:
        raise Malformed(str(error)) from error


@router.put("/readers/{reader_id}", summary="Register a reader", responses=problems(HubNotFound, ReaderMoved))
async def put_reader(reader_id: ReaderId, body: ReaderIn, _: CountyAdmin, session: SessionDep) -> ReaderOut:
    """The id is the reader's Keycloak client; it serves all doors of its hub."""
    return ReaderOut.of(await places.put_reader(session, reader_id=reader_id, slug=body.hub, now=clock.now()))


@router.get("/hubs/{slug}/readers", summary="Readers of a hub", responses=problems(ForeignHub, HubNotFound))
async def list_readers(slug: Slug, operator: Operator, session: SessionDep, rules: RulesDep) -> ReaderList:
    """When each last synchronised, and which PINs have arrived there."""
    views = await places.list_readers(
        session, principal=operator, slug=slug, vault=rules.vault, ahead=rules.pins_ahead, now=clock.now()
    )
    return ReaderList(items=[ReaderStateOut.of_view(view) for view in views], next=None)


@router.get("/hubs/{slug}/door-events", summary="Door events of a hub", responses=problems(ForeignHub, HubNotFound))
async def list_door_events(
    *,
    slug: Slug,
    operator: Operator,
    session: SessionDep,
    request: Request,
    response: Response,
    cursor: Annotated[int | None, Query(ge=1, lt=2**63, description="The `next` of the page before")] = None,
) -> DoorEventPage:
    """Pseudonymous, the newest first; kept 30 days (openings) or 90 days (refusals)."""
    found, following = await places.list_door_events(session, principal=operator, slug=slug, before=cursor)
    link_next(request, response, following)
    return DoorEventPage(
        items=[DoorEventOut.of(*told) for told in found], next=None if following is None else str(following)
    )


@router.get("/hubs/{slug}/doors", summary="Doors of a hub", responses=problems(ForeignHub, HubNotFound))
async def get_doors(slug: Slug, operator: Operator, session: SessionDep, response: Response) -> DoorsOut:
    """What the county configured, with its ETag; the hub's operator reads it for the doors' names."""
    hub, doors = await places.get_doors(session, principal=operator, slug=slug)
    tag(response, hub.version)
    return DoorsOut.of(hub, doors)


@router.put(
    "/hubs/{slug}/doors",
    summary="Set up the doors of a hub",
    responses=problems(PreconditionFailed, PreconditionRequired, InvalidIfMatch),
)
async def put_doors(
    slug: Slug,
    body: DoorsIn,
    _: CountyAdmin,
    session: SessionDep,
    response: Response,
    version: MaybeVersionDep,
) -> DoorsOut:
    """The whole set-up replaces the one before; the same again changes nothing, other content needs If-Match.

    Passes that would open more or other doors than now go on the deny-list.
    """
    hub = await places.put_doors(session, slug=slug, plan=body.plan(), if_version=version, now=clock.now())
    tag(response, hub.version)
    return DoorsOut.of(hub, list(body.plan().doors))
