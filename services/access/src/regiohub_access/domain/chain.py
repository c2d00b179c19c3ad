"""The chain of a hub's door events: each hash covers the one before, so a missing or changed event shows.

Events are deleted after 30 or 90 days, their hashes stay: the chain can still be checked for what is left.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class DoorEvent:
    """What a reader decided.

    ``at`` is the reader's (business) time; ``credential`` names a pass or a PIN, never its digits; ``reader_log``
    names the reader's own chain, ``is_chained`` says whether the event fits that chain's event before it.
    """

    hub: str
    number: int
    reader_id: str
    reader_log: str
    reader_sequence: int
    door: int
    at: datetime
    received_at: datetime
    method: str
    decision: str
    reason: str
    credential: str | None
    late: bool
    is_chained: bool


def genesis(hub: str) -> bytes:
    """Return the hash before a hub's first event."""
    return hashlib.sha256(b"regiohub door events of " + hub.encode()).digest()


def link(previous: bytes, event: DoorEvent) -> bytes:
    """Return SHA-256 over the previous hash and the event as canonical JSON (sorted keys, UTC times)."""
    members = {k: _plain(v) for k, v in asdict(event).items()}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(previous + text.encode()).digest()


def _plain(value: object) -> object:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def broken_links(events: Iterable[DoorEvent], hashes: Mapping[int, bytes]) -> list[int]:
    """Return the numbers of events that do not fit the hashes of their hub; ``hashes`` is by event number."""
    return [
        event.number
        for event in events
        if hashes.get(event.number)
        != link(hashes.get(event.number - 1, b"") if event.number > 1 else genesis(event.hub), event)
    ]
