"""The occupancy table: who holds which leaf when. The way in is always ``ON CONFLICT DO NOTHING``."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from regiohub_booking.domain.booking import Booking
from regiohub_booking.domain.occupancy import Claim
from regiohub_booking.domain.slot import Slot
from regiohub_booking.repo.bookings import lock_bookings
from regiohub_booking.repo.statement import On, Statement, fetch, run

# Sorted, so that two transactions that want several leaves wait for each other in one order.
_LOCK = Statement(
    "SELECT pg_advisory_xact_lock(hashtextextended(CAST(leaf AS text), 0)) "
    "FROM (SELECT DISTINCT unnest(CAST(:leaves AS uuid[])) AS leaf ORDER BY leaf) AS sorted"
)
_CLAIM = Statement(
    """
WITH lane AS MATERIALIZED (SELECT nextval('occupancy_lane') AS n)
INSERT INTO occupancy (line_id, resource_id, span, lane)
SELECT c.line_id, c.leaf_id, tstzrange(c.starts_at, c.ends_at, '[)'),
       CASE WHEN c.is_core THEN int8range(NULL, NULL) ELSE int8range(lane.n, lane.n, '[]') END
FROM lane, unnest(CAST(:lines AS uuid[]), CAST(:leaves AS uuid[]), CAST(:starts AS timestamptz[]),
     CAST(:ends AS timestamptz[]), CAST(:cores AS boolean[])) WITH ORDINALITY
     AS c(line_id, leaf_id, starts_at, ends_at, is_core, number)
ORDER BY c.number
ON CONFLICT DO NOTHING RETURNING id
"""
)
_CLOSE = Statement(
    """
WITH lane AS MATERIALIZED (SELECT nextval('occupancy_lane') AS n)
INSERT INTO occupancy (closure_id, resource_id, span, lane)
SELECT CAST(:closure AS uuid), c.leaf, tstzrange(:start, :end, '[)'), int8range(lane.n, lane.n, '[]')
FROM lane, (SELECT DISTINCT unnest(CAST(:leaves AS uuid[])) AS leaf ORDER BY leaf) AS c
ON CONFLICT DO NOTHING RETURNING id
"""
)
_FREE = Statement(
    "DELETE FROM occupancy o USING line l WHERE l.id = o.line_id AND l.booking_id = ANY(CAST(:bookings AS uuid[]))"
)
_REOPEN = Statement("DELETE FROM occupancy WHERE closure_id = :closure")
# A lapsed hold does not count: whoever comes next removes it.
_BUSY = Statement(
    """
SELECT o.resource_id AS leaf, lower(o.span) AS starts_at, upper(o.span) AS ends_at, lower_inf(o.lane) AS is_core
FROM unnest(CAST(:leaves AS uuid[])) AS wanted(leaf)
JOIN occupancy o ON o.resource_id = wanted.leaf AND o.span && tstzrange(:start, :end, '[)')
LEFT JOIN line l ON l.id = o.line_id
LEFT JOIN booking b ON b.id = l.booking_id
WHERE b.id IS NULL OR b.status NOT IN ('held', 'requested') OR b.hold_until > :now
"""
)
# We hold the leaves, so nobody can insert beside us: what is seen here can only become less.
_IN_WAY = Statement(
    """
SELECT DISTINCT l.booking_id AS id,
       coalesce(b.status IN ('held', 'requested') AND b.hold_until <= :now, false) AS is_lapsed
FROM unnest(CAST(:leaves AS uuid[]), CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]),
     CAST(:cores AS boolean[])) AS c(leaf, starts_at, ends_at, is_core)
JOIN occupancy o ON o.resource_id = c.leaf AND o.span && tstzrange(c.starts_at, c.ends_at, '[)')
     AND (c.is_core OR lower_inf(o.lane))
LEFT JOIN line l ON l.id = o.line_id
LEFT JOIN booking b ON b.id = l.booking_id
WHERE CAST(:own AS uuid) IS NULL OR l.booking_id IS DISTINCT FROM :own
"""
)
_BOOKED = Statement(
    """
SELECT DISTINCT l.booking_id AS id
FROM unnest(CAST(:leaves AS uuid[])) AS wanted(leaf)
JOIN occupancy o ON o.resource_id = wanted.leaf AND o.span && tstzrange(:start, :end, '[)') AND lower_inf(o.lane)
JOIN line l ON l.id = o.line_id
"""
)


async def lock_leaves(on: On, leaves: Iterable[UUID]) -> None:
    """Hold the leaves until the transaction ends; before any row lock, in the order of their ids."""
    await run(on, _LOCK, leaves=list(leaves))


async def insert_claims(on: On, claims: Sequence[Claim]) -> bool:
    """Insert the rows; False if any was in the way of another (the caller rolls back to its savepoint)."""
    rows = await fetch(
        on, _CLAIM,
        lines=[claim.line_id for claim in claims], leaves=[claim.leaf_id for claim in claims],
        starts=[claim.slot.start for claim in claims], ends=[claim.slot.end for claim in claims],
        cores=[claim.is_core for claim in claims],
    )  # fmt: skip
    return len(rows) == len(claims)


async def insert_closure(on: On, closure_id: UUID, leaves: Sequence[UUID], slot: Slot) -> bool:
    """Insert one row per leaf in a lane of its own; False if the core of a booking was in the way."""
    rows = await fetch(on, _CLOSE, closure=closure_id, leaves=list(leaves), start=slot.start, end=slot.end)
    return len(rows) == len(set(leaves))


async def free_slots_of(on: On, bookings: Iterable[UUID]) -> None:
    """Delete the rows of bookings that ended without use."""
    await run(on, _FREE, bookings=list(bookings))


async def reopen(on: On, closure_id: UUID) -> None:
    """Delete the rows of a closure."""
    await run(on, _REOPEN, closure=closure_id)


async def list_busy(
    on: On, leaves: Iterable[UUID], window: Slot, *, now: datetime
) -> dict[UUID, list[tuple[Slot, bool]]]:
    """Return per leaf what overlaps ``window``, as (slot, is_core)."""
    found: dict[UUID, list[tuple[Slot, bool]]] = {}
    rows = await fetch(on, _BUSY, leaves=list(set(leaves)), start=window.start, end=window.end, now=now)
    for row in rows:
        found.setdefault(row["leaf"], []).append((Slot(row["starts_at"], row["ends_at"]), row["is_core"]))
    return found


async def lock_lapsed_in_way(
    on: On, claims: Sequence[Claim], *, now: datetime, own: UUID | None = None
) -> list[Booking] | None:
    """Lock what is in the way of the claims if all of it is lapsed holds; None if anything else is there.

    The caller holds the leaves; ``own`` is a booking that makes room for itself. An empty list means that whatever was
    there has gone meanwhile (a sweeper, a cancellation): then, too, another try is worth it.
    """
    rows = await fetch(
        on, _IN_WAY, now=now, leaves=[claim.leaf_id for claim in claims],
        starts=[claim.slot.start for claim in claims], ends=[claim.slot.end for claim in claims],
        cores=[claim.is_core for claim in claims], own=own,
    )  # fmt: skip
    if not all(row["is_lapsed"] for row in rows):
        return None
    return await lock_bookings(on, [row["id"] for row in rows])


async def lock_booked(on: On, leaves: Sequence[UUID], slot: Slot) -> list[Booking]:
    """Lock the bookings whose core lies in ``slot`` on one of the leaves."""
    rows = await fetch(on, _BOOKED, leaves=list(leaves), start=slot.start, end=slot.end)
    return await lock_bookings(on, [row["id"] for row in rows]) if rows else []
