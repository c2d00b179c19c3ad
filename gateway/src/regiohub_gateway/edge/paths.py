"""Which request paths pass. Every one that two programs could read differently is refused, never repaired."""

import re

from regiohub_shared.problem import BadRequest

_SEGMENT_BYTES = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:@%-]*")
_ESCAPE = re.compile(rb"%(..?)?")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_QUERY_BYTES = re.compile(rb"(?:[\x21-\x24\x26-\x7e]|%[0-9A-Fa-f]{2})*+")
MAX_PATH = 2048
MAX_QUERY = 8192


class AmbiguousPath(BadRequest):
    """A path that could mean two things: dot segments, double slashes, escaped separators, half escapes."""

    type, title = "ambiguous-path", "This path is not allowed"


def check_path(raw_path: bytes, query: bytes) -> str:
    """Return the path as text, byte for byte as it came; raises :class:`AmbiguousPath`."""
    if not raw_path.startswith(b"/") or len(raw_path) > MAX_PATH or len(query) > MAX_QUERY:
        raise AmbiguousPath
    segments = raw_path[1:].split(b"/")
    # An empty segment is a double slash, but for the last one (a trailing slash).
    if any(_is_ambiguous(segment) for segment in segments) or b"" in segments[:-1]:
        raise AmbiguousPath
    if b"#" in query or not _QUERY_BYTES.fullmatch(query):
        raise AmbiguousPath
    return raw_path.decode("ascii")


def _is_ambiguous(segment: bytes) -> bool:
    if segment in (b".", b"..") or not _SEGMENT_BYTES.fullmatch(segment):
        return True
    return any(_is_bad_escape(match.group(1) or b"") for match in _ESCAPE.finditer(segment))


def _is_bad_escape(digits: bytes) -> bool:
    """Controls, separators, non-ASCII, and what needs no escape (clients along the way would decode it)."""
    if not re.fullmatch(rb"[0-9A-Fa-f]{2}", digits):
        return True
    byte = int(digits, 16)
    return byte < 0x20 or byte >= 0x7F or byte in b"/\\%" or byte in _UNRESERVED
