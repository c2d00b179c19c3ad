"""What other services may ask: facts in, a member's data out."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.api.schemas.bookings import SubjectExport
from regiohub_booking.repo.bookings import find_booking
from regiohub_booking.usecases.change import apply_door_opened
from regiohub_booking.usecases.facts import booking_changed
from regiohub_booking.usecases.member import BookingsOpen, erase_subject, export_subject
from regiohub_booking.usecases.payment import apply_payment
from regiohub_shared.auth.deps import require_service
from regiohub_shared.auth.principal import Principal
from regiohub_shared.clock import now
from regiohub_shared.contracts.access import DoorOpened
from regiohub_shared.contracts.billing import PaymentChanged
from regiohub_shared.contracts.booking import BookingChanged
from regiohub_shared.db.database import SessionDep
from regiohub_shared.events.inbox import Subscription, events_router
from regiohub_shared.problem import NotFound
from regiohub_shared.web.errors import problems

router = APIRouter(tags=["internal"])
PrivacyDep = Annotated[Principal, Depends(require_service("regiohub-privacy"))]
NeighbourDep = Annotated[Principal, Depends(require_service("regiohub-access", "regiohub-billing"))]
Sub = Annotated[str, Path(max_length=100)]


@router.get(
    "/internal/bookings/{booking_id}", summary="Read the booking whose fact is on its way", responses=problems(NotFound)
)
async def read_booking(booking_id: UUID, session: SessionDep, _caller: NeighbourDep) -> BookingChanged:
    """The same snapshot as in the fact, for a neighbour whom a user asks before the fact has arrived."""
    found = await find_booking(session, booking_id)
    if found is None:
        raise NotFound
    return booking_changed(found)


@router.get("/internal/subjects/{sub}", summary="Export a member's data")
async def export(sub: Sub, session: SessionDep, _caller: PrivacyDep) -> SubjectExport:
    """All that booking holds about one subject."""
    return SubjectExport(**await export_subject(session, sub))


@router.delete("/internal/subjects/{sub}", summary="Erase a member", status_code=204, responses=problems(BookingsOpen))
async def erase(sub: Sub, session: SessionDep, _caller: PrivacyDep) -> None:
    """Name, mail and keys go; bookings stay for the accounts under a pseudonym."""
    await erase_subject(session, sub)


async def _payment(session: AsyncSession, fact: Any) -> None:
    await apply_payment(session, fact, now=now())


async def _door(session: AsyncSession, fact: Any) -> None:
    await apply_door_opened(session, fact)


events = events_router(
    {
        PaymentChanged.type: Subscription(PaymentChanged, _payment, "regiohub-billing"),
        DoorOpened.type: Subscription(DoorOpened, _door, "regiohub-access"),
    }
)
