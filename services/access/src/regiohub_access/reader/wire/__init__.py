"""The JSON of `POST /v1/readers/{id}/sync`, as frozen dataclasses (docs/reader.md says it in words).

Both sides use these: the reader sends a `SyncRequest`, access answers a `SyncResponse`. Times are aware
datetimes here and RFC 3339 strings in UTC with milliseconds on the wire. Anything that is not exactly of the
described shape raises `WireError`; unknown members are ignored, so that a newer side may add some.
"""

from regiohub_access.reader.wire.bounds import MAX_DRIFT
from regiohub_access.reader.wire.events import GENESIS, GRANTED, Decision, Event, Kind, is_chained
from regiohub_access.reader.wire.parse import MAX_INT, Json, WireError, format_time
from regiohub_access.reader.wire.request import VERSION, Have, SyncRequest
from regiohub_access.reader.wire.response import COMMANDS_VERSION, Commands, SyncResponse
from regiohub_access.reader.wire.tables import DenyEntry, DenyList, Door, Pin, PinTable, WireKey, keys_etag

__all__ = [
    "COMMANDS_VERSION",
    "GENESIS",
    "GRANTED",
    "MAX_DRIFT",
    "MAX_INT",
    "VERSION",
    "Commands",
    "Decision",
    "DenyEntry",
    "DenyList",
    "Door",
    "Event",
    "Have",
    "Json",
    "Kind",
    "Pin",
    "PinTable",
    "SyncRequest",
    "SyncResponse",
    "WireError",
    "WireKey",
    "format_time",
    "is_chained",
    "keys_etag",
]
