"""Anyone may ask for the next free slot without a login, so the answer has a bounded price: counted steps, not time."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from regiohub_booking.domain.hours import raster
from regiohub_booking.usecases.availability import next_free
from regiohub_shared.clock import now
from tests.service.booking.world import ALWAYS, COUNTY, World, resource, tomorrow

MONTH = UUID(int=81)
DAYTIME = [{"weekday": day, "opens": "08:00", "closes": "18:00"} for day in range(1, 8)]
LONGEST = 44640


class Counting:
    """A connection that counts the statements."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection, self.asked = connection, 0

    async def fetch(self, *words: Any) -> Any:
        self.asked += 1
        return await self._connection.fetch(*words)


async def furnish(world: World, **more: Any) -> None:
    """The costliest room that a county may set up: a raster of five minutes, a month at most, three years ahead."""
    costly = {"granularity_minutes": 5, "max_minutes": LONGEST, "horizon_days": 1100, "cents_per_hour": 0} | more
    answer = await world.client.put(f"/v1/resources/{MONTH}", json=resource("Month", **costly), headers=COUNTY)
    assert answer.status_code == 200, answer.text


async def cost(world: World, minutes: int) -> tuple[int, int, int]:
    """Return offers, statements and days whose raster was walked."""

    def walked() -> int:
        return raster.cache_info().hits + raster.cache_info().misses

    before = walked()
    async with world.db.transaction() as connection:
        counting: Any = Counting(connection)
        offers = await next_free(counting, resource_id=MONTH, after=now(), minutes=minutes, now=now())
    return len(offers), counting.asked, walked() - before


@pytest.mark.parametrize(("minutes", "rounds"), [(660, 35), (LONGEST, 16)])
async def test_where_nothing_is_long_enough_no_raster_is_walked(world: World, minutes: int, rounds: int) -> None:
    await furnish(world, opening_hours=DAYTIME)

    offers, asked, days = await cost(world, minutes)

    assert (offers, days) == (0, 0)
    assert asked <= rounds + 1


async def test_what_is_free_at_once_costs_one_look(world: World) -> None:
    await furnish(world, opening_hours=ALWAYS)

    offers, asked, days = await cost(world, LONGEST)

    assert (offers, asked) == (3, 2)
    assert days <= 2


async def test_in_a_gap_only_the_days_are_walked_on_which_it_still_fits(world: World) -> None:
    """A gap of a month and two minutes has one start for a month, on its first day."""
    await furnish(world, opening_hours=ALWAYS)
    first = tomorrow(9)
    for start, end in ((now(), first), (first + timedelta(days=31, minutes=2), first + timedelta(days=900))):
        closure = {"resource_id": str(MONTH), "start": start.isoformat(), "end": end.isoformat(), "reason": "x"}
        assert (await world.post("/v1/hubs/bendorf/closures", closure, by=COUNTY)).status_code == 201

    offers, _asked, days = await cost(world, LONGEST)

    assert offers == 1
    assert days <= 2


async def test_a_length_that_the_raster_rounds_past_the_longest_is_refused(world: World) -> None:
    await furnish(world, granularity_minutes=60, min_minutes=60, max_minutes=90)

    answer = await world.client.get(f"/v1/resources/{MONTH}/next-free", params={"minutes": 90})

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/too-long")
