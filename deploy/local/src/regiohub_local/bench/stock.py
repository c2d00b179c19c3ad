"""Databases beside the house's own, and bookings that were made long ago, by SQL: they respect every constraint."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg

from regiohub_local import postgres
from regiohub_local.bench.town import BOOKED, DESKS, SEARCHED, desk_id
from regiohub_local.plan import House
from regiohub_local.postgres import Server, Urls

# The triggers of foreign keys rest meanwhile, since the rows fit by construction; every other constraint works. The one
# against overlaps is taken away and put back in the same transaction, which checks all rows and is ten times faster.
_RULE = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'occupancy_no_overlap'"
_FILL = """
WITH made AS MATERIALIZED (
    SELECT i, (lpad(to_hex($2::bigint + i), 12, '0') || '700180000000000000%(mark)s')::uuid AS booking,
           (lpad(to_hex($2::bigint + i), 12, '0') || '700280000000000000%(mark)s')::uuid AS line,
           ('%(desk)s' || lpad(to_hex(i %% %(desks)s), 4, '0'))::uuid AS desk,
           $3::timestamptz + (i / %(desks)s) * $4::interval AS starts_at
    FROM generate_series(0, $1::bigint - 1) AS i),
bookings AS (
    INSERT INTO booking (id, code, sub, hub, operator, status, version, gross_cents, fee_cents, starts_at, ends_at,
                         created_at, held_at, confirmed_at, completed_at)
    SELECT booking, '%(mark)s' || lpad(to_hex(i), 8, '0'), 'past-' || i %% 5000, '%(hub)s', 'stadt-bendorf',
           CASE WHEN starts_at < $5 THEN 'completed' ELSE 'confirmed' END, 2, 0, 0, starts_at,
           starts_at + interval '1 hour', starts_at - interval '2 days', starts_at - interval '2 days',
           starts_at - interval '2 days', CASE WHEN starts_at < $5 THEN starts_at + interval '1 hour' END
    FROM made),
lines AS (
    INSERT INTO line (id, booking_id, position, resource_id, resource_name, starts_at, ends_at, gross_cents, tax_code,
                      derivation)
    SELECT line, booking, 0, desk, 'Platz', starts_at, starts_at + interval '1 hour', 0, 'S19', '[]' FROM made)
INSERT INTO occupancy (line_id, resource_id, span, lane)
SELECT line, desk, tstzrange(starts_at, starts_at + interval '1 hour', '[)'), int8range(NULL, NULL) FROM made
"""
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """`count` bookings of an hour at the desks of a hub, from `first` on, each `step` after the one before."""

    hub: str
    count: int
    first: datetime
    step: timedelta

    def words(self) -> dict[str, object]:
        mark, desk = ("b0" if self.hub == BOOKED else "a0"), desk_id(self.hub, 0).replace("-", "")[:28]
        return {"hub": self.hub, "mark": mark, "desks": DESKS, "desk": desk}


async def copy_booking(house: House, server: Server, names: list[str]) -> dict[str, Urls]:
    """Databases with booking's schema, places and members, under the app role's own rights."""
    folder = house.state_dir / "bench"
    folder.mkdir(exist_ok=True)
    source = await postgres.provision(server.admin_url, "booking", house.secrets)
    await asyncio.to_thread(postgres.dump, source.owner, folder / "booking.dump")
    return {name: await _load(house, server, name, folder / "booking.dump") for name in names}


async def _load(house: House, server: Server, name: str, file: Path) -> Urls:
    database = f"regiohub_bench_{name}"
    urls = await postgres.provision(server.admin_url, "booking", house.secrets, database=database)
    # What provisioning makes is in the dump too; only the schema's own way in has to be there before.
    await asyncio.to_thread(postgres.load, urls.owner, file)
    return urls


def admin_url(server: Server, database: str) -> str:
    """The superuser's address of a database."""
    head, _, tail = server.admin_url.rpartition("/")
    return f"{head}/{database}{'?' + tail.partition('?')[2] if '?' in tail else ''}"


async def past(url: str, count: int, now: datetime) -> None:
    """So many bookings of the booked hub, an hour each, without a gap up to yesterday."""
    rounds = -(-count // DESKS)
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(days=1) - rounds * _HOUR
    await _fill(url, _Stretch(BOOKED, count, first, _HOUR), now)


async def around(url: str, count: int, now: datetime) -> None:
    """So many bookings of the searched hub, every other hour, half of them over and half to come."""
    rounds = -(-count // DESKS)
    first = now.replace(minute=0, second=0, microsecond=0) - rounds // 2 * 2 * _HOUR
    await _fill(url, _Stretch(SEARCHED, count, first, 2 * _HOUR), now)


async def _fill(url: str, stretch: _Stretch, now: datetime) -> None:
    values = stretch.count, int(stretch.first.timestamp()) * 1000, stretch.first, stretch.step, now
    connection = await asyncpg.connect(url, timeout=20)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute("SET LOCAL maintenance_work_mem = '512MB'")
            rule = await connection.fetchval(_RULE)
            await connection.execute("ALTER TABLE occupancy DROP CONSTRAINT occupancy_no_overlap")
            await connection.execute(_FILL % stretch.words(), *values)
            await connection.execute(f"ALTER TABLE occupancy ADD CONSTRAINT occupancy_no_overlap {rule}")
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
