"""Who a member is: read with their own token; exported and erased on request."""

import asyncio
from dataclasses import asdict
from typing import Any

import httpx

from regiohub_booking.domain.booking import Booking
from regiohub_booking.repo import bookings, mails, members
from regiohub_booking.repo.statement import On
from regiohub_shared.clock import real_now
from regiohub_shared.db.database import Database
from regiohub_shared.log import get_logger
from regiohub_shared.problem import Conflict

_log = get_logger(__name__)
_PAGE = 200
_LOOK_EVERY_S = 3600
_WAIT_S = 1.5
"""The longest wait for Keycloak, far below the time that the gateway gives to the whole request."""
_AWAY_S = 300
"""How long nobody asks about a member for whom Keycloak had no answer."""


def _is_over(rests: dict[str, float], sub: str) -> bool:
    return rests.get(sub, 0.0) <= real_now().timestamp()


def _rest(rests: dict[str, float], sub: str, seconds: int) -> None:
    """Let a member rest for so long; the table is small and may forget."""
    if len(rests) > 10_000:
        rests.clear()
    rests[sub] = real_now().timestamp() + seconds


class BookingsOpen(Conflict):
    """Bookings that are not over name the member until they are."""

    type, title = "bookings-open", "There are bookings that are not over yet"


class MemberReader:
    """Reads name and verified mail from Keycloak's userinfo, before any transaction begins: once, if there is a mail.

    A member without a verified mail is asked about again, at each booking and at most once an hour when they look at
    their bookings: their mails wait for it.
    """

    def __init__(self, db: Database, client: httpx.AsyncClient, realm: str) -> None:
        """``client`` points at Keycloak."""
        self._db, self._client = db, client
        self._path = f"/realms/{realm}/protocol/openid-connect/userinfo"
        self._known: dict[str, float] = {}
        self._looked: dict[str, float] = {}
        self._failed: dict[str, float] = {}

    async def remember(self, sub: str, token: str) -> None:
        """Make sure that the member is known; Keycloak's absence delays only the mail, never the booking."""
        if not _is_over(self._known, sub):
            return
        async with self._db.session() as session:
            known = await members.find_member(session, sub)
        has_mail = known is not None and known["mail"] is not None
        if has_mail or await self._read(sub, token, is_known=known is not None):
            _rest(self._known, sub, 600)

    async def look_again(self, sub: str, token: str) -> None:
        """Ask once more about a member who has booked without a verified mail, or while Keycloak was away."""
        if not (_is_over(self._looked, sub) and _is_over(self._failed, sub)):
            return
        _rest(self._looked, sub, _LOOK_EVERY_S)
        async with self._db.session() as session:
            known = await members.find_member(session, sub)
            waits = known["mail"] is None if known else await members.count_open(session, sub) > 0
        if waits:
            await self._read(sub, token, is_known=known is not None)

    async def _read(self, sub: str, token: str, *, is_known: bool) -> bool:
        """Ask Keycloak and keep what is new; return whether there is a verified mail now."""
        if not _is_over(self._failed, sub):
            return False
        claims = await self._userinfo(token)
        if claims is None:
            _rest(self._failed, sub, _AWAY_S)
        if claims is None or claims.get("sub") != sub:
            return False
        mail = claims.get("email") if claims.get("email_verified") is True else None
        name = str(claims.get("name") or claims.get("preferred_username") or "")[:200]
        now = real_now()
        async with self._db.session() as session:
            if not is_known:
                await members.add_member(session, sub=sub, name=name, mail=mail, now=now)
            elif mail:
                await members.replace_without_mail(session, sub=sub, name=name, mail=mail, now=now)
            if mail:
                await mails.wake(session, sub, now=now)
        return mail is not None

    async def _userinfo(self, token: str) -> dict[str, Any] | None:
        try:
            # The client's own timeout counts each read anew; this one bounds the whole answer.
            async with asyncio.timeout(_WAIT_S):
                answer = await self._client.get(self._path, headers={"Authorization": f"Bearer {token}"})
            answer.raise_for_status()
            claims = answer.json()
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
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
    await members.lock(on, sub)
    count = await members.count_open(on, sub)
    if count:
        raise BookingsOpen(f"{count} bookings are not over yet.", count=count)
    await members.erase(on, sub)
