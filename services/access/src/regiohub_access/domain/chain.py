"""The chain of a hub's door events: each hash covers the one before, so a missing or changed event shows.

Events are deleted after 30 or 90 days, their hashes stay: the chain can still be checked for what is left.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class DoorEvent:
    """What a reader decided.

    ``at`` is the reader's (business) time; ``credential`` names a pass or a PIN, never its digits; ``reader_log``
    names the reader's own chain, ``is_chained`` says whether the event fits that chain's event before it; ``doubt``
    says why an opening cannot be true (:mod:`regiohub_access.domain.openings`).
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
    doubt: str | None = None


def genesis(hub: str) -> bytes:
    """Return the hash before a hub's first event."""
    return hashlib.sha256(b"regiohub door events of " + hub.encode()).digest()


def link(previous: bytes, event: DoorEvent) -> bytes:
    """Return SHA-256 over the previous hash and the event as canonical JSON (sorted keys, UTC times)."""
    members = {k: _plain(v) for k, v in asdict(event).items() if k != "doubt" or v}  # older events knew no doubt
    text = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(previous + text.encode()).digest()


def _plain(value: object) -> object:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def broken_links(
    hub: str, events: Sequence[DoorEvent], hashes: Mapping[int, bytes], numbers: range, *, kept_since: datetime
) -> list[int]:
    """Return the numbers in this stretch of a hub's chain that do not fit, ascending.

    ``events`` are those left of the stretch, in order; ``hashes`` are by number and include the one before it. An
    event received since ``kept_since`` and all after it must be there: nothing is deleted so early.
    """
    known = {0: genesis(hub)} | dict(hashes)
    bad = {number for number in numbers if number not in known}
    bad |= {e.number for e in events if known.get(e.number) != link(known.get(e.number - 1, b""), e)}
    first_kept = next((event.number for event in events if event.received_at > kept_since), numbers.stop)
    bad |= set(range(first_kept, numbers.stop)) - {event.number for event in events}
    return sorted(bad)
