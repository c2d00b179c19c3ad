"""A decision at a door as it goes up, each with the hash of the one before."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from regiohub_access.reader.wire.parse import Json, format_time, optional_text, text, time, want

GENESIS = "0" * 64
GRANTED = "granted"
"""The `reason` of an allowed event; a denied one carries a `regiohub_access.rh1.Reason`."""

Kind = Literal["pass", "pin", "command"]
Decision = Literal["allowed", "denied"]


@dataclass(frozen=True, slots=True)
class Event:
    """One decision at a door. `pass_id` is the hex of the pass's `cti`; `at` is business time."""

    seq: int
    at: datetime
    door: int
    kind: Kind
    decision: Decision
    reason: str
    pass_id: str | None
    pin_id: str | None
    prev_hash: str
    hash: str
    command_id: str | None = None

    def to_json(self) -> Json:
        """The event as sent and stored."""
        return {**self._body(), "hash": self.hash}

    def _body(self) -> Json:
        # Left out where there is none: the hashes of events before commands came stay right.
        command = {"command_id": self.command_id} if self.command_id else {}
        return command | {
            "seq": self.seq,
            "at": format_time(self.at),
            "door": self.door,
            "kind": self.kind,
            "decision": self.decision,
            "reason": self.reason,
            "pass_id": self.pass_id,
            "pin_id": self.pin_id,
            "prev_hash": self.prev_hash,
        }

    def computed_hash(self) -> str:
        """Hex SHA-256 of the event without `hash`, as JSON with sorted keys and no spaces."""
        text = json.dumps(self._body(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def from_json(cls, obj: Json) -> "Event":
        """Parse one event; its hash is not checked here (`is_chained`)."""
        return cls(
            seq=want(obj, "seq", int),
            at=time(obj, "at"),
            door=want(obj, "door", int),
            kind=text(obj, "kind", "pass|pin|command"),  # type: ignore[arg-type]  # the pattern is the literal
            decision=text(obj, "decision", "allowed|denied"),  # type: ignore[arg-type]
            reason=text(obj, "reason", "[a-z_]{1,40}"),
            pass_id=optional_text(obj, "pass_id"),
            pin_id=optional_text(obj, "pin_id"),
            prev_hash=text(obj, "prev_hash", "[0-9a-f]{64}"),
            hash=text(obj, "hash", "[0-9a-f]{64}"),
            command_id=optional_text(obj, "command_id"),
        )


def is_chained(events: Iterable[Event], prev_hash: str) -> bool:
    """Whether each hash is right and each event follows the one before (the first one `prev_hash`)."""
    for event in events:
        if event.prev_hash != prev_hash or event.hash != event.computed_hash():
            return False
        prev_hash = event.hash
    return True
