"""Versions over HTTP: the ETag goes out with what was read, and comes back as If-Match with a change."""

import re
from collections.abc import Container
from typing import Annotated

from fastapi import Depends, Header, Response

from regiohub_shared.problem import BadRequest, PreconditionRequired

# An element of a list of entity tags (RFC 9110, 8.8.3 and 5.6.1.2): strong or weak, or empty between two commas.
_ELEMENT = re.compile(r'[ \t]*(?:((?:W/)?"[!#-~\x80-\xff]*")[ \t]*)?(?:,|\Z)')
_OURS = re.compile(r'"(0|[1-9][0-9]{0,8})"')


class InvalidIfMatch(BadRequest):
    """It is no ETag, no list of them and no ``*``."""

    type, title = "invalid-if-match", "If-Match must hold the ETag that was read"


class _Every:
    """What ``*`` means: any version of something that exists; 0 is that of something not set up yet."""

    def __contains__(self, version: object) -> bool:
        return version != 0


def parse_versions(if_match: str | None) -> Container[int] | None:
    """Return the versions that ``"3"``, a list or ``*`` names; None without a header.

    Weak tags and tags of others are well-formed and match nothing (RFC 9110, 13.1.1).
    """
    if if_match is None:
        return None
    if if_match.strip() == "*":
        return _Every()
    ours = (_OURS.fullmatch(tag) for tag in _tags(if_match))
    return frozenset(int(found[1]) for found in ours if found)


def _tags(text: str) -> list[str]:
    tags, at = [], 0
    while at < len(text):
        element = _ELEMENT.match(text, at)
        if element is None:
            break
        tags += [element[1]] if element[1] else []
        at = element.end()
    if at < len(text) or not tags:
        raise InvalidIfMatch('Send the ETag as it was given, such as "3", quotes included.')
    return tags


_IfMatch = Annotated[str | None, Header(description="The ETag that was read; needed for a change")]


def find_versions(if_match: _IfMatch = None) -> Container[int] | None:
    """If-Match where it is needed only for a change of something that exists."""
    return parse_versions(if_match)


def require_versions(if_match: _IfMatch = None) -> Container[int]:
    """If-Match, or 428."""
    versions = parse_versions(if_match)
    if versions is None:
        raise PreconditionRequired("Send If-Match with the ETag that you read.")
    return versions


VersionDep = Annotated[Container[int], Depends(require_versions)]
MaybeVersionDep = Annotated[Container[int] | None, Depends(find_versions)]


def tag(response: Response, version: int) -> None:
    """Send the version as ETag."""
    response.headers["ETag"] = f'"{version}"'
