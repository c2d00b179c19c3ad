"""Versions over HTTP: the ETag goes out with what was read, and comes back as If-Match with a change."""

import re
from typing import Annotated

from fastapi import Depends, Header, Response

from regiohub_shared.problem import BadRequest, PreconditionRequired

_TAG = re.compile(r'"([0-9]{1,9})"')


class InvalidIfMatch(BadRequest):
    """It is not an ETag that we gave: ours are strong, and a weak one never matches (RFC 9110, 13.1.1)."""

    type, title = "invalid-if-match", "If-Match must hold the ETag that was read"


def parse_version(if_match: str | None) -> int | None:
    """Return the version of an ETag such as ``"3"``; None without one."""
    if if_match is None:
        return None
    found = _TAG.fullmatch(if_match.strip())
    if found is None:
        raise InvalidIfMatch('Send the ETag as it was given, such as "3", quotes included.')
    return int(found[1])


_IfMatch = Annotated[str | None, Header(description="The ETag that was read; needed for a change")]


def find_version(if_match: _IfMatch = None) -> int | None:
    """If-Match where it is needed only for a change of something that exists."""
    return parse_version(if_match)


def require_version(if_match: _IfMatch = None) -> int:
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
