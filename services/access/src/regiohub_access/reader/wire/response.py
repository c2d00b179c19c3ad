"""What access answers."""

from dataclasses import dataclass
from datetime import datetime

from regiohub_access.reader.wire.parse import Json, check_version, format_time, items, text, time, want
from regiohub_access.reader.wire.request import VERSION
from regiohub_access.reader.wire.tables import DenyList, Door, PinTable, WireKey

COMMANDS_VERSION = 1


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
        return cls(version=want(obj, "version", int), items=tuple(want(obj, "items", list)))


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
