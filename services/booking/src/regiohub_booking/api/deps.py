"""What routes share: versions from If-Match, cursors, the member's profile."""

import base64
import binascii
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Query, Request, Response

from regiohub_booking.usecases.member import MemberReader
from regiohub_shared.auth.deps import require
from regiohub_shared.auth.principal import COUNTY_ADMIN, HUB_OPERATOR, MEMBER, Principal
from regiohub_shared.problem import BadRequest, Malformed, PreconditionRequired

MemberDep = Annotated[Principal, Depends(require(MEMBER))]
OperatorDep = Annotated[Principal, Depends(require(HUB_OPERATOR, COUNTY_ADMIN))]
CountyDep = Annotated[Principal, Depends(require(COUNTY_ADMIN))]
LimitQuery = Annotated[int, Query(ge=1, le=100, description="At most so many items")]
CursorQuery = Annotated[str | None, Query(max_length=200, description="`next` of the page before")]


class InvalidIfMatch(BadRequest):
    """It is not an ETag that we gave."""

    type, title = "invalid-if-match", "If-Match must hold the ETag that was read"


class InvalidCursor(Malformed):
    """It is not a cursor that we gave."""

    type, title = "invalid-cursor", "The cursor is not valid"


def parse_version(if_match: str | None) -> int | None:
    """Return the version of an ETag such as ``"3"``; None without one."""
    if if_match is None:
        return None
    bare = if_match.strip().removeprefix("W/").strip('"')
    if not bare.isascii() or not bare.isdigit() or len(bare) > 9:
        raise InvalidIfMatch
    return int(bare)


def find_version(if_match: Annotated[str | None, Header()] = None) -> int | None:
    """If-Match where it is needed only for a change of something that exists."""
    return parse_version(if_match)


def require_version(if_match: Annotated[str | None, Header()] = None) -> int:
    """If-Match, or 428."""
    version = parse_version(if_match)
    if version is None:
        raise PreconditionRequired("Send If-Match with the ETag that you read.")
    return version


VersionDep = Annotated[int, Depends(require_version)]
MaybeVersionDep = Annotated[int | None, Depends(find_version)]


def tag(response: Response, version: int) -> None:
    """Send the version as ETag."""
    response.headers["ETag"] = f'"{version}"'


def link_next(request: Request, response: Response, cursor: str | None) -> None:
    """Send ``Link: <…>; rel="next"`` beside ``next``; relative, since the gateway has another path."""
    if cursor is not None:
        query = request.url.include_query_params(cursor=cursor).query
        response.headers["Link"] = f'<?{query}>; rel="next"'


def write_cursor(*parts: str) -> str:
    """Return an opaque cursor."""
    return base64.urlsafe_b64encode("|".join(parts).encode()).decode().rstrip("=")


def _read_cursor(cursor: str, count: int) -> list[str]:
    try:
        parts = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split("|")
    except (ValueError, binascii.Error) as error:
        raise InvalidCursor from error
    if len(parts) != count:
        raise InvalidCursor
    return parts


def read_id(cursor: str | None) -> UUID | None:
    """Return the id in a cursor; raises :class:`InvalidCursor`."""
    if cursor is None:
        return None
    try:
        return UUID(_read_cursor(cursor, 1)[0])
    except ValueError as error:
        raise InvalidCursor from error


def read_start_and_id(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Return start and id in a cursor; raises :class:`InvalidCursor`."""
    if cursor is None:
        return None
    start, last = _read_cursor(cursor, 2)
    try:
        moment = datetime.fromisoformat(start)
        found = moment, UUID(last)
    except ValueError as error:
        raise InvalidCursor from error
    if moment.utcoffset() is None:
        raise InvalidCursor
    return found


async def known_member(request: Request, caller: MemberDep) -> Principal:
    """Return the member after making sure that name and mail were read, before any transaction."""
    reader: MemberReader = request.app.state.members
    token = request.headers["authorization"].partition(" ")[2]
    await reader.remember(caller.sub, token)
    return caller


KnownMemberDep = Annotated[Principal, Depends(known_member)]


async def returning_member(request: Request, caller: MemberDep) -> Principal:
    """Return the member; for one who had no verified mail when they booked, ask whether there is one by now."""
    reader: MemberReader = request.app.state.members
    await reader.look_again(caller.sub, request.headers["authorization"].partition(" ")[2])
    return caller


ReturningMemberDep = Annotated[Principal, Depends(returning_member)]
