"""Hash chains over issued rows: a change, a gap or a swap in the past shows."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

GENESIS = "0" * 64
"""What the first row of a chain points to."""


def _plain(value: Any) -> str:
    # The same moment and rate must hash alike before and after the database has had them.
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"no canonical form for {type(value).__name__}")


def canonical_json(content: Mapping[str, Any]) -> bytes:
    """Write content in one way only: sorted keys, no spaces, UTF-8."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)
    return text.encode()


def chain_hash(previous: str, content: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of a row and the hash before it."""
    return hashlib.sha256(previous.encode("ascii") + b"\n" + canonical_json(content)).hexdigest()


def first_break(rows: Iterable[tuple[str, str, Mapping[str, Any]]], expected: str = GENESIS) -> int | None:
    """Return the position of the first row ``(previous, hash, content)`` that does not fit, or None.

    ``expected`` is the hash of the row before the first one.
    """
    for position, (previous, own, content) in enumerate(rows):
        if previous != expected or own != chain_hash(previous, content):
            return position
        expected = own
    return None
