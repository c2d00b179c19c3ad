"""The chains of door events are checked all the time, a stretch after the other; a break shows in log and readyz."""

from datetime import datetime, timedelta
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_access.domain.chain import broken_links
from regiohub_access.repo import events, places
from regiohub_access.tables import Hub
from regiohub_shared.db.database import Database
from regiohub_shared.log import get_logger
from regiohub_shared.web.health import Check

STRETCH = 1000
"""Events of one hub checked at a time."""
_MARGIN = timedelta(hours=1)

_log = get_logger(__name__)


async def check_chains(session: AsyncSession, *, kept_days: int, now: datetime) -> None:
    """Check the next stretch of each hub's chain; after the last one it begins anew.

    A hub stays broken until the stretch of its first broken event is checked again and fits.
    """
    for hub in await places.list_hubs(session):
        after = hub.chain_checked if hub.chain_checked < hub.event_number else 0
        upto = min(after + STRETCH, hub.event_number)
        bad = await check_chain(session, hub.slug, after=after, kept_days=kept_days, now=now)
        if bad:
            _log.error("door_events_broken", hub=hub.slug, numbers=bad[:20], count=len(bad))
        await events.note_checked(session, hub.slug, upto=upto, broken=_first(hub, bad, after, upto))


def _first(hub: Hub, bad: list[int], after: int, upto: int) -> int | None:
    known = hub.chain_broken
    is_checked_again = known is not None and after < known <= upto
    return min([*bad, *([known] if known is not None and not is_checked_again else [])], default=None)


async def check_chain(session: AsyncSession, slug: str, *, after: int, kept_days: int, now: datetime) -> list[int]:
    """Return which of the ``STRETCH`` events after this number do not fit; ``kept_days`` none is deleted."""
    hub = await places.get_hub(session, slug)
    numbers = range(after + 1, min(after + STRETCH, hub.event_number) + 1)
    left, hashes = await events.stretch(session, slug, numbers)
    bad = broken_links(slug, left, hashes, numbers, kept_since=now - timedelta(days=kept_days) + _MARGIN)
    last = numbers.stop - 1
    if last == hub.event_number > 0 and hashes.get(last) != hub.event_hash and last not in bad:
        bad.append(last)
    return bad


def chain_check(db: Database) -> Check:
    """Return readyz's check: degraded while a chain is broken."""

    async def ask() -> dict[str, Any]:
        async with db.session() as session:
            broken = await events.broken_chains(session)
        return {"door_events": {"broken": broken}} if broken else {}

    return Check(("door_events",), ask)
