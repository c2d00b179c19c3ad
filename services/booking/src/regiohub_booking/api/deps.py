"""What routes share: roles, cursors, the member's profile."""

import base64
import binascii
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request

from regiohub_booking.usecases.member import MemberReader
from regiohub_shared.auth.deps import require
from regiohub_shared.auth.principal import COUNTY_ADMIN, HUB_OPERATOR, MEMBER, Principal
from regiohub_shared.problem import Malformed

MemberDep = Annotated[Principal, Depends(require(MEMBER))]
OperatorDep = Annotated[Principal, Depends(require(HUB_OPERATOR, COUNTY_ADMIN))]
CountyDep = Annotated[Principal, Depends(require(COUNTY_ADMIN))]
LimitQuery = Annotated[int, Query(ge=1, le=100, description="At most so many items")]
CursorQuery = Annotated[str | None, Query(max_length=200, description="`next` of the page before")]


class InvalidCursor(Malformed):
    """It is not a cursor that we gave."""

    type, title = "invalid-cursor", "The cursor is not valid"


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
