"""Issued passes, the phones' keys that hold them, the deny-list and the issuer's keys."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.repo.places import lock_hub
from regiohub_access.tables import DenyEntry, HolderKey, IssuerKey, Pass


async def live_holders(session: AsyncSession, grant_id: UUID) -> list[bytes]:
    """Return the thumbprints of the grant's live keys, the oldest first."""
    query = (
        select(HolderKey.thumbprint)
        .where(HolderKey.grant_id == grant_id, col(HolderKey.replaced_at).is_(None))
        .order_by(col(HolderKey.created_at), col(HolderKey.thumbprint))
    )
    return list((await session.exec(query)).all())


async def put_holder(session: AsyncSession, grant_id: UUID, thumbprint: bytes, *, now: datetime) -> None:
    """Make the key live; one that was replaced before starts anew."""
    made = insert(HolderKey).values(grant_id=grant_id, thumbprint=thumbprint, created_at=now)
    again = {"created_at": now, "replaced_at": None}
    await session.execute(
        made.on_conflict_do_update(
            index_elements=["grant_id", "thumbprint"], set_=again, where=col(HolderKey.replaced_at).is_not(None)
        )
    )


async def replace_holder(session: AsyncSession, grant_id: UUID, thumbprint: bytes, *, now: datetime) -> None:
    """End the key's life."""
    await session.execute(
        update(HolderKey)
        .where(col(HolderKey.grant_id) == grant_id, col(HolderKey.thumbprint) == thumbprint)
        .values(replaced_at=now)
    )


async def live_passes(session: AsyncSession, grant_ids: Iterable[UUID], *, now: datetime) -> list[Pass]:
    """Return the grants' passes that readers would accept now or later."""
    query = select(Pass).where(
        col(Pass.grant_id).in_(list(grant_ids)), col(Pass.revoked_at).is_(None), Pass.ends_at > now
    )
    return list((await session.exec(query.order_by(col(Pass.starts_at), col(Pass.id)))).all())


async def list_of_grants(session: AsyncSession, grant_ids: Sequence[UUID]) -> list[Pass]:
    """Return all passes of these grants."""
    query = select(Pass).where(col(Pass.grant_id).in_(grant_ids)).order_by(col(Pass.issued_at), col(Pass.id))
    return list((await session.exec(query)).all())


async def grants_with_live_passes(session: AsyncSession, hub: str, *, now: datetime) -> list[UUID]:
    """Return the grants of a hub that have such passes."""
    query = select(Pass.grant_id).where(Pass.hub == hub, col(Pass.revoked_at).is_(None), Pass.ends_at > now)
    return sorted(set((await session.exec(query)).all()))


async def count_issued(session: AsyncSession, grant_id: UUID, *, since: datetime) -> int:
    """Return how many passes of the grant were signed since then."""
    query = select(func.count()).select_from(Pass).where(Pass.grant_id == grant_id, Pass.issued_at >= since)
    return (await session.exec(query)).one()


async def deny(session: AsyncSession, hub: str, passes: Sequence[Pass], *, now: datetime) -> None:
    """Revoke these live passes: each takes the next number of the hub's deny-list."""
    if not passes:
        return
    row = await lock_hub(session, hub)
    for each in passes:
        row.deny_sequence += 1
        each.revoked_at = now
        session.add(each)
        session.add(DenyEntry(hub=hub, pass_id=each.id, sequence=row.deny_sequence, ends_at=each.ends_at))
    row.change_sequence += 1
    session.add(row)
    await session.flush()


async def denied_after(session: AsyncSession, hub: str, sequence: int, *, now: datetime) -> list[DenyEntry]:
    """Return the entries with a higher number whose passes are not over."""
    query = select(DenyEntry).where(DenyEntry.hub == hub, DenyEntry.sequence > sequence, DenyEntry.ends_at > now)
    return list((await session.exec(query.order_by(col(DenyEntry.sequence)))).all())


async def forget_passes(session: AsyncSession, grant_ids: Sequence[UUID]) -> None:
    """Delete passes and keys of these grants: their door events then name nobody any more."""
    for table in (Pass, HolderKey):
        await session.execute(delete(table).where(col(table.grant_id).in_(grant_ids)))


_LAST_LINE = "SELECT 1 FROM grant_line l WHERE l.grant_id = {0}.grant_id AND l.ends_at > :before"
_FORGET = [
    text("DELETE FROM deny_entry WHERE ends_at < :before"),
    text("DELETE FROM pass WHERE ends_at < :before"),
    text(f"DELETE FROM holder_key WHERE NOT EXISTS ({_LAST_LINE.format('holder_key')})"),
]


async def forget_ended(session: AsyncSession, *, before: datetime) -> None:
    """Delete what belongs to passes and grants that ended before then."""
    for statement in _FORGET:
        await session.execute(statement, {"before": before})


_KEY_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('regiohub access issuer key'))")


async def lock_issuer_keys(session: AsyncSession) -> None:
    """Let only one transaction at a time decide whether a new key is due."""
    await session.execute(_KEY_LOCK)


async def list_issuer_keys(session: AsyncSession) -> list[IssuerKey]:
    """Return all keys, the oldest first."""
    query = select(IssuerKey).order_by(col(IssuerKey.active_at), col(IssuerKey.kid))
    return list((await session.exec(query)).all())


async def drop_issuer_keys(session: AsyncSession, kids: Sequence[bytes]) -> None:
    """Delete keys whose passes are all over."""
    await session.execute(delete(IssuerKey).where(col(IssuerKey.kid).in_(kids)))
