"""Reported openings: those that can be true are told to booking, the others are kept with their doubt."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.domain.chain import DoorEvent
from regiohub_access.domain.openings import Entry, Holder, doubt, first_opening
from regiohub_access.domain.windows import windows
from regiohub_access.reader.wire import MAX_DRIFT
from regiohub_access.repo import events, grants, places
from regiohub_access.tables import Grant
from regiohub_access.usecases.commands import note_command
from regiohub_access.usecases.pins import grant_of, pin_id_of
from regiohub_shared import clock
from regiohub_shared.contracts.access import DoorOpened
from regiohub_shared.events.outbox import emit
from regiohub_shared.log import get_logger

_log = get_logger(__name__)


async def note_openings(
    session: AsyncSession, hub: str, placed: Sequence[DoorEvent], *, now: datetime
) -> list[DoorEvent]:
    """Tell booking of each grant's first opening, and of an earlier one that arrives later.

    Returns the events in the same order, each opening that cannot be true with its doubt.
    """
    shown = [event for event in placed if event.decision == "allowed" and event.method != "command"]
    by_credential = await _named(session, hub, shown)
    locked = {g.id: g for g in await grants.lock_many(session, by_credential.values()) if g.hub == hub}
    holders = await _holders(session, hub, list(locked.values()))
    judged = []
    for event in placed:
        if event.method == "command":
            # An operator opened: it checks nobody in.
            judged.append(await note_command(session, event, now=now, real_now=clock.real_now()))
            continue
        grant_id = by_credential.get((event.method, event.credential))
        holder = holders.get((event.method, grant_id)) if grant_id else None
        judged.append(_judged(event, holder, now))
        if judged[-1].decision == "allowed" and judged[-1].doubt is None and grant_id in locked:
            await _note(session, locked[grant_id], event.at)
    return judged


def _judged(event: DoorEvent, holder: Holder | None, now: datetime) -> DoorEvent:
    found = doubt(event, holder, now=now, skew=MAX_DRIFT) if event.decision == "allowed" else None
    if found is not None:
        _log.warning("opening_doubted", hub=event.hub, reader=event.reader_id, door=event.door, doubt=found)
    return replace(event, doubt=found)


async def _named(
    session: AsyncSession, hub: str, allowed: Sequence[DoorEvent]
) -> Mapping[tuple[str, str | None], UUID]:
    """Return the grant that each opening's pass or PIN names."""
    shown = {(event.method, event.credential) for event in allowed}
    passes = await events.grants_of_passes(session, hub, [_bytes(text) for method, text in shown if method == "pass"])
    named = {
        (method, text): passes.get(_bytes(text)) if method == "pass" else grant_of(text or "") for method, text in shown
    }
    return {credential: grant_id for credential, grant_id in named.items() if grant_id is not None}


def _bytes(text: str | None) -> bytes:
    try:
        return bytes.fromhex(text or "")
    except ValueError:
        return b""


async def _holders(session: AsyncSession, hub: str, locked: Sequence[Grant]) -> dict[tuple[str, UUID | None], Holder]:
    """Return what each grant allowed, by method: only a PIN's id says which content it had."""
    ids = [grant.id for grant in locked]
    site, spans = await places.load_site(session, hub), await grants.spans_of(session, ids)
    pins = await grants.pins_of(session, ids)
    holders: dict[tuple[str, UUID | None], Holder] = {}
    for grant in locked:
        granted, pin = windows(spans[grant.id], site), pins.get(grant.id)
        was_active = grant.activated_at is not None
        by_pass = [Entry(window, None) for window in granted]
        by_pin = [Entry(window, pin_id_of(pin, window) if pin else None) for window in granted]
        holders["pass", grant.id] = Holder(was_active, grant.revoked_at, by_pass)
        holders["pin", grant.id] = Holder(was_active, grant.revoked_at, by_pin)
    return holders


async def _note(session: AsyncSession, grant: Grant, at: datetime) -> None:
    first = first_opening(grant.first_opened_at, at)
    if first is None:
        return
    grant.first_opened_at = first
    await tell_opening(session, grant)


async def tell_opening(session: AsyncSession, grant: Grant) -> None:
    """Tell booking when a grant first opened a door; the grant is locked and has opened one."""
    if grant.first_opened_at is None:
        return
    grant.opened_version += 1
    session.add(grant)
    fact = DoorOpened(
        grant_id=grant.id, booking_id=grant.booking_id, version=grant.opened_version,
        first_opened_at=grant.first_opened_at,
    )  # fmt: skip
    await emit(session, fact, now=clock.real_now())
