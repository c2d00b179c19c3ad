"""The JSON of `POST /v1/readers/{id}/sync`, as frozen dataclasses (docs/reader.md says it in words).

Both sides use these: the reader sends a `SyncRequest`, access answers a `SyncResponse`. Times are aware
datetimes here and RFC 3339 strings in UTC with milliseconds on the wire. Anything that is not exactly of the
described shape raises `WireError`; unknown members are ignored, so that a newer side may add some.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

VERSION = 1
COMMANDS_VERSION = 1
GENESIS = "0" * 64
GRANTED = "granted"
"""The `reason` of an allowed event; a denied one carries a `regiohub_access.rh1.Reason`."""

Json = dict[str, Any]
Kind = Literal["pass", "pin"]
Decision = Literal["allowed", "denied"]
_T = TypeVar("_T")
_MAX_INT = 2**53 - 1


class WireError(ValueError):
    """A message that does not have the agreed shape."""


def _want(obj: object, name: str, kind: type[_T]) -> _T:
    if not isinstance(obj, dict) or name not in obj:
        raise WireError(f"{name}: missing")
    value = obj[name]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise WireError(f"{name}: not of type {kind.__name__}")
    if isinstance(value, int) and not 0 <= value <= _MAX_INT:
        raise WireError(f"{name}: out of range")
    return value


def _text(obj: object, name: str, pattern: str = r"(?s:.{1,200})") -> str:
    value = _want(obj, name, str)
    if not re.fullmatch(pattern, value):
        raise WireError(f"{name}: malformed")
    return value


def _optional_text(obj: Json, name: str) -> str | None:
    return None if obj.get(name) is None else _text(obj, name)


def _time(obj: object, name: str) -> datetime:
    try:
        value = datetime.fromisoformat(_want(obj, name, str))
    except ValueError as error:
        raise WireError(f"{name}: not a time") from error
    if value.tzinfo is None:
        raise WireError(f"{name}: a time without an offset")
    return value.astimezone(UTC)


def _items(obj: object, name: str, item: Callable[[Json], _T]) -> tuple[_T, ...]:
    return tuple(item(entry) for entry in _want(obj, name, list))


def _numbers(obj: object, name: str) -> tuple[int, ...]:
    return tuple(_want({"item": item}, "item", int) for item in _want(obj, name, list))


def format_time(value: datetime) -> str:
    """RFC 3339 in UTC with milliseconds (`2026-11-26T14:00:00.000Z`); a naive time raises `ValueError`."""
    if value.tzinfo is None:
        raise ValueError("a time without an offset")
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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

    def to_json(self) -> Json:
        """The event as sent and stored."""
        return {**self._body(), "hash": self.hash}

    def _body(self) -> Json:
        return {
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
            seq=_want(obj, "seq", int),
            at=_time(obj, "at"),
            door=_want(obj, "door", int),
            kind=_text(obj, "kind", "pass|pin"),  # type: ignore[arg-type]  # the pattern is the literal
            decision=_text(obj, "decision", "allowed|denied"),  # type: ignore[arg-type]
            reason=_text(obj, "reason", "[a-z_]{1,40}"),
            pass_id=_optional_text(obj, "pass_id"),
            pin_id=_optional_text(obj, "pin_id"),
            prev_hash=_text(obj, "prev_hash", "[0-9a-f]{64}"),
            hash=_text(obj, "hash", "[0-9a-f]{64}"),
        )


def is_chained(events: Iterable[Event], prev_hash: str) -> bool:
    """Whether each hash is right and each event follows the one before (the first one `prev_hash`)."""
    for event in events:
        if event.prev_hash != prev_hash or event.hash != event.computed_hash():
            return False
        prev_hash = event.hash
    return True


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
            denylist_seq=_want(obj, "denylist_seq", int),
            keys_etag=_text(obj, "keys_etag", ".{0,200}"),
            pins_seq=_want(obj, "pins_seq", int),
            epoch=_want(obj, "epoch", int),
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
        }

    @classmethod
    def from_json(cls, obj: Json) -> "SyncRequest":
        """Parse a request body."""
        return cls(
            version=_version(obj, VERSION),
            chain=_text(obj, "chain", "[0-9a-f]{16}"),
            events=_items(obj, "events", Event.from_json),
            acked_seq=_want(obj, "acked_seq", int),
            have=Have.from_json(_want(obj, "have", dict)),
            pins_stored=tuple(_text({"pin_id": item}, "pin_id") for item in _want(obj, "pins_stored", list)),
            wait_s=_want(obj, "wait_s", int),
        )


def _version(obj: Json, supported: int) -> int:
    version = _want(obj, "version", int)
    if version != supported:
        raise WireError(f"version: {version} is not supported")
    return version


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
        return cls(number=_want(obj, "number", int), name=_text(obj, "name"))


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
            kid=_text(obj, "kid", "([0-9a-f]{2}){1,4}"),
            x=_text(obj, "x", "[A-Za-z0-9_-]{43}"),
            y=_text(obj, "y", "[A-Za-z0-9_-]{43}"),
            not_before=_time(obj, "not_before"),
            not_after=_time(obj, "not_after"),
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
        return cls(id=_text(obj, "id", "[0-9a-f]{16}"), exp=_time(obj, "exp"))


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
            seq=_want(obj, "seq", int),
            full=_want(obj, "full", bool),
            entries=_items(obj, "entries", DenyEntry.from_json),
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
            pin_id=_text(obj, "pin_id"),
            pin=_text(obj, "pin", "[0-9]{4,10}"),
            doors=_numbers(obj, "doors"),
            starts_at=_time(obj, "starts_at"),
            ends_at=_time(obj, "ends_at"),
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
        return cls(seq=_want(obj, "seq", int), entries=_items(obj, "entries", Pin.from_json))


@dataclass(frozen=True, slots=True)
class Commands:
    """Reserved: version 1 has no items, and the reader obeys none."""

    version: int = COMMANDS_VERSION
    items: tuple[Json, ...] = ()

    def to_json(self) -> Json:
        """The `commands` member of a response."""
        return {"version": self.version, "items": list(self.items)}

    @classmethod
    def from_json(cls, obj: Json) -> "Commands":
        """Parse the `commands` member; items are kept unread."""
        return cls(version=_want(obj, "version", int), items=tuple(_want(obj, "items", list)))


@dataclass(frozen=True, slots=True)
class SyncResponse:
    """What comes down. `keys` and `pins` may be None: unchanged. `server_time` is real, not business, time.

    `events_acked` is the highest seq of the request's chain from which on downwards all are stored.
    """

    hub: str
    doors: tuple[Door, ...]
    keys: tuple[WireKey, ...] | None
    denylist: DenyList
    pins: PinTable | None
    events_acked: int
    server_time: datetime
    epoch: int
    commands: Commands = Commands()
    version: int = VERSION

    def to_json(self) -> Json:
        """The response body."""
        return {
            "version": self.version,
            "hub": self.hub,
            "doors": [door.to_json() for door in self.doors],
            "keys": None if self.keys is None else [key.to_json() for key in self.keys],
            "denylist": self.denylist.to_json(),
            "pins": None if self.pins is None else self.pins.to_json(),
            "commands": self.commands.to_json(),
            "events_acked": self.events_acked,
            "server_time": format_time(self.server_time),
            "epoch": self.epoch,
        }

    @classmethod
    def from_json(cls, obj: Json) -> "SyncResponse":
        """Parse a response body."""
        return cls(
            version=_version(obj, VERSION),
            hub=_text(obj, "hub", "[a-z0-9-]{1,60}"),
            doors=_items(obj, "doors", Door.from_json),
            keys=None if obj.get("keys") is None else _items(obj, "keys", WireKey.from_json),
            denylist=DenyList.from_json(_want(obj, "denylist", dict)),
            pins=None if obj.get("pins") is None else PinTable.from_json(_want(obj, "pins", dict)),
            commands=Commands.from_json(_want(obj, "commands", dict)),
            events_acked=_want(obj, "events_acked", int),
            server_time=_time(obj, "server_time"),
            epoch=_want(obj, "epoch", int),
        )
