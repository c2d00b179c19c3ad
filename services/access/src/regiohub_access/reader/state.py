"""What the reader knows, and what a sync may change of it. Pure: no files, no network, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from regiohub_access.reader.clock import Moment
from regiohub_access.reader.wire import MAX_DRIFT, DenyList, Door, Have, Pin, SyncResponse, WireKey, keys_etag
from regiohub_access.rh1 import MAX_SPAN, IssuerKey, PublicKey, decode_base64url

CLOCK_LEEWAY = timedelta(seconds=60)
"""How far the clock may go back (an NTP step) before it counts as lost."""
_KEEP = timedelta(hours=1)
_EARLIEST = datetime.fromtimestamp(0, UTC)


class SyncRefused(Exception):
    """An answer that would take the reader back or does not belong to it; nothing of it is applied."""


@dataclass(frozen=True, slots=True)
class PinGuard:
    """When PINs were refused at one door during the last day, the oldest first, and until when they pause (real)."""

    refused: tuple[datetime, ...] = ()
    paused_until: datetime = _EARLIEST


@dataclass(frozen=True, slots=True)
class State:
    """Everything but the events. `denied` and `last_ts` are by pass id, `guards` by door number.

    `commands` are those decided, by id, with their expiry (real time): none of them is ever followed again.

    `latest_seen` is the latest real time ever seen; `is_clock_off` says that access's time was too different.
    """

    issuer: str
    hub: str
    doors: tuple[Door, ...] = ()
    wire_keys: tuple[WireKey, ...] = ()
    keys: Mapping[bytes, IssuerKey] = field(default_factory=dict)
    denied: Mapping[bytes, datetime] = field(default_factory=dict)
    last_ts: Mapping[bytes, int] = field(default_factory=dict)
    pins: tuple[Pin, ...] = ()
    guards: Mapping[int, PinGuard] = field(default_factory=dict)
    commands: Mapping[str, datetime] = field(default_factory=dict)
    epoch: int = 0
    denylist_seq: int = 0
    pins_seq: int = 0
    latest_seen: datetime = _EARLIEST
    is_clock_off: bool = False
    last_sync_at: datetime | None = None

    def have(self) -> Have:
        """What access need not send again."""
        etag = keys_etag(self.wire_keys) if self.wire_keys else ""
        return Have(self.denylist_seq, etag, self.pins_seq, self.epoch)

    def pins_stored(self) -> tuple[str, ...]:
        """The ids of all PINs held, each once: the proof that they are at the door."""
        return tuple(sorted({pin.pin_id for pin in self.pins}))


def load_keys(wire_keys: Sequence[WireKey]) -> dict[bytes, IssuerKey]:
    """The keys by `kid`; `ValueError` for a point off the curve."""
    keys = {}
    for wire in wire_keys:
        kid = bytes.fromhex(wire.kid)
        public = PublicKey(decode_base64url(wire.x), decode_base64url(wire.y))
        keys[kid] = IssuerKey(kid, public, wire.not_before, wire.not_after)
    return keys


def synced(state: State, response: SyncResponse, moment: Moment) -> State:
    """The state after an answer of access; raises `SyncRefused`, then nothing changes.

    Sequences go back only under a higher epoch. Revoked and seen passes are forgotten by access's time alone,
    so that a reader's clock that jumps ahead forgets nothing.
    """
    _check(state, response)
    state = replace(
        state,
        doors=response.doors,
        epoch=response.epoch,
        denied=_denied(state, response, moment),
        denylist_seq=response.denylist.seq,
        last_ts=_recent(state.last_ts, response.server_time),
        commands={key: until for key, until in state.commands.items() if until > response.server_time - _KEEP},
        last_sync_at=moment.now,
    )
    if response.keys is not None:
        state = replace(state, wire_keys=response.keys, keys=_checked_keys(response.keys))
    if response.pins is not None:
        state = replace(state, pins=response.pins.entries, pins_seq=response.pins.seq)
    return _clock_checked(state, response.server_time, moment.real)


def _check(state: State, response: SyncResponse) -> None:
    if response.hub != state.hub:
        raise SyncRefused("the answer is for another hub")
    if response.epoch < state.epoch:
        raise SyncRefused("the epoch went back")
    if response.epoch > state.epoch:
        _check_complete(state, response)
        return
    if response.denylist.seq < state.denylist_seq:
        raise SyncRefused("the deny-list went back")
    if response.pins is not None and response.pins.seq < state.pins_seq:
        raise SyncRefused("the PINs went back")


def _check_complete(state: State, response: SyncResponse) -> None:
    if state.denylist_seq and not response.denylist.full:
        raise SyncRefused("a new epoch needs the full deny-list")
    if state.pins_seq and response.pins is None:
        raise SyncRefused("a new epoch needs all PINs")


def _denied(state: State, response: SyncResponse, moment: Moment) -> dict[bytes, datetime]:
    """Return what is revoked and not over: a full list adds to what is known too.

    Access never takes a revocation back; one that restored a backup may only have lost it.
    """
    business_time = response.server_time + (moment.now - moment.real)
    known = {**state.denied, **_entries(response.denylist)}
    return {pass_id: exp for pass_id, exp in known.items() if exp > business_time - _KEEP}


def _entries(denylist: DenyList) -> dict[bytes, datetime]:
    return {bytes.fromhex(entry.id): entry.exp for entry in denylist.entries}


def _recent(last_ts: Mapping[bytes, int], server_time: datetime) -> dict[bytes, int]:
    oldest = (server_time - MAX_SPAN - _KEEP).timestamp()
    return {pass_id: ts for pass_id, ts in last_ts.items() if ts > oldest}


def _checked_keys(wire_keys: Sequence[WireKey]) -> dict[bytes, IssuerKey]:
    try:
        return load_keys(wire_keys)
    except ValueError as error:
        raise SyncRefused("an issuer key is not on the curve") from error


def _clock_checked(state: State, server_time: datetime, real_now: datetime) -> State:
    # A clock that once ran years ahead would close the doors for good: access's time alone may take it back.
    ran_ahead = state.latest_seen > server_time + MAX_DRIFT
    latest = server_time if ran_ahead else max(state.latest_seen, server_time)
    return replace(state, latest_seen=latest, is_clock_off=abs(server_time - real_now) > MAX_DRIFT)
