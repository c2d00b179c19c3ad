"""A member's calendar feed: its address, and the calendar behind it."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response

from regiohub_booking.api.deps import MemberDep
from regiohub_booking.api.schemas.calendars import CalendarFeedCreated, CalendarFeedPublic
from regiohub_booking.domain.feed import file_name
from regiohub_booking.repo import feeds
from regiohub_booking.settings import Settings
from regiohub_booking.usecases.feed import get_feed, read_feed, renew_feed
from regiohub_shared.clock import now
from regiohub_shared.db.database import SessionDep
from regiohub_shared.problem import NotFound
from regiohub_shared.web.errors import problems

router = APIRouter(tags=["calendars"])
_ICS = "text/calendar; charset=utf-8"
# Calendar programs keep their copy and ask by ETag; nobody on the way may.
_CACHE = "private, no-cache"


@router.get("/v1/calendar-feed", summary="Show my calendar feed", responses=problems(NotFound))
async def show_feed(session: SessionDep, caller: MemberDep) -> CalendarFeedPublic:
    """Since when there is an address; the address itself was told once."""
    return CalendarFeedPublic(created_at=await get_feed(session, sub=caller.sub))


@router.post("/v1/calendar-feed", summary="Make or renew my calendar feed", status_code=201)
async def make_feed(
    request: Request, response: Response, session: SessionDep, caller: MemberDep
) -> CalendarFeedCreated:
    """A new address; the one before is void at once.

    Without Idempotency-Key: a response kept for repeats would keep the address in clear. A repeat makes another one.
    """
    moment, settings = now(), _settings(request)
    token = await renew_feed(session, sub=caller.sub, now=moment)
    response.headers["Cache-Control"] = "no-store"
    return CalendarFeedCreated(url=f"{settings.public_origin}/calendars/{file_name(token)}", created_at=moment)


@router.delete("/v1/calendar-feed", summary="Revoke my calendar feed", status_code=204)
async def revoke_feed(session: SessionDep, caller: MemberDep) -> None:
    """The address leads nowhere from now on; a second time changes nothing."""
    await feeds.drop_feed(session, caller.sub)


@router.get(
    "/v1/calendars/{name}",
    summary="Read a calendar feed",
    response_class=Response,
    responses=problems(NotFound) | {200: {"content": {"text/calendar": {}}}, 304: {"description": "Not changed"}},
)
async def read_calendar(
    name: Annotated[str, Path(description="The secret and `.ics`")],
    request: Request,
    session: SessionDep,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """No login: the secret in the address is the right. Any other address answers 404, always the same.

    Confirmed bookings, and cancelled ones with `STATUS:CANCELLED`, until 90 days after their end.
    """
    content = await read_feed(session, name=name, origin=_settings(request).public_origin, now=now())
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": _CACHE}
    if _knows(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=_ICS)


def _knows(if_none_match: str | None, etag: str) -> bool:
    known = {part.strip().removeprefix("W/") for part in (if_none_match or "").split(",")}
    return etag in known or "*" in known


def _settings(request: Request) -> Settings:
    found: Settings = request.app.state.settings
    return found
