"""Who a member is: read once with their own token; exported and erased on request."""

from dataclasses import asdict
from typing import Any

import httpx

from regiohub_booking.domain.booking import Booking
from regiohub_booking.repo import bookings, members
from regiohub_booking.repo.statement import On
from regiohub_shared.clock import real_now
from regiohub_shared.db.database import Database
from regiohub_shared.log import get_logger
from regiohub_shared.problem import Conflict

_log = get_logger(__name__)
_PAGE = 200


class BookingsOpen(Conflict):
    """Bookings that are not over name the member until they are."""

    type, title = "bookings-open", "There are bookings that are not over yet"


class MemberReader:
    """Reads name and verified mail once per member from Keycloak's userinfo, before any transaction begins."""

    def __init__(self, db: Database, client: httpx.AsyncClient, realm: str) -> None:
        """``client`` points at Keycloak."""
        self._db, self._client = db, client
        self._path = f"/realms/{realm}/protocol/openid-connect/userinfo"
        self._known: dict[str, float] = {}

    async def remember(self, sub: str, token: str) -> None:
        """Make sure that the member is known; Keycloak's absence delays only the mail, never the booking."""
        now = real_now()
        if self._known.get(sub, 0.0) > now.timestamp():
            return
        async with self._db.session() as session:
            known = await members.is_known(session, sub)
        if not known:
            claims = await self._userinfo(token)
            if claims is None or claims.get("sub") != sub:
                return
            mail = claims.get("email") if claims.get("email_verified") is True else None
            name = str(claims.get("name") or claims.get("preferred_username") or "")[:200]
            async with self._db.session() as session:
                await members.add_member(session, sub=sub, name=name, mail=mail, now=now)
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[sub] = now.timestamp() + 600

    async def _userinfo(self, token: str) -> dict[str, Any] | None:
        try:
            answer = await self._client.get(self._path, headers={"Authorization": f"Bearer {token}"})
            answer.raise_for_status()
            claims = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            _log.warning("userinfo_not_read", error=type(error).__name__)
            return None
        return claims if isinstance(claims, dict) else None


async def export_subject(on: On, sub: str) -> dict[str, Any]:
    """Return all that booking holds about a member: profile, every booking with its payments, and what names them.

    Facts on their way to the neighbours are copies of the bookings and are left out.
    """
    found: list[Booking] = []
    while page := await bookings.list_own(on, sub=sub, before=found[-1].id if found else None, limit=_PAGE):
        found += page
    return {
        "member": await members.find_member(on, sub),
        "bookings": [asdict(booking) for booking in found],
    } | await members.list_traces(on, sub)


async def erase_subject(on: On, sub: str) -> None:
    """Forget the member; raises :class:`BookingsOpen` while something is still to come."""
    count = await members.count_open(on, sub)
    if count:
        raise BookingsOpen(f"{count} bookings are not over yet.", count=count)
    await members.erase(on, sub)
