"""A reader synchronises: its events are stored, and it is told what it must know to decide alone."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.domain.chain import DoorEvent
from regiohub_access.reader import wire
from regiohub_access.repo import events, grants, passes, places
from regiohub_access.repo.sealing import Vault
from regiohub_access.repo.visible import check_is_reader
from regiohub_access.tables import Hub, Reader
from regiohub_access.usecases.commands import commands_for
from regiohub_access.usecases.keys import ensure_key, published_keys
from regiohub_access.usecases.openings import note_openings
from regiohub_access.usecases.pins import complete, pin_table, table_digest
from regiohub_shared import clock
from regiohub_shared.auth.principal import Principal
from regiohub_shared.db.database import Database
from regiohub_shared.log import get_logger

MAX_WAIT_S = 10
_POLL_S = 0.5
_LATE = timedelta(minutes=1)
MAX_RESTORES = 16
"""A reader's epoch may be so far ahead of ours: as many restores as may lie between a backup and today."""
FIRST_RESTORE = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
"""A restore by our tool takes its own time in seconds as epoch; there was none before this."""

MAX_COMMANDS_VERSION = 1000
"""What a reader may claim to understand, so that the number fits its column."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """What opens the PINs and how long ahead of its window a reader gets one."""

    vault: Vault
    pins_ahead: timedelta


async def synchronise(
    db: Database,
    *,
    principal: Principal,
    reader_id: str,
    request: wire.SyncRequest,
    rules: Rules,
    is_gone: Callable[[], Awaitable[bool]],
) -> wire.SyncResponse:
    """Take the events in one transaction; then wait, holding none, until there is news or the time is up.

    ``is_gone`` says whether the reader has hung up: nobody waits for a reader that does not.
    Raises :class:`ReaderMismatch` and :class:`ReaderNotFound`. Repeating a request changes nothing.
    """
    check_is_reader(principal, reader_id)
    async with db.session() as session:
        acked, has_told = await take_report(session, reader_id=reader_id, request=request, rules=rules)
    deadline = time.monotonic() + min(request.wait_s, MAX_WAIT_S)
    seen = -1
    while True:
        is_last = has_told or time.monotonic() >= deadline or await is_gone()
        async with db.session() as session:
            reader = await places.get_reader(session, reader_id)
            hub = await places.get_hub(session, reader.hub)
            if is_last or hub.change_sequence != seen:
                orders = await commands_for(
                    session, hub=hub.slug, reader_id=reader_id, request=request, real_now=clock.real_now()
                )
                answer = await answer_for(session, hub, have=request.have, acked=acked, rules=rules)
                answer = replace(answer, commands=orders)
                if is_last or is_news(answer, request.have):
                    return answer
            seen = hub.change_sequence
        await asyncio.sleep(min(_POLL_S, max(deadline - time.monotonic(), 0.01)))


# ---------------------------------------------------------------- up


async def take_report(
    session: AsyncSession, *, reader_id: str, request: wire.SyncRequest, rules: Rules
) -> tuple[int, bool]:
    """Store what the reader tells; return the last event stored of its chain, and whether any was new."""
    now = clock.now()
    reader = await places.get_reader(session, reader_id, lock=True)
    await ensure_key(session, rules.vault, real_now=clock.real_now())
    new = await _new_events(session, reader, request)
    if new:
        placed = _chained(reader, request.chain, new, now)
        await events.append(session, reader.hub, await note_openings(session, reader.hub, placed, now=now))
    _remember(reader, request, new, now)
    session.add(reader)
    await _lead_restored(session, reader.hub, request.have)
    await _note_armed(session, reader, request, rules, now)
    return (reader.log_sequence if reader.log_id == request.chain else 0), bool(request.events)


async def _new_events(session: AsyncSession, reader: Reader, request: wire.SyncRequest) -> list[wire.Event]:
    """Return the events that are not stored, in order, each once."""
    by_sequence = {event.seq: event for event in request.events}
    if reader.log_id == request.chain:
        by_sequence = {seq: event for seq, event in by_sequence.items() if seq > reader.log_sequence}
    known = await events.known_sequences(session, reader.id, request.chain, list(by_sequence))
    return [by_sequence[seq] for seq in sorted(by_sequence.keys() - known)]


def _chained(reader: Reader, chain: str, new: Sequence[wire.Event], now: datetime) -> list[DoorEvent]:
    """Place the events; one that does not fit its predecessor is kept and marked, since the door must go on."""
    is_same = reader.log_id == chain
    before = (reader.log_sequence, reader.log_hash) if is_same else (0, wire.GENESIS)
    placed = []
    for event in new:
        fits = (event.seq - 1, event.prev_hash) == before and event.hash == event.computed_hash()
        before = (event.seq, event.hash)
        placed.append(_door_event(reader, chain, event, now, is_chained=fits))
    return placed


def _door_event(reader: Reader, chain: str, event: wire.Event, now: datetime, *, is_chained: bool) -> DoorEvent:
    return DoorEvent(
        hub=reader.hub, number=0, reader_id=reader.id, reader_log=chain, reader_sequence=event.seq,
        door=event.door, at=event.at, received_at=now, method=event.kind, decision=event.decision,
        reason=event.reason, credential=event.pass_id or event.pin_id or event.command_id, late=now - event.at > _LATE,
        is_chained=is_chained,
    )  # fmt: skip


def _remember(reader: Reader, request: wire.SyncRequest, new: Sequence[wire.Event], now: datetime) -> None:
    reader.last_sync_at, reader.commands_version = now, min(request.commands_version, MAX_COMMANDS_VERSION)
    reader.deny_epoch, reader.deny_sequence = request.have.epoch, request.have.denylist_seq
    if new:
        reader.log_id, reader.log_sequence, reader.log_hash = request.chain, new[-1].seq, new[-1].hash


async def _lead_restored(session: AsyncSession, slug: str, have: wire.Have) -> None:
    """Raise the epoch if the reader holds higher numbers than we gave: our database was restored from a backup."""
    hub = await places.get_hub(session, slug)
    is_of_a_restore = FIRST_RESTORE <= have.epoch <= clock.real_now().timestamp()
    if have.epoch > hub.epoch + MAX_RESTORES and not is_of_a_restore:
        # No restore explains it, and following it would use up the numbers.
        _log.warning("epoch_far_ahead", hub=slug, reported=have.epoch, own=hub.epoch)
        return
    ahead = have.epoch == hub.epoch and (have.denylist_seq > hub.deny_sequence or have.pins_seq > hub.pins_sequence)
    if ahead or have.epoch > hub.epoch:
        hub = await places.lock_hub(session, slug)
        hub.epoch = min(max(hub.epoch, have.epoch) + 1, wire.MAX_INT)
        session.add(hub)
        await session.flush()


async def _note_armed(
    session: AsyncSession, reader: Reader, request: wire.SyncRequest, rules: Rules, now: datetime
) -> None:
    table = await pin_table(session, reader.hub, rules.vault, now=now, ahead=rules.pins_ahead)
    await grants.put_armed(session, reader.id, complete(table, frozenset(request.pins_stored)), now=now)


# ---------------------------------------------------------------- down


async def answer_for(
    session: AsyncSession, hub: Hub, *, have: wire.Have, acked: int, rules: Rules
) -> wire.SyncResponse:
    """Return what the reader lacks; under another epoch it lacks everything."""
    now, real_now = clock.now(), clock.real_now()
    knows = have.epoch == hub.epoch
    keys = await published_keys(session, real_now=real_now)
    table = await pin_table(session, hub.slug, rules.vault, now=now, ahead=rules.pins_ahead)
    hub = await _numbered(session, hub, table_digest(table))
    doors = await places.list_doors(session, hub.slug)
    has_pins = knows and have.pins_seq == hub.pins_sequence
    return wire.SyncResponse(
        hub=hub.slug,
        doors=tuple(wire.Door(door.number, door.name) for door in doors),
        keys=None if knows and have.keys_etag == wire.keys_etag(keys) else keys,
        denylist=await _denylist(session, hub, after=have.denylist_seq if knows else 0, is_full=not knows, now=now),
        pins=None if has_pins else wire.PinTable(hub.pins_sequence, table),
        events_acked=acked,
        server_time=real_now,
        epoch=hub.epoch,
    )


async def _numbered(session: AsyncSession, hub: Hub, digest: bytes) -> Hub:
    """Give the PIN table a new number if it is not the one last numbered, whatever the cause of the change."""
    if hub.pins_digest == digest:
        return hub
    locked = await places.lock_hub(session, hub.slug)
    if locked.pins_digest != digest:
        locked.pins_digest, locked.pins_sequence = digest, locked.pins_sequence + 1
        session.add(locked)
        await session.flush()
    return locked


async def _denylist(session: AsyncSession, hub: Hub, *, after: int, is_full: bool, now: datetime) -> wire.DenyList:
    rows = await passes.denied_after(session, hub.slug, after, now=now)
    entries = tuple(wire.DenyEntry(row.pass_id.hex(), row.ends_at) for row in rows)
    return wire.DenyList(hub.deny_sequence, is_full, entries)


def is_news(answer: wire.SyncResponse, have: wire.Have) -> bool:
    """Say whether the reader should hear this now rather than when its wait is over."""
    return (
        answer.epoch != have.epoch
        or bool(answer.commands.items)
        or answer.keys is not None
        or answer.pins is not None
        or answer.denylist.seq != have.denylist_seq
    )
