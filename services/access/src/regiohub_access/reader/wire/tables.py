"""What the reader keeps of an answer: doors, keys, the deny-list, PINs."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from regiohub_access.reader.wire.parse import Json, format_time, items, numbers, text, time, want


@dataclass(frozen=True, slots=True)
class Door:
    """A door that this reader serves."""

    number: int
    name: str

    def to_json(self) -> Json:
        """A member of `doors`."""
        return {"number": self.number, "name": self.name}

    @classmethod
    def from_json(cls, obj: Json) -> "Door":
        """Parse a member of `doors`."""
        return cls(number=want(obj, "number", int), name=text(obj, "name"))


@dataclass(frozen=True, slots=True)
class WireKey:
    """An issuer key: `kid` in hex, `x` and `y` base64url as in a JWK, validity in real time."""

    kid: str
    x: str
    y: str
    not_before: datetime
    not_after: datetime

    def to_json(self) -> Json:
        """A member of `keys`."""
        return {
            "kid": self.kid,
            "x": self.x,
            "y": self.y,
            "not_before": format_time(self.not_before),
            "not_after": format_time(self.not_after),
        }

    @classmethod
    def from_json(cls, obj: Json) -> "WireKey":
        """Parse a member of `keys`; whether the point is on the curve shows when the key is loaded."""
        return cls(
            kid=text(obj, "kid", "([0-9a-f]{2}){1,4}"),
            x=text(obj, "x", "[A-Za-z0-9_-]{43}"),
            y=text(obj, "y", "[A-Za-z0-9_-]{43}"),
            not_before=time(obj, "not_before"),
            not_after=time(obj, "not_after"),
        )


def keys_etag(keys: Sequence[WireKey]) -> str:
    """A name for this set of keys, the same on both sides, in any order."""
    bodies = sorted((key.to_json() for key in keys), key=lambda body: str(body["kid"]))
    return hashlib.sha256(json.dumps(bodies, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class DenyEntry:
    """A revoked pass: hex of its `cti`, and when the pass would have expired (business time)."""

    id: str
    exp: datetime

    def to_json(self) -> Json:
        """A member of `denylist.entries`."""
        return {"id": self.id, "exp": format_time(self.exp)}

    @classmethod
    def from_json(cls, obj: Json) -> "DenyEntry":
        """Parse a member of `denylist.entries`."""
        return cls(id=text(obj, "id", "[0-9a-f]{16}"), exp=time(obj, "exp"))


@dataclass(frozen=True, slots=True)
class DenyList:
    """Revoked passes up to `seq`: all that matter (`full`) or those after the reader's `denylist_seq`."""

    seq: int
    full: bool
    entries: tuple[DenyEntry, ...] = ()

    def to_json(self) -> Json:
        """The `denylist` member of a response."""
        return {"seq": self.seq, "full": self.full, "entries": [entry.to_json() for entry in self.entries]}

    @classmethod
    def from_json(cls, obj: Json) -> "DenyList":
        """Parse the `denylist` member."""
        return cls(
            seq=want(obj, "seq", int),
            full=want(obj, "full", bool),
            entries=items(obj, "entries", DenyEntry.from_json),
        )


@dataclass(frozen=True, slots=True, repr=False)
class Pin:
    """A PIN and where and when it opens, in business time, margins included; its repr hides the digits."""

    pin_id: str
    pin: str
    doors: tuple[int, ...]
    starts_at: datetime
    ends_at: datetime

    def __repr__(self) -> str:
        return f"Pin(pin_id={self.pin_id!r}, doors={self.doors!r})"

    def to_json(self) -> Json:
        """A member of `pins.entries`."""
        return {
            "pin_id": self.pin_id,
            "pin": self.pin,
            "doors": list(self.doors),
            "starts_at": format_time(self.starts_at),
            "ends_at": format_time(self.ends_at),
        }

    @classmethod
    def from_json(cls, obj: Json) -> "Pin":
        """Parse a member of `pins.entries`."""
        return cls(
            pin_id=text(obj, "pin_id"),
            pin=text(obj, "pin", "[0-9]{4,10}"),
            doors=numbers(obj, "doors"),
            starts_at=time(obj, "starts_at"),
            ends_at=time(obj, "ends_at"),
        )


@dataclass(frozen=True, slots=True)
class PinTable:
    """All PINs that the reader should hold at `seq` (never a difference)."""

    seq: int
    entries: tuple[Pin, ...] = ()

    def to_json(self) -> Json:
        """The `pins` member of a response."""
        return {"seq": self.seq, "entries": [entry.to_json() for entry in self.entries]}

    @classmethod
    def from_json(cls, obj: Json) -> "PinTable":
        """Parse the `pins` member."""
        return cls(seq=want(obj, "seq", int), entries=items(obj, "entries", Pin.from_json))
