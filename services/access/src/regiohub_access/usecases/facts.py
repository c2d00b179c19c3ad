"""A booking changed: its grant follows, in any order of facts, each version at most once."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.domain.windows import GrantStatus, Span, desired
from regiohub_access.repo import grants, places
from regiohub_access.repo.grants import Line
from regiohub_access.repo.sealing import Vault
from regiohub_access.tables import Grant
from regiohub_access.usecases.passes import deny_all, deny_outdated
from regiohub_access.usecases.pins import give_pin
from regiohub_shared import clock
from regiohub_shared.contracts.booking import BookedLine, BookingChanged


def booking_changed(vault: Vault) -> Callable[[AsyncSession, BookingChanged], Awaitable[None]]:
    """Return the handler of the fact for the inbox."""

    async def handle(session: AsyncSession, fact: BookingChanged) -> None:
        await follow_booking(session, fact=fact, vault=vault, now=clock.now())

    return handle


async def follow_booking(session: AsyncSession, *, fact: BookingChanged, vault: Vault, now: datetime) -> None:
    """Bring the grant to what the snapshot says; older and equal versions change nothing.

    A booking that ended leaves a revoked grant even if nobody heard of its confirmation: that fact, when it comes
    late, is older. A held booking leaves nothing.
    """
    status = desired(fact.status)
    if status is None and await grants.find_of_booking(session, fact.booking_id) is None:
        return
    await places.ensure_hub(session, fact.hub)
    grant = await grants.lock_of_booking(
        session, fact.booking_id, hub=fact.hub, sub=fact.sub, status=status or "revoked", now=now
    )
    if fact.version <= grant.version:
        return
    grant.version = fact.version
    session.add(grant)
    if status is not None and grant.erased_at is None:
        await _follow(session, grant, fact, status, vault=vault, now=now)
        await places.wake_readers(session, grant.hub)


async def _follow(
    session: AsyncSession, grant: Grant, fact: BookingChanged, status: GrantStatus, *, vault: Vault, now: datetime
) -> None:
    await grants.put_lines(session, grant, [_line(booked) for booked in fact.lines])
    if status == "revoked":
        await revoke(session, grant, now=now)
        return
    grant.status, grant.activated_at, grant.revoked_at = status, grant.activated_at or now, None
    if fact.moved_at and grant.first_opened_at and grant.first_opened_at < fact.moved_at:
        # That opening was for the slot that was given up; the next one is the first of this one.
        grant.first_opened_at = None
    await deny_outdated(session, [grant], now=now)
    await give_pin(session, grant, vault, now=now)


def _line(booked: BookedLine) -> Line:
    # Passes know whole seconds.
    start, end = booked.start.replace(microsecond=0), booked.end.replace(microsecond=0)
    return Line(booked.line_id, Span(booked.resource_id, start, end))


async def revoke(session: AsyncSession, grant: Grant, *, now: datetime) -> None:
    """Close the grant: no PIN any more, and its passes go on the deny-list."""
    grant.status, grant.revoked_at = "revoked", grant.revoked_at or now
    session.add(grant)
    await grants.drop_pin(session, grant.id)
    await deny_all(session, grant, now=now)
