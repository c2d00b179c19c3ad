"""Anyone may ask for the next free slot without a login, so the answer has a bounded price: counted steps, not time."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
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


@pytest.mark.parametrize("path", ["next-free", "slots"])
async def test_a_longest_length_between_two_steps_of_the_raster_gives_the_step_below(world: World, path: str) -> None:
    await furnish(world, granularity_minutes=30, min_minutes=30, max_minutes=100)

    for minutes in (91, 100):
        answer = await slots(world, path, minutes)
        slot = answer.json()["items"][0]
        assert datetime.fromisoformat(slot["end"]) - datetime.fromisoformat(slot["start"]) == timedelta(minutes=90)
    refused = await slots(world, path, 101)

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/too-long")


async def test_a_room_without_a_step_between_its_shortest_and_its_longest_offers_nothing(world: World) -> None:
    await furnish(world, granularity_minutes=30, min_minutes=100, max_minutes=110, kind="desk", hub="mayen")

    answer = await slots(world, "next-free", 100)
    first = await world.client.get("/v1/next-free", params={"hub": "mayen", "minutes": 100})

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/too-long")
    assert first.json()["items"][0]["offers"] == []


async def slots(world: World, path: str, minutes: int) -> httpx.Response:
    params = {"minutes": minutes, "date": tomorrow(9).date().isoformat()}
    asked = params if path == "slots" else {"minutes": minutes}
    return await world.client.get(f"/v1/resources/{MONTH}/{path}", params=asked)
