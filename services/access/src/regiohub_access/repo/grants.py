"""Grants, their lines and their PINs."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.domain.passes import GrantNotFound
from regiohub_access.domain.windows import GrantStatus, Site, Span, Window, windows
from regiohub_access.repo.visible import own_grants
from regiohub_access.tables import ArmedPin, Grant, GrantLine, Pin, Reader
from regiohub_shared.auth.principal import Principal
from regiohub_shared.ids import new_id

PAGE = 50


@dataclass(frozen=True, slots=True)
class Line:
    """A line as the booking's fact tells it."""

    line_id: UUID
    span: Span


async def lock_of_booking(
    session: AsyncSession, booking_id: UUID, *, hub: str, sub: str, status: GrantStatus, now: datetime
) -> Grant:
    """Return the booking's grant, made at version 0 if it is new, locked."""
    made = insert(Grant).values(
        id=new_id(), booking_id=booking_id, hub=hub, sub=sub, version=0, status=status, created_at=now,
        revoked_at=now if status == "revoked" else None, opened_version=0,
    )  # fmt: skip
    await session.execute(made.on_conflict_do_nothing(index_elements=["booking_id"]))
    query = select(Grant).where(Grant.booking_id == booking_id).with_for_update(key_share=True)
    return (await session.exec(query.execution_options(populate_existing=True))).one()


async def find_of_booking(session: AsyncSession, booking_id: UUID) -> Grant | None:
    """Return the booking's grant, whoever owns it; for use cases, never for an answer."""
    return (await session.exec(select(Grant).where(Grant.booking_id == booking_id))).one_or_none()


async def get_own(session: AsyncSession, principal: Principal, grant_id: UUID, *, lock: bool = False) -> Grant:
    """Return the caller's grant; raise :class:`GrantNotFound` for any other."""
    query = own_grants(principal).where(Grant.id == grant_id)
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    found = (await session.exec(query)).one_or_none()
    if found is None:
        raise GrantNotFound
    return found


async def list_own(
    session: AsyncSession, principal: Principal, *, booking_id: UUID | None, before: UUID | None
) -> list[Grant]:
    """Return up to ``PAGE`` + 1 of the caller's grants, the newest first."""
    query = own_grants(principal).order_by(col(Grant.id).desc()).limit(PAGE + 1)
    if booking_id is not None:
        query = query.where(Grant.booking_id == booking_id)
    if before is not None:
        query = query.where(col(Grant.id) < before)
    return list((await session.exec(query)).all())


async def lock_many(session: AsyncSession, ids: Iterable[UUID]) -> list[Grant]:
    """Lock these grants in order of id, so that two callers cannot wait for each other."""
    query = select(Grant).where(col(Grant.id).in_(list(ids))).order_by(col(Grant.id)).with_for_update(key_share=True)
    return list((await session.exec(query.execution_options(populate_existing=True))).all())


async def lock_of_subject(session: AsyncSession, sub: str) -> list[Grant]:
    """Lock all grants of one person."""
    query = select(Grant).where(Grant.sub == sub).order_by(col(Grant.id)).with_for_update(key_share=True)
    return list((await session.exec(query.execution_options(populate_existing=True))).all())


async def list_of_subject(session: AsyncSession, sub: str) -> list[Grant]:
    """Return all grants of one person."""
    return list((await session.exec(select(Grant).where(Grant.sub == sub).order_by(col(Grant.id)))).all())


async def spans_of(session: AsyncSession, grant_ids: Sequence[UUID]) -> dict[UUID, list[Span]]:
    """Return the booked spans by grant."""
    found: dict[UUID, list[Span]] = defaultdict(list)
    query = select(GrantLine).where(col(GrantLine.grant_id).in_(grant_ids))
    for line in (await session.exec(query)).all():
        found[line.grant_id].append(Span(line.resource_id, line.starts_at, line.ends_at))
    return found


async def windows_of(session: AsyncSession, grant: Grant, site: Site) -> tuple[Window, ...]:
    """Return when the grant opens which doors."""
    return windows((await spans_of(session, [grant.id]))[grant.id], site)


async def put_lines(session: AsyncSession, grant: Grant, lines: Iterable[Line]) -> None:
    """Put these lines in place of those that the grant had."""
    await session.execute(delete(GrantLine).where(col(GrantLine.grant_id) == grant.id))
    session.add_all(
        GrantLine(
            grant_id=grant.id, line_id=line.line_id, resource_id=line.span.resource_id,
            starts_at=line.span.start, ends_at=line.span.end,
        )
        for line in lines
    )  # fmt: skip
    await session.flush()


async def find_pin(session: AsyncSession, grant_id: UUID) -> Pin | None:
    """Return the grant's PIN row."""
    return (await session.exec(select(Pin).where(Pin.grant_id == grant_id))).one_or_none()


async def pins_of(session: AsyncSession, grant_ids: Sequence[UUID]) -> dict[UUID, Pin]:
    """Return the PIN rows of these grants."""
    query = select(Pin).where(col(Pin.grant_id).in_(grant_ids))
    return {row.grant_id: row for row in (await session.exec(query)).all()}


async def try_pin(session: AsyncSession, pin: Pin, *, older: Sequence[bytes]) -> bool:
    """Store the PIN unless its hub has it already, also under digests of an older key; return whether it was stored."""
    taken = select(Pin.grant_id).where(Pin.hub == pin.hub, col(Pin.digest).in_(older))
    if older and (await session.exec(taken)).first() is not None:
        return False
    made = insert(Pin).values(grant_id=pin.grant_id, hub=pin.hub, sealed=pin.sealed, digest=pin.digest)
    result = await session.execute(made.on_conflict_do_nothing().returning(col(Pin.grant_id)))
    return result.one_or_none() is not None


async def drop_pin(session: AsyncSession, grant_id: UUID) -> None:
    """Forget the PIN, if there is one."""
    await session.execute(delete(Pin).where(col(Pin.grant_id) == grant_id))


async def list_pins(session: AsyncSession, hub: str) -> list[Pin]:
    """Return the hub's PINs."""
    return list((await session.exec(select(Pin).where(Pin.hub == hub).order_by(col(Pin.grant_id)))).all())


_DROP_ENDED = text(
    "DELETE FROM pin USING hub h WHERE h.slug = pin.hub AND NOT EXISTS ("
    "SELECT 1 FROM grant_line l WHERE l.grant_id = pin.grant_id "
    "AND l.ends_at + make_interval(mins => h.margin_minutes) > :now)"
)


async def drop_ended_pins(session: AsyncSession, *, now: datetime) -> None:
    """Forget the PINs of grants whose last window is over."""
    await session.execute(_DROP_ENDED, {"now": now})


async def armed_at(session: AsyncSession, grant: Grant) -> datetime | None:
    """Return since when every reader of the hub holds the grant's PIN, None while one does not."""
    readers = select(func.count()).select_from(Reader).where(Reader.hub == grant.hub)
    armed = select(func.count(), func.max(ArmedPin.armed_at)).where(ArmedPin.grant_id == grant.id)
    count, latest = (await session.exec(armed)).one()
    return latest if count and count >= (await session.exec(readers)).one() else None


async def put_armed(session: AsyncSession, reader_id: str, grant_ids: Iterable[UUID], *, now: datetime) -> None:
    """Record that the reader holds the PINs of exactly these grants; known ones keep their time.

    If a cancellation drops one of the PINs meanwhile, nothing new is noted: the reader's next sync tells it again.
    """
    wanted = list(grant_ids)
    await session.execute(
        delete(ArmedPin).where(col(ArmedPin.reader_id) == reader_id, col(ArmedPin.grant_id).not_in(wanted))
    )
    if not wanted:
        return
    rows = [{"reader_id": reader_id, "grant_id": grant_id, "armed_at": now} for grant_id in wanted]
    with suppress(IntegrityError):
        async with session.begin_nested():
            await session.execute(insert(ArmedPin).values(rows).on_conflict_do_nothing())


async def list_armed(session: AsyncSession, hub: str) -> dict[tuple[str, UUID], datetime]:
    """Return since when which reader of the hub holds which grant's PIN."""
    query = select(ArmedPin).join(Reader, col(Reader.id) == ArmedPin.reader_id).where(Reader.hub == hub)
    return {(row.reader_id, row.grant_id): row.armed_at for row in (await session.exec(query)).all()}


async def bookings_of(session: AsyncSession, grant_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Return the booking of each grant."""
    query = select(Grant.id, Grant.booking_id).where(col(Grant.id).in_(grant_ids))
    return dict((await session.exec(query)).all())
