"""What only named services may call; the gateway routes none of it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from regiohub_access.api.schemas.subjects import ErasedOut, SubjectOut
from regiohub_access.usecases import subjects
from regiohub_shared import clock
from regiohub_shared.auth.deps import require_service
from regiohub_shared.db.database import SessionDep

router = APIRouter(prefix="/internal", tags=["internal"])

Sub = Annotated[str, Path(min_length=1, max_length=255)]
_caller = Depends(require_service("regiohub-privacy"))


@router.get("/subjects/{sub}", summary="Export a person's data", dependencies=[_caller])
async def export_subject(sub: Sub, session: SessionDep) -> SubjectOut:
    """Grants, passes and door events; no names, since access knows none."""
    return SubjectOut.of(sub, await subjects.export_subject(session, sub=sub))


@router.delete("/subjects/{sub}", summary="Erase a person", dependencies=[_caller])
async def erase_subject(sub: Sub, session: SessionDep) -> ErasedOut:
    """Closes the person's grants and cuts every tie to the person; the chain of door events survives."""
    return ErasedOut(grants=await subjects.erase_subject(session, sub=sub, now=clock.now()))
