"""For the finance offices: money that people must look at."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from regiohub_billing.api.deps import FinanceDep, check_finance
from regiohub_billing.api.schemas import ClearingList, ClearingPublic, ClearingResolve, Slug
from regiohub_billing.repo import bookings as repo
from regiohub_billing.usecases import clearing
from regiohub_shared.auth.principal import COUNTY_FINANCE
from regiohub_shared.clock import now
from regiohub_shared.db.database import SessionDep
from regiohub_shared.problem import NotFound
from regiohub_shared.web.errors import problems
from regiohub_shared.web.paging import link_next

router = APIRouter(tags=["finance"])


@router.get("/v1/clearing", summary="Failed refunds and unmatched payments", responses=problems(NotFound))
async def list_clearing(
    *,
    caller: FinanceDep,
    session: SessionDep,
    request: Request,
    response: Response,
    operator: Annotated[Slug | None, Query()] = None,
    nobodys: Annotated[bool, Query(description="Only what belongs to no town; the county's")] = False,
    resolved: Annotated[bool, Query(description="Closed cases instead of open ones")] = False,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ClearingList:
    """A town's office sees its own cases; the county all, also those that belong to nobody yet."""
    if operator is not None or nobodys:
        check_finance(caller, operator or "")
    operators = (
        [operator or ""] if operator or nobodys else None if caller.has(COUNTY_FINANCE) else sorted(caller.operators)
    )
    found = await repo.list_clearing(session, operators, resolved=resolved, after=cursor, limit=limit + 1)
    items = [ClearingPublic.of(case) for case in await clearing.name_cases(session, found[:limit])]
    following = str(items[-1].id) if len(found) > limit else None
    link_next(request, response, following)
    return ClearingList(items=items, next=following)


@router.post(
    "/v1/clearing/{case_id}/resolve",
    summary="Close a case of the clearing list",
    responses=problems(NotFound, clearing.CaseClosed, clearing.NoRefundToRetry),
)
async def resolve_clearing(
    case_id: UUID, body: ClearingResolve, caller: FinanceDep, session: SessionDep
) -> ClearingPublic:
    """Who, when and what was done stay for good. The same request again changes nothing, so it needs no key."""
    item = await clearing.resolve(session, caller, case_id, note=body.note, retry_refund=body.retry_refund, now=now())
    return ClearingPublic.of((await clearing.name_cases(session, [item]))[0])
