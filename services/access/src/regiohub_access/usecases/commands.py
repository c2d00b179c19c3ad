"""Open a door from afar: order it, hand it to a reader, take its report, tell whom it concerns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.domain import commands as rules
from regiohub_access.domain.chain import DoorEvent
from regiohub_access.domain.windows import Window
from regiohub_access.reader import wire
from regiohub_access.repo import commands, grants, places
from regiohub_access.repo.visible import check_operates
from regiohub_access.tables import Command, Reader
from regiohub_shared.auth.principal import Principal


@dataclass(frozen=True, slots=True)
class Wish:
    """Which door to open and why; ``id`` is the caller's, so that a repeat orders nothing new."""

    id: UUID
    door: int
    reason: str


async def order_open(
    session: AsyncSession, *, principal: Principal, slug: str, wish: Wish, now: datetime, real_now: datetime
) -> tuple[Command, bool]:
    """Accept a command and wake the readers; return it and whether it is new.

    Raises :class:`ForeignHub`, :class:`HubNotFound`, ``DoorNotFound``, ``ReaderAway`` and ``CommandReused``.
    """
    check_operates(principal, slug)
    await places.get_hub(session, slug)
    if wish.door not in {door.number for door in await places.list_doors(session, slug)}:
        raise rules.DoorNotFound(door=wish.door)
    made = Command(
        id=wish.id, hub=slug, door=wish.door, reason=wish.reason, created_by=principal.sub, created_at=now,
        expires_at=real_now + rules.LIFE,
    )  # fmt: skip
    known = (await commands.list_by_id(session, [wish.id])).get(wish.id)
    if known is None:
        _check_connected(await places.list_readers(session, slug), now)
        if await commands.add(session, made):
            await places.wake_readers(session, slug)
            return made, True
        known = await commands.get(session, wish.id)
    if not _is_same(known, made):
        raise rules.CommandReused
    return known, False


def _check_connected(readers: Sequence[Reader], now: datetime) -> None:
    calls = [reader.last_sync_at for reader in readers if reader.commands_version >= rules.SPEAKS]
    last = max((call for call in calls if call is not None), default=None)
    if last is None or now - last > rules.AWAY:
        raise rules.ReaderAway(
            "Ask the member to use the PIN, or send somebody.", last_sync_at=last.isoformat() if last else None
        )


def _is_same(known: Command, wanted: Command) -> bool:
    return all(getattr(known, name) == getattr(wanted, name) for name in ("hub", "door", "reason", "created_by"))


async def list_commands(session: AsyncSession, *, principal: Principal, slug: str) -> list[Command]:
    """Return the hub's newest commands; raises :class:`ForeignHub`, :class:`HubNotFound`."""
    check_operates(principal, slug)
    await places.get_hub(session, slug)
    return await commands.list_of_hub(session, slug)


async def commands_for(
    session: AsyncSession, *, hub: str, reader_id: str, request: wire.SyncRequest, real_now: datetime
) -> wire.Commands:
    """Return what the reader has to do now; nothing, in the old version, to one that knows no commands."""
    if request.commands_version < rules.SPEAKS:
        return wire.Commands()
    found = await commands.hand_over(session, hub, reader_id=reader_id, chain=request.chain, real_now=real_now)
    return wire.Commands(rules.SPEAKS, tuple(wire.Command(str(one.id), one.door, one.expires_at) for one in found))


async def note_command(session: AsyncSession, event: DoorEvent, *, now: datetime, real_now: datetime) -> DoorEvent:
    """Take a reader's report; return the event, with its doubt if it cannot be true (then it decides nothing)."""
    command_id = id_of(event.credential)
    found = await commands.find_locked(session, command_id) if command_id else None
    doubt = rules.doubt(event, _order(found) if found else None, now=now, real_now=real_now, skew=wire.MAX_DRIFT)
    if found is not None and doubt is None and found.outcome is None:
        found.outcome, found.outcome_reason, found.decided_at = rules.outcome_of(event), event.reason, event.at
        session.add(found)
        await session.flush()
    return replace(event, doubt=doubt if event.decision == "allowed" else None)


def _order(row: Command) -> rules.Order:
    return rules.Order(row.id, row.hub, row.door, row.expires_at, row.reader_id, row.reader_chain)


def id_of(credential: str | None) -> UUID | None:
    """Return the command that an event names; a reader may write anything there."""
    try:
        return UUID(credential or "")
    except ValueError:
        return None


async def list_remote_openings(session: AsyncSession, *, principal: Principal, grant_id: UUID) -> list[Command]:
    """Return which doors of the caller's grant were opened from afar in its windows; raises ``GrantNotFound``."""
    grant = await grants.get_own(session, principal, grant_id)
    windows = await grants.windows_of(session, grant, await places.load_site(session, grant.hub))
    if not windows:
        return []
    since, until = min(w.starts_at for w in windows), max(w.ends_at for w in windows)
    opened = await commands.list_opened(session, grant.hub, since=since, until=until)
    return [command for command in opened if any(_concerns(command, window) for window in windows)]


def _concerns(command: Command, window: Window) -> bool:
    at = command.decided_at
    return at is not None and window.starts_at <= at < window.ends_at and command.door in window.doors
