"""The hot path: a booking comes in by two SQL statements on a plain asyncpg connection.

Statement 1 locks (key, member, leaves, in this order) and reads; statement 2 sees everything that was committed before
the locks were given, decides and inserts. Both run inside the request's transaction, statement 2 behind a savepoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from regiohub_booking.domain.booking import Draft, Place
from regiohub_booking.domain.rules import Unpaid
from regiohub_booking.repo.places import PLACE_COLUMNS, place_from
from regiohub_shared.events.envelope import Fact
from regiohub_shared.events.outbox import parcel
from regiohub_shared.idempotency import Attempt, Stored, check
from regiohub_shared.ids import new_id

# A CTE that locks is materialised and read, so that PostgreSQL cannot leave it out; each reads the one before it, so
# that nobody holds leaves while waiting for a key or a member.
_LOCK_AND_READ = f"""
WITH wanted AS MATERIALIZED (SELECT DISTINCT unnest($1::uuid[]) AS id),
leaf AS MATERIALIZED (
    SELECT DISTINCT coalesce(p.part_id, w.id) AS id FROM wanted w LEFT JOIN resource_part p ON p.resource_id = w.id),
key_lock AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(hashtextextended($2 || ' ' || $3 || ' ' || $4, 0)) AS got),
member_lock AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(hashtextextended('member ' || $2, 0)) FROM key_lock WHERE got),
leaf_lock AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(hashtextextended(sorted.id::text, 0))
    FROM (SELECT count(*) AS n FROM member_lock) AS before, (SELECT id FROM leaf ORDER BY id) AS sorted
    WHERE before.n > 0)
SELECT key_lock.got, (SELECT count(*) FROM leaf_lock) AS locked, wanted.id AS wanted_id,
       k.status AS stored_status, k.body AS stored_body, k.fingerprint AS stored_fingerprint, {PLACE_COLUMNS}
FROM wanted CROSS JOIN key_lock
LEFT JOIN idempotency_key k ON k.sub = $2 AND k.route = $3 AND k.key = $4
LEFT JOIN resource r ON r.id = wanted.id
LEFT JOIN hub h ON h.slug = r.hub
"""

_INSERT = """
WITH guard AS MATERIALIZED (
    SELECT unpaid.*,
           (SELECT count(*) FROM unnest($13::uuid[], $14::int[]) AS seen(id, version)
              JOIN resource r ON r.id = seen.id AND r.version = seen.version) AS same
    FROM (SELECT count(*) AS holds, coalesce(sum(l.lines), 0)::bigint AS lines,
                 coalesce(sum(l.duration), interval '0') AS duration
          FROM booking b CROSS JOIN LATERAL (
              SELECT count(*) AS lines, sum(ends_at - starts_at) AS duration FROM line WHERE booking_id = b.id) AS l
          WHERE b.sub = $3 AND b.status = 'held' AND b.hold_until > $11) AS unpaid),
lane AS MATERIALIZED (SELECT nextval('occupancy_lane') AS n),
kept AS (
    INSERT INTO idempotency_key (sub, route, key, fingerprint, status, body, created_at)
    VALUES ($3, $32, $33, $34, 201, $35, $36) ON CONFLICT DO NOTHING RETURNING 1),
made AS (
    INSERT INTO booking (id, code, sub, hub, operator, status, version, gross_cents, fee_cents, starts_at, ends_at,
                         created_at, held_at, hold_until, confirmed_at)
    SELECT $1, $2, $3, $4, $5, $6, 1, $7, 0, $8, $9, $11, $10::timestamptz, $12::timestamptz, $15::timestamptz
    RETURNING id),
lines AS (
    INSERT INTO line (id, booking_id, position, resource_id, resource_name, starts_at, ends_at, gross_cents, tax_code,
                      derivation)
    SELECT l.id, made.id, l.number - 1, l.resource_id, l.name, l.starts_at, l.ends_at, l.cents, l.tax_code,
           $23::jsonb -> (l.number - 1)::int
    FROM made, unnest($16::uuid[], $17::uuid[], $18::text[], $19::timestamptz[], $20::timestamptz[], $21::int[],
                      $22::text[]) WITH ORDINALITY
         AS l(id, resource_id, name, starts_at, ends_at, cents, tax_code, number)),
claimed AS (
    INSERT INTO occupancy (line_id, resource_id, span, lane)
    SELECT c.line_id, c.leaf_id, tstzrange(c.starts_at, c.ends_at, '[)'),
           CASE WHEN c.is_core THEN int8range(NULL, NULL) ELSE int8range(lane.n, lane.n, '[]') END
    FROM lane, unnest($24::uuid[], $25::uuid[], $26::timestamptz[], $27::timestamptz[], $28::boolean[])
         WITH ORDINALITY AS c(line_id, leaf_id, starts_at, ends_at, is_core, number)
    ORDER BY c.number
    ON CONFLICT DO NOTHING RETURNING 1),
fact AS (
    INSERT INTO outbox (id, type, subject, sequence, occurred_at, data, trace)
    VALUES ($29, $30, $1::uuid::text, 1, $36, $31, $37)),
sent AS (
    INSERT INTO outbox_delivery (outbox_id, subscriber, attempts, next_at, last_error)
    SELECT $29, subscriber, 0, $36, '' FROM unnest($38::text[]) AS subscriber),
mail AS (
    INSERT INTO mail_job (id, booking_id, kind, sequence, attempts, next_at, last_error)
    SELECT $39, $1, 'confirmed', 1, 0, $36, '' WHERE $6 = 'confirmed')
SELECT (SELECT count(*) FROM claimed) AS claimed, (SELECT count(*) FROM kept) AS kept, guard.* FROM guard
"""


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What statement 1 found; ``got_key`` False: the same request is still running."""

    got_key: bool
    stored: Stored | None
    places: dict[UUID, Place]
    unknown: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What statement 2 reports; the caller rolls back to its savepoint unless all is well."""

    is_complete: bool
    """Every row was free."""
    is_first: bool
    """No other transaction stored a response under this key."""
    is_current: bool
    """No resource was changed since statement 1."""
    unpaid: Unpaid
    """What the member had on hold before; nobody adds to it meanwhile, since statement 1 locked the member."""


async def lock_and_read(connection: asyncpg.Connection, ids: Sequence[UUID], wanted: Attempt) -> FirstLook:
    """Statement 1; raises ``IdempotencyKeyReused`` if the stored response belongs to another body."""
    rows = await connection.fetch(_LOCK_AND_READ, list(ids), wanted.sub, wanted.route, wanted.key)
    first = rows[0]
    found = Stored(first["stored_status"], first["stored_body"]) if first["stored_status"] else None
    return FirstLook(
        got_key=first["got"],
        stored=check(found, first["stored_fingerprint"] or "", wanted),
        places={row["id"]: place_from(row) for row in rows if row["id"]},
        unknown=tuple(row["wanted_id"] for row in rows if not row["id"]),
    )


async def insert(
    connection: asyncpg.Connection, draft: Draft, fact: Fact, *, wanted: Attempt, body: Any, real_now: datetime
) -> Outcome:
    """Statement 2: booking, lines, occupancy, fact with deliveries, stored response, mail of a free booking."""
    booking, lines, claims, made = draft.booking, draft.booking.lines, draft.claims, parcel(fact)
    row = await connection.fetchrow(
        _INSERT,
        booking.id, booking.code, booking.sub, booking.hub, booking.operator, booking.status.value,
        booking.gross_cents, booking.starts_at, booking.ends_at, booking.held_at, booking.created_at,
        booking.hold_until, list(draft.versions), list(draft.versions.values()), booking.confirmed_at,
        [line.id for line in lines], [line.resource_id for line in lines], [line.resource_name for line in lines],
        [line.slot.start for line in lines], [line.slot.end for line in lines],
        [line.quote.gross_cents for line in lines], [line.quote.tax_code for line in lines],
        [steps_of(line.quote.derivation) for line in lines],
        [claim.line_id for claim in claims], [claim.leaf_id for claim in claims],
        [claim.slot.start for claim in claims], [claim.slot.end for claim in claims],
        [claim.is_core for claim in claims],
        made.id, made.type, made.data, wanted.route, wanted.key, wanted.fingerprint, body, real_now,
        made.trace, list(made.subscribers), new_id(),
    )  # fmt: skip
    return Outcome(
        is_complete=row["claimed"] == len(claims), is_first=row["kept"] == 1,
        is_current=row["same"] == len(draft.versions),
        unpaid=Unpaid(row["holds"], row["lines"], row["duration"]),
    )  # fmt: skip


def steps_of(derivation: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the derivation of a price as JSON values."""
    return [
        {"rule": s.rule, "label": s.label, "quantity": s.quantity, "unit_cents": s.unit_cents, "cents": s.cents}
        for s in derivation
    ]
