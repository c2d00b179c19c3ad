"""A member's grants and passes."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status

from regiohub_access.api.deps import BookingDep, DatabaseDep, IssuerDep, Member, VaultDep
from regiohub_access.api.schemas.grants import GrantOut, GrantPage, PassIn, PassOut
from regiohub_access.domain.passes import (
    GrantEnded,
    GrantNotFound,
    GrantRevoked,
    KeyMalformed,
    NoDoors,
    PassTooEarly,
    ProofRejected,
    TooManyPasses,
)
from regiohub_access.usecases import grants, passes
from regiohub_access.usecases.passes import PassRequest
from regiohub_shared import clock
from regiohub_shared.db.database import SessionDep
from regiohub_shared.web.errors import problems
from regiohub_shared.web.paging import link_next

router = APIRouter(prefix="/v1/grants", tags=["grants"])


@router.get("", summary="My grants")
async def list_grants(
    *,
    member: Member,
    db: DatabaseDep,
    booking: BookingDep,
    vault: VaultDep,
    request: Request,
    response: Response,
    booking_id: UUID | None = None,
    cursor: Annotated[UUID | None, Query(description="The `next` of the page before")] = None,
) -> GrantPage:
    """Own grants, the newest first, or the one of a booking.

    If the fact of that booking has not arrived yet, access reads the booking once.
    """
    now = clock.now()
    if booking_id is not None:
        await grants.fetch_missing(db, booking, booking_id=booking_id, vault=vault, now=now)
    async with db.session() as session:
        found, following = await grants.list_grants(
            session, principal=member, booking_id=booking_id, before=cursor, vault=vault, now=now
        )
    link_next(request, response, following)
    response.headers["Cache-Control"] = "no-store"
    return GrantPage(items=[GrantOut.of(view) for view in found], next=str(following) if following else None)


@router.get("/{grant_id}", summary="One of my grants", responses=problems(GrantNotFound))
async def get_grant(
    grant_id: UUID, member: Member, session: SessionDep, vault: VaultDep, response: Response
) -> GrantOut:
    """Doors, windows and PIN; another member's grant is 404."""
    view = await grants.get_grant(session, principal=member, grant_id=grant_id, vault=vault, now=clock.now())
    response.headers["Cache-Control"] = "no-store"
    return GrantOut.of(view)


@router.post(
    "/{grant_id}/passes",
    summary="Fetch the pass for this phone",
    status_code=status.HTTP_201_CREATED,
    responses=problems(
        GrantNotFound, KeyMalformed, ProofRejected, GrantRevoked, GrantEnded, NoDoors, PassTooEarly, TooManyPasses
    ),
)
async def create_pass(
    *, grant_id: UUID, body: PassIn, member: Member, session: SessionDep, issuer: IssuerDep, response: Response
) -> PassOut:
    """One pass per day and key: asking again with the same key returns the same pass.

    At most three phones hold keys to a grant; a fourth one puts the oldest out.
    """
    issued = await passes.issue_passes(
        session, principal=member, grant_id=grant_id, issuer=issuer, now=clock.now(), real_now=clock.real_now(),
        request=PassRequest(jwk=body.jwk.model_dump(), ts=body.ts, signature=body.signature),
    )  # fmt: skip
    response.headers["Cache-Control"] = "no-store"
    return PassOut.all_of(issued)
