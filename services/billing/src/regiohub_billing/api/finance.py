"""For the finance offices: exports, the clearing list, sellers."""

import base64
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.domain.tax import TaxRule
from regiohub_billing.render import hkr
from regiohub_billing.repo import bookings as bookings_repo
from regiohub_billing.repo import ledger as ledger_repo
from regiohub_billing.tables import ExportBatch, Seller
from regiohub_billing.usecases import exports, sellers
from regiohub_shared.auth.principal import COUNTY_FINANCE, Principal
from regiohub_shared.clock import now, real_now
from regiohub_shared.db.database import SessionDep
from regiohub_shared.idempotency import (
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    RequestInFlight,
    Stored,
    attempt,
    find_stored,
    require_key,
    store,
)
from regiohub_shared.problem import NotFound, PreconditionFailed, PreconditionRequired
from regiohub_shared.web.errors import problems

from .deps import CountyAdminDep, FinanceDep, check_finance
from .schemas import (
    ClearingList,
    ClearingPublic,
    ExportCreate,
    ExportList,
    ExportPreview,
    ExportPublic,
    ReplacedText,
    SellerPublic,
    SellerPut,
    Slug,
    TaxRuleBody,
)

router = APIRouter(tags=["finance"])
_ROUTE = "POST /v1/exports"
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/v1/exports/preview", summary="What an export made now would hold", responses=problems(NotFound))
async def preview_export(
    *,
    operator: Annotated[Slug, Query()],
    caller: FinanceDep,
    session: SessionDep,
    productive: Annotated[bool, Query(description="Real entries; false shows the sandbox ones")] = True,
) -> ExportPreview:
    """Nothing is written."""
    check_finance(caller, operator)
    draft = await exports.preview(session, operator=operator, productive=productive, now=now())
    rows, replaced = hkr.cells(draft.framed, draft.profile)
    texts = [ReplacedText.model_validate(item, from_attributes=True) for item in replaced]
    return ExportPreview.of(draft, rows, texts, productive=productive)


@router.post(
    "/v1/exports",
    summary="Make an export batch",
    status_code=201,
    responses=problems(
        NotFound, IdempotencyKeyMissing, IdempotencyKeyReused, RequestInFlight, exports.SandboxDocuments,
        exports.NothingToExport,
    ),
)  # fmt: skip
async def create_export(
    body: ExportCreate,
    caller: FinanceDep,
    session: SessionDep,
    key: Annotated[str, Depends(require_key)],
    response: Response,
) -> ExportPublic:
    """Each entry stands in one batch, ever; the batch never changes."""
    check_finance(caller, body.operator)
    wanted = attempt(sub=caller.sub, route=_ROUTE, key=key, body=body.model_dump(mode="json"))
    stored = await find_stored(session, wanted)
    if stored is None:
        batch = await exports.export(
            session, operator=body.operator, productive=body.productive, sub=caller.sub, now=now()
        )
        stored = Stored(201, ExportPublic.of(batch).model_dump(mode="json"))
        await store(session, wanted, stored, now=real_now())
    made = ExportPublic.model_validate(stored.body)
    response.headers["Location"] = f"/v1/exports/{made.id}"
    return made


@router.get("/v1/exports", summary="Batches of an operator, newest first", responses=problems(NotFound))
async def list_exports(
    *,
    operator: Annotated[Slug, Query()],
    caller: FinanceDep,
    session: SessionDep,
    response: Response,
    cursor: Annotated[int | None, Query(ge=1)] = None,
    limit: Limit = 50,
) -> ExportList:
    """The cursor is the number of the last batch seen."""
    check_finance(caller, operator)
    found = await ledger_repo.list_batches(session, operator, before=cursor, limit=limit)
    following = str(found[-1].number) if len(found) == limit else None
    if following:
        response.headers["Link"] = f'</v1/exports?operator={operator}&cursor={following}&limit={limit}>; rel="next"'
    return ExportList(items=[ExportPublic.of(batch) for batch in found], next=following)


async def _visible(session: AsyncSession, caller: Principal, export_id: UUID) -> ExportBatch:
    """Return the batch, or 404 for one that does not exist or is another town's."""
    batch = await ledger_repo.find_batch(session, export_id)
    if batch is None or not caller.is_finance_of(batch.operator):
        raise NotFound("There is no such export.")
    return batch


@router.get("/v1/exports/{export_id}", summary="A batch", responses=problems(NotFound))
async def get_export(export_id: UUID, caller: FinanceDep, session: SessionDep) -> ExportPublic:
    """Count, sum and sha256 of its file."""
    return ExportPublic.of(await _visible(session, caller, export_id))


@router.get(
    "/v1/exports/{export_id}/file",
    summary="A batch's file, byte for byte",
    response_class=Response,
    responses=problems(NotFound) | {200: {"content": {"text/csv": {}}, "description": "The file"}},
)
async def get_export_file(export_id: UUID, caller: FinanceDep, session: SessionDep) -> Response:
    """Always the bytes of the first time."""
    batch = await _visible(session, caller, export_id)
    digest = base64.b64encode(bytes.fromhex(batch.sha256)).decode()
    headers = {
        "Content-Disposition": f'attachment; filename="{batch.file_name}"',
        "Repr-Digest": f"sha-256=:{digest}:",
        "ETag": f'"{batch.sha256}"',
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
    charset = hkr.PROFILES[batch.profile].encoding.replace("cp", "windows-")
    return Response(batch.content, media_type=f"text/csv; charset={charset}", headers=headers)


@router.get("/v1/clearing", summary="Failed refunds and unmatched payments", responses=problems(NotFound))
async def list_clearing(
    *,
    caller: FinanceDep,
    session: SessionDep,
    response: Response,
    operator: Annotated[Slug | None, Query()] = None,
    cursor: UUID | None = None,
    limit: Limit = 50,
) -> ClearingList:
    """A town's office sees its own cases; the county all, also those that belong to nobody yet."""
    if operator is not None:
        check_finance(caller, operator)
    operators = [operator] if operator else None if caller.has(COUNTY_FINANCE) else sorted(caller.operators)
    found = await bookings_repo.list_clearing(session, operators, after=cursor, limit=limit)
    following = str(found[-1].id) if len(found) == limit else None
    if following:
        chosen = f"operator={operator}&" if operator else ""
        response.headers["Link"] = f'</v1/clearing?{chosen}cursor={following}&limit={limit}>; rel="next"'
    return ClearingList(items=[ClearingPublic.of(item) for item in found], next=following)


@router.get("/v1/sellers/{operator}", summary="An operator as seller", responses=problems(NotFound))
async def get_seller(operator: Slug, _caller: CountyAdminDep, session: SessionDep, response: Response) -> SellerPublic:
    """With all tax rules."""
    seller, rules = await sellers.get_seller(session, operator)
    return _seller(seller, rules, response)


@router.put(
    "/v1/sellers/{operator}",
    summary="Set an operator as seller",
    responses=problems(PreconditionFailed, PreconditionRequired)
    | {201: {"description": "The seller is new", "model": SellerPublic}},
)
async def put_seller(
    operator: Slug,
    body: SellerPut,
    _caller: CountyAdminDep,
    session: SessionDep,
    response: Response,
    if_match: Annotated[str | None, Header()] = None,
) -> SellerPublic:
    """The whole object. A new seller and an unchanged one need no ``If-Match``; issued documents never change."""
    values = body.model_dump(mode="json", exclude={"tax_rules"})
    rules = [rule.rule() for rule in body.tax_rules]
    seller, made = await sellers.put_seller(session, operator, values=values, rules=rules, if_match=if_match, now=now())
    response.status_code = 201 if made else 200
    return _seller(seller, await ledger_repo.list_rules(session, operator), response)


def _seller(seller: Seller, rules: list[TaxRule], response: Response) -> SellerPublic:
    response.headers["ETag"] = f'"{seller.version}"'
    bodies = [TaxRuleBody.model_validate(rule, from_attributes=True) for rule in rules]
    return SellerPublic(**seller.model_dump(exclude={"updated_at"}), tax_rules=bodies)
