"""The operator's day list goes by the lines of a booking, not by its outer span."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.service.booking.world import DESK, FREE, OPERATOR, World, tomorrow

BERLIN = ZoneInfo("Europe/Berlin")


async def day_list(world: World, moment: datetime, **params: Any) -> dict[str, Any]:
    day = moment.astimezone(BERLIN).date().isoformat()
    answer = await world.client.get("/v1/hubs/bendorf/bookings", params={"date": day} | params, headers=OPERATOR)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def codes(world: World, moment: datetime) -> list[str]:
    return [item["code"] for item in (await day_list(world, moment))["items"]]


async def test_a_series_is_on_the_days_of_its_lines_and_on_no_other(world: World) -> None:
    lines = [(DESK, tomorrow(9, days=days), tomorrow(10, days=days)) for days in (2, 30, 60)]
    series = (await world.book(*lines)).json()
    await world.pay(series)

    shown = {days: await codes(world, tomorrow(9, days=days)) for days in (1, 2, 3, 16, 30, 33, 59, 60, 61)}

    assert [days for days, found in shown.items() if found == [series["code"]]] == [2, 30, 60]
    assert all(found in ([], [series["code"]]) for found in shown.values())


async def test_a_line_over_many_days_is_on_each_of_them(world: World) -> None:
    start = tomorrow(9, days=3)
    booking = (await world.book((FREE, start, start + timedelta(hours=25)))).json()

    assert [await codes(world, start + timedelta(days=days)) for days in (-1, 0, 1, 2)] == [
        [], [booking["code"]], [booking["code"]], []
    ]  # fmt: skip


async def test_the_list_and_its_pages_go_by_what_begins_first_on_that_day(world: World) -> None:
    """A series that began weeks ago comes where its line of the day does, and no page loses it."""
    day = 20
    series = (await world.book(*((DESK, tomorrow(14, days=n), tomorrow(15, days=n)) for n in (2, day)))).json()
    early = (await world.book((FREE, tomorrow(9, days=day), tomorrow(10, days=day)))).json()
    late = (await world.book((FREE, tomorrow(16, days=day), tomorrow(17, days=day)))).json()

    seen, cursor = [], None
    while len(seen) < 9:
        page = await day_list(world, tomorrow(9, days=day), limit=1, **({"cursor": cursor} if cursor else {}))
        seen += [item["code"] for item in page["items"]]
        if (cursor := page["next"]) is None:
            break

    assert seen == [early["code"], series["code"], late["code"]]
