"""For the finance offices: what waits, batches, and their files."""

import base64
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.api.deps import DatabaseDep, FinanceDep, RendererDep, check_finance
from regiohub_billing.api.schemas import ExportCreate, ExportList, ExportPreview, ExportPublic, Slug
from regiohub_billing.render import hkr
from regiohub_billing.repo import ledger as repo
from regiohub_billing.tables import ExportBatch
from regiohub_billing.usecases import exports
from regiohub_billing.usecases.rendering import RenderingBusy
from regiohub_shared.auth.principal import Principal
from regiohub_shared.clock import now, real_now
from regiohub_shared.db.database import SessionDep
from regiohub_shared.idempotency import (
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    RequestInFlight,
    attempt,
    require_key,
)
from regiohub_shared.problem import NotFound
from regiohub_shared.web.errors import problems
from regiohub_shared.web.paging import link_next

router = APIRouter(tags=["finance"])
_ROUTE = "POST /v1/exports"
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get(
    "/v1/exports/preview", summary="What an export made now would hold", responses=problems(NotFound, RenderingBusy)
)
async def preview_export(
    *,
    operator: Annotated[Slug, Query()],
    caller: FinanceDep,
    db: DatabaseDep,
    renderer: RendererDep,
    productive: Annotated[bool, Query(description="Real entries; false shows the sandbox ones")] = True,
    limit: Annotated[int, Query(ge=1, le=500, description="Longest list of rows")] = 200,
) -> ExportPreview:
    """Nothing is written. Count and sum are those of the whole batch, however few rows are shown."""
    check_finance(caller, operator)
    found = await exports.preview(db, renderer, operator=operator, productive=productive, now=now(), rows=limit)
    return ExportPreview.of(found, productive=productive, limit=limit)


@router.post(
    "/v1/exports",
    summary="Make an export batch",
    status_code=201,
    responses=problems(
        NotFound, IdempotencyKeyMissing, IdempotencyKeyReused, RequestInFlight, exports.SandboxDocuments,
        exports.NothingToExport, exports.ExportOvertaken, RenderingBusy,
    ),
)  # fmt: skip
async def create_export(
    *,
    body: ExportCreate,
    caller: FinanceDep,
    db: DatabaseDep,
    renderer: RendererDep,
    key: Annotated[str, Depends(require_key)],
    response: Response,
) -> ExportPublic:
    """Each entry stands in one batch, ever; the batch never changes. One holds 5000 entries at most.

    Money whose order is beyond them waits for the next batch too. `Location` is relative to the address that was asked.
    """
    check_finance(caller, body.operator)
    wanted = attempt(sub=caller.sub, route=_ROUTE, key=key, body=body.model_dump(mode="json", exclude_none=True))
    order = exports.Wanted(
        operator=body.operator, productive=body.productive, sub=caller.sub, key=wanted, preview=body.preview
    )
    stored = await exports.export(
        db, renderer, order, answer=lambda batch: ExportPublic.of(batch).model_dump(mode="json"), now=now(),
        real_now=real_now(),
    )  # fmt: skip
    made = ExportPublic.model_validate(stored.body)
    # Relative to the address that was asked, since the gateway has another path.
    response.headers["Location"] = f"exports/{made.id}"
    return made


@router.get("/v1/exports", summary="Batches of an operator, newest first", responses=problems(NotFound))
async def list_exports(
    *,
    operator: Annotated[Slug, Query()],
    caller: FinanceDep,
    session: SessionDep,
    request: Request,
    response: Response,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Limit = 50,
) -> ExportList:
    """The cursor is the number of the last batch seen."""
    check_finance(caller, operator)
    found = await repo.list_batches(session, operator, before=cursor, limit=limit + 1)
    items = [ExportPublic.of(batch) for batch in found[:limit]]
    following = str(items[-1].number) if len(found) > limit else None
    link_next(request, response, following)
    return ExportList(items=items, next=following)


async def _visible(session: AsyncSession, caller: Principal, export_id: UUID) -> ExportBatch:
    """Return the batch, or 404 for one that does not exist or is another town's."""
    batch = await repo.find_batch(session, export_id)
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
