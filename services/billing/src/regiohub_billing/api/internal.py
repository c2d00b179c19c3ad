"""For other services only: facts in, a member's data out, a member forgotten."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_billing.api.schemas import SubjectData
from regiohub_billing.repo import bookings as repo
from regiohub_billing.usecases import settling
from regiohub_shared.auth.deps import require_service
from regiohub_shared.auth.principal import Principal
from regiohub_shared.clock import now
from regiohub_shared.contracts.booking import BookingChanged
from regiohub_shared.db.database import SessionDep
from regiohub_shared.events.inbox import Subscription, events_router
from regiohub_shared.ids import new_id


async def take_booking(session: AsyncSession, fact: BookingChanged) -> None:
    """Apply a booking's newest snapshot."""
    await settling.apply_booking(session, fact, now=now())


router = APIRouter(tags=["internal"])
router.include_router(
    events_router(
        {BookingChanged.type: Subscription(model=BookingChanged, handler=take_booking, producer="regiohub-booking")}
    )
)
Sub = Annotated[str, Path(max_length=100)]
ServiceDep = Annotated[Principal, Depends(require_service("regiohub-privacy"))]


@router.get("/internal/subjects/{sub}", summary="Export what we hold about a member")
async def export_subject(sub: Sub, _caller: ServiceDep, session: SessionDep) -> SubjectData:
    """Charges, payments, refunds and documents."""
    return SubjectData.model_validate(await repo.subject_data(session, sub))


@router.delete("/internal/subjects/{sub}", summary="Forget a member", status_code=204)
async def erase_subject(sub: Sub, _caller: ServiceDep, session: SessionDep) -> Response:
    """Cuts the tie to the member; issued documents stay for as long as the law wants them."""
    await repo.erase_subject(session, sub, f"{repo.ERASED}{new_id()}")
    return Response(status_code=204)
