"""A member's grants, told as they are now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import httpx
from pydantic import ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.domain.windows import Window
from regiohub_access.repo import grants, places
from regiohub_access.repo.places import DoorPlan
from regiohub_access.repo.sealing import Vault
from regiohub_access.tables import Grant
from regiohub_access.usecases.facts import follow_booking
from regiohub_access.usecases.pins import reveal
from regiohub_shared.auth.principal import Principal
from regiohub_shared.contracts.booking import BookingChanged
from regiohub_shared.db.database import Database
from regiohub_shared.log import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GrantView:
    """A grant with its windows (margins included), the doors they open, and the PIN while it is good."""

    grant: Grant
    status: Literal["active", "revoked", "ended"]
    address: str | None
    windows: Sequence[Window]
    doors: Sequence[DoorPlan]
    pin: str | None
    pin_armed_at: datetime | None


async def describe(session: AsyncSession, grant: Grant, vault: Vault, *, now: datetime) -> GrantView:
    """Return the grant as its member may see it; the PIN only while the grant is active and not over."""
    hub = await places.get_hub(session, grant.hub)
    plans = await places.list_doors(session, grant.hub)
    windows = await grants.windows_of(session, grant, places.site(hub, plans))
    is_over = all(window.ends_at <= now for window in windows)
    status: Literal["active", "revoked", "ended"] = "active"
    if grant.status == "revoked":
        status = "revoked"
    elif is_over:
        status = "ended"
    pin = await grants.find_pin(session, grant.id) if status == "active" else None
    opened = {number for window in windows for number in window.doors}
    return GrantView(
        grant=grant, status=status, address=hub.address, windows=windows,
        doors=[plan for plan in plans if plan.number in opened],
        pin=reveal(vault, pin) if pin else None,
        pin_armed_at=await grants.armed_at(session, grant) if pin else None,
    )  # fmt: skip


async def list_grants(
    session: AsyncSession, *, principal: Principal, booking_id: UUID | None, before: UUID | None,
    vault: Vault, now: datetime,
) -> tuple[list[GrantView], UUID | None]:  # fmt: skip
    """Return one page of the caller's grants, the newest first, and where the next page begins."""
    found = await grants.list_own(session, principal, booking_id=booking_id, before=before)
    page = found[: grants.PAGE]
    views = [await describe(session, grant, vault, now=now) for grant in page]
    return views, page[-1].id if len(found) > grants.PAGE else None


async def get_grant(
    session: AsyncSession, *, principal: Principal, grant_id: UUID, vault: Vault, now: datetime
) -> GrantView:
    """Return the caller's grant; raise :class:`GrantNotFound`."""
    return await describe(session, await grants.get_own(session, principal, grant_id), vault, now=now)


async def fetch_missing(
    db: Database, booking: httpx.AsyncClient, *, booking_id: UUID, vault: Vault, now: datetime
) -> None:
    """Ask booking once for a booking of which no fact has arrived; the answer goes through the fact's own handler.

    The call happens outside any transaction; booking's absence changes nothing (the fact will come).
    """
    async with db.session() as session:
        if await grants.find_of_booking(session, booking_id) is not None:
            return
    fact = await _read_booking(booking, booking_id)
    if fact is not None:
        async with db.session() as session:
            await follow_booking(session, fact=fact, vault=vault, now=now)


async def _read_booking(booking: httpx.AsyncClient, booking_id: UUID) -> BookingChanged | None:
    try:
        answer = await booking.get(f"/internal/bookings/{booking_id}")
    except Exception as error:  # noqa: BLE001 - whatever fails, the work goes on and is tried again
        _log.warning("booking_not_read", error=type(error).__name__)
        return None
    if not answer.is_success:
        return None
    try:
        fact = BookingChanged.model_validate_json(answer.content)
    except ValidationError:
        _log.error("booking_not_understood")
        return None
    return fact if fact.booking_id == booking_id else None
