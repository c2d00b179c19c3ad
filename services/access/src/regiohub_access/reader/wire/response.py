"""What access answers."""

from dataclasses import dataclass
from datetime import datetime

from regiohub_access.reader.wire.parse import Json, check_version, format_time, items, text, time, want
from regiohub_access.reader.wire.request import VERSION
from regiohub_access.reader.wire.tables import DenyList, Door, PinTable, WireKey

COMMANDS_VERSION = 2
"""The commands that this reader understands, and says so in its request."""


@dataclass(frozen=True, slots=True)
class Command:
    """Open this door once, before `expires_at` (real time)."""

    id: str
    door: int
    expires_at: datetime

    def to_json(self) -> Json:
        """A member of `commands.items`."""
        return {"id": self.id, "door": self.door, "action": "open", "expires_at": format_time(self.expires_at)}

    @classmethod
    def from_json(cls, obj: Json) -> "Command":
        """Parse a member of `commands.items`; version 2 knows the one action."""
        text(obj, "action", "open")
        return cls(id=text(obj, "id", "[0-9a-f-]{36}"), door=want(obj, "door", int), expires_at=time(obj, "expires_at"))


@dataclass(frozen=True, slots=True)
class Commands:
    """What to do now. Version 1 has no items; those of a version that is not understood are left unread."""

    version: int = 1
    items: tuple[Command, ...] = ()

    def to_json(self) -> Json:
        """The `commands` member of a response."""
        return {"version": self.version, "items": [item.to_json() for item in self.items]}

    @classmethod
    def from_json(cls, obj: Json) -> "Commands":
        """Parse the `commands` member."""
        version = want(obj, "version", int)
        unread = want(obj, "items", list)
        return cls(version, items(obj, "items", Command.from_json) if version == COMMANDS_VERSION and unread else ())


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
            version=check_version(obj, VERSION),
            hub=text(obj, "hub", "[a-z0-9-]{1,60}"),
            doors=items(obj, "doors", Door.from_json),
            keys=None if obj.get("keys") is None else items(obj, "keys", WireKey.from_json),
            denylist=DenyList.from_json(want(obj, "denylist", dict)),
            pins=None if obj.get("pins") is None else PinTable.from_json(want(obj, "pins", dict)),
            commands=Commands.from_json(want(obj, "commands", dict)),
            events_acked=want(obj, "events_acked", int),
            server_time=time(obj, "server_time"),
            epoch=want(obj, "epoch", int),
        )
