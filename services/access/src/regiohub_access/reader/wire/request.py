"""What the reader sends."""

from dataclasses import dataclass

from regiohub_access.reader.wire.events import Event
from regiohub_access.reader.wire.parse import Json, check_version, items, text, want

VERSION = 1


@dataclass(frozen=True, slots=True)
class Have:
    """What the reader holds already; all zero or empty on a new reader."""

    denylist_seq: int = 0
    keys_etag: str = ""
    pins_seq: int = 0
    epoch: int = 0

    def to_json(self) -> Json:
        """The `have` member of a request."""
        return {
            "denylist_seq": self.denylist_seq,
            "keys_etag": self.keys_etag,
            "pins_seq": self.pins_seq,
            "epoch": self.epoch,
        }

    @classmethod
    def from_json(cls, obj: Json) -> "Have":
        """Parse the `have` member."""
        return cls(
            denylist_seq=want(obj, "denylist_seq", int),
            keys_etag=text(obj, "keys_etag", ".{0,200}"),
            pins_seq=want(obj, "pins_seq", int),
            epoch=want(obj, "epoch", int),
        )


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What goes up. `chain` names this reader's event chain: a wiped reader starts a new one at seq 1."""

    chain: str
    events: tuple[Event, ...]
    acked_seq: int
    have: Have
    pins_stored: tuple[str, ...]
    wait_s: int
    version: int = VERSION
    commands_version: int = 1
    """Which commands the reader understands; one that does not say so gets none."""

    def to_json(self) -> Json:
        """The request body."""
        return {
            "version": self.version,
            "chain": self.chain,
            "events": [event.to_json() for event in self.events],
            "acked_seq": self.acked_seq,
            "have": self.have.to_json(),
            "pins_stored": list(self.pins_stored),
            "wait_s": self.wait_s,
            "commands_version": self.commands_version,
        }

    @classmethod
    def from_json(cls, obj: Json) -> "SyncRequest":
        """Parse a request body."""
        return cls(
            version=check_version(obj, VERSION),
            chain=text(obj, "chain", "[0-9a-f]{16}"),
            events=items(obj, "events", Event.from_json),
            acked_seq=want(obj, "acked_seq", int),
            have=Have.from_json(want(obj, "have", dict)),
            pins_stored=tuple(text({"pin_id": item}, "pin_id") for item in want(obj, "pins_stored", list)),
            wait_s=want(obj, "wait_s", int),
            commands_version=want(obj, "commands_version", int) if "commands_version" in obj else 1,
        )
