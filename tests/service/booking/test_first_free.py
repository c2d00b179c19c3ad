"""What each hub has first: now, later today, or on the next day that it is open."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from regiohub_booking.usecases.availability import first_free
from tests.service.booking.world import BUFFERED, COUNTY, DESK, FREE, OFFICE_HOURS, World, resource, tomorrow

BERLIN = ZoneInfo("Europe/Berlin")
FIRST, SECOND = UUID(int=71), UUID(int=72)
NIGHT = [{"weekday": 7, "opens": "00:00", "closes": "05:00"}]


@pytest.fixture
async def mayen(world: World) -> World:
    """Two desks in an office that is open on weekdays from 8 to 18."""
    for desk in (FIRST, SECOND):
        body = resource(
            f"Desk {desk.int}",
            hub="mayen",
            kind="desk",
            opening_hours=OFFICE_HOURS,
            granularity_minutes=30,
            min_minutes=30,
            cents_per_hour=0,
        )
        assert (await world.client.put(f"/v1/resources/{desk}", json=body, headers=COUNTY)).status_code == 200
    return world


async def first(
    world: World, now: datetime, *, after: datetime | None = None, minutes: int = 120, at_least: int = 5
) -> tuple[str, str, list[UUID]]:
    async with world.db.session() as session:
        [found] = await first_free(
            session, hub="mayen", kind="desk", after=after or now, minutes=minutes, at_least=at_least, now=now
        )
    shown = [moment.astimezone(BERLIN) for moment in (found.offers[0].slot.start, found.offers[0].slot.end)]
    return f"{shown[0]:%a %H:%M}", f"{shown[1]:%a %H:%M}", [offer.place.id for offer in found.offers]


BOTH = [FIRST, SECOND]


@pytest.mark.parametrize(
    ("now", "slot"),
    [
        ((2027, 3, 9, 5, 10), ("Tue 08:00", "Tue 10:00")),  # before it opens: later today
        ((2027, 3, 9, 9, 40), ("Tue 10:00", "Tue 12:00")),  # now
        ((2027, 3, 9, 17, 0), ("Tue 17:00", "Tue 18:00")),  # cut to the closing time
        ((2027, 3, 9, 17, 20), ("Tue 17:30", "Tue 18:00")),
        ((2027, 3, 9, 17, 31), ("Wed 08:00", "Wed 10:00")),  # less than the shortest is left
        ((2027, 3, 12, 19, 0), ("Mon 08:00", "Mon 10:00")),  # over the weekend
    ],
)
async def test_the_first_slot_is_now_later_today_or_the_next_open_day(
    mayen: World, now: tuple[int, ...], slot: tuple[str, str]
) -> None:
    assert await first(mayen, datetime(*now, tzinfo=BERLIN)) == (*slot, BOTH)  # type: ignore[arg-type]


async def test_who_wants_all_of_the_time_is_sent_to_where_it_fits(mayen: World) -> None:
    now = datetime(2027, 3, 9, 17, tzinfo=BERLIN)

    assert await first(mayen, now, at_least=120) == ("Wed 08:00", "Wed 10:00", BOTH)
    assert await first(mayen, now, minutes=10, at_least=10) == ("Tue 17:00", "Tue 17:30", BOTH)


async def test_the_earliest_wins_and_of_that_the_longest(mayen: World) -> None:
    day = tomorrow(0, days=7).date()
    while day.isoweekday() > 5:
        day += timedelta(days=1)
    at = datetime(day.year, day.month, day.day, 8, tzinfo=BERLIN)
    hour = timedelta(hours=1)
    assert (await mayen.book((FIRST, at + hour, at + 2 * hour))).status_code == 201

    now, day_name = at - 3 * hour, f"{day:%a}"
    assert await first(mayen, now) == (f"{day_name} 08:00", f"{day_name} 10:00", [SECOND])

    assert (await mayen.book((SECOND, at, at + 2 * hour))).status_code == 201
    assert await first(mayen, now) == (f"{day_name} 08:00", f"{day_name} 09:00", [FIRST])
    assert await first(mayen, now, at_least=120) == (f"{day_name} 10:00", f"{day_name} 12:00", BOTH)


@pytest.mark.parametrize(
    ("now", "slot", "hours"),
    [
        ((2027, 3, 28, 1, 40), ("Sun 03:00", "Sun 05:00"), 2),  # 02:00 to 03:00 is skipped
        ((2027, 10, 31, 1, 40), ("Sun 02:00", "Sun 03:00"), 2),  # 02:00 to 03:00 comes twice
    ],
)
async def test_nights_on_which_clocks_change_count_real_hours(
    world: World, now: tuple[int, ...], slot: tuple[str, str], hours: int
) -> None:
    body = resource("Night", hub="mayen", kind="desk", opening_hours=NIGHT, granularity_minutes=30)
    await world.client.put(f"/v1/resources/{FIRST}", json=body, headers=COUNTY)

    assert await first(world, datetime(*now, tzinfo=BERLIN)) == (*slot, [FIRST])  # type: ignore[arg-type]


async def ask(world: World, **params: Any) -> Any:
    answer = await world.client.get("/v1/next-free", params=params)
    return answer.json()["items"] if answer.status_code == 200 else answer.status_code


async def test_anyone_asks_it_for_all_hubs_or_one(world: World) -> None:
    [hub] = await ask(world, kind="desk", after=tomorrow(9).isoformat())

    assert hub["hub"] == "bendorf"
    assert datetime.fromisoformat(hub["start"]) == tomorrow(9)
    assert datetime.fromisoformat(hub["end"]) == tomorrow(11)
    assert [offer["resource_name"] for offer in hub["offers"]] == ["Corner", "Desk 1"]
    assert hub["offers"][1]["price"]["gross_cents"] == 800
    assert str(BUFFERED) in {offer["resource_id"] for offer in (await ask(world, hub="bendorf"))[0]["offers"]}
    assert await ask(world, hub="mayen") == []


async def test_nothing_is_offered_that_is_closed_or_switched_off(world: World) -> None:
    start = tomorrow(9)
    closure = {
        "all": True,
        "start": start.isoformat(),
        "end": (start + timedelta(days=30)).isoformat(),
        "reason": "Umbau",
    }
    assert (await world.post("/v1/hubs/bendorf/closures", closure, by=COUNTY)).status_code == 201

    assert await ask(world, kind="desk", after=start.isoformat()) == [
        {"hub": "bendorf", "start": None, "end": None, "offers": []}
    ]
    for one in (DESK, FREE):
        await world.sql("UPDATE resource SET is_active = false WHERE id = $1", one)
    assert await ask(world, kind="desk") == []


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"hub": "atlantis"}, 404), ({"kind": "boat"}, 422), ({"minutes": 0}, 422), ({"minutes": 100_000}, 422),
        ({"at_least": 1}, 422), ({"at_least": 121}, 422), ({"minutes": 30, "at_least": 31}, 422), ({"after": "2027-03-09T09:00:00"}, 422), ({"after": "0"}, 422),
    ],
)  # fmt: skip
async def test_odd_questions_are_refused(world: World, params: dict[str, Any], status: int) -> None:
    assert await ask(world, **params) == status


@pytest.mark.parametrize("minutes", [5, 20, 45, 500, 1440])
async def test_it_offers_only_what_can_be_booked(world: World, minutes: int) -> None:
    [hub] = await ask(world, hub="bendorf", minutes=minutes, at_least=5)

    slot = {"start": hub["start"], "end": hub["end"], "hub": "bendorf"}
    verdicts = (await world.client.get("/v1/availability", params=slot)).json()["items"]
    free = {item["resource_id"]: item["price"] for item in verdicts if item["is_free"]}
    assert hub["offers"]
    assert all(free[offer["resource_id"]] == offer["price"] for offer in hub["offers"])


async def test_a_slot_is_cut_to_the_longest_that_a_resource_allows(mayen: World) -> None:
    """100 minutes lie between two steps of the raster; the step below is the longest that can be booked."""
    await mayen.sql("UPDATE resource SET max_minutes = 100 WHERE id = $1", FIRST)
    await mayen.sql("UPDATE resource SET is_active = false WHERE id = $1", SECOND)
    now = datetime(2027, 3, 9, 9, tzinfo=BERLIN)

    assert await first(mayen, now, minutes=240) == ("Tue 09:00", "Tue 10:30", [FIRST])
    assert await first(mayen, now, minutes=240, at_least=240) == ("Tue 09:00", "Tue 10:30", [FIRST])


async def test_a_slot_is_cut_to_the_horizon(mayen: World) -> None:
    """One day ahead at 9:15 reaches until 9:15, so the last step that fits ends at 9:00."""
    await mayen.sql("UPDATE resource SET horizon_days = 1")
    now = datetime(2027, 3, 9, 9, 15, tzinfo=BERLIN)
    next_day = datetime(2027, 3, 10, 8, tzinfo=BERLIN)

    assert await first(mayen, now, after=next_day) == ("Wed 08:00", "Wed 09:00", BOTH)
    async with mayen.db.session() as session:
        [none] = await first_free(session, hub="mayen", kind="desk", after=next_day, minutes=120, at_least=120, now=now)
    assert none.offers == ()


async def test_what_can_never_be_paid_is_not_offered_as_free(world: World) -> None:
    """A price from before the smallest payment: one hour is too cheap to be paid, two are not."""
    await world.sql("UPDATE resource SET cents_per_hour = 30 WHERE id = $1", DESK)
    await world.sql("UPDATE resource SET is_active = false WHERE id = $1", FREE)
    start = tomorrow(9)
    asked = {"hub": "bendorf", "kind": "desk", "after": start.isoformat()}

    [hour] = await ask(world, minutes=60, **asked)
    [two] = await ask(world, minutes=120, **asked)
    verdicts = await world.client.get(
        "/v1/availability",
        params={"hub": "bendorf", "start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()},
    )
    day: dict[str, Any] = {"date": start.date().isoformat()}
    listed = [
        (await world.client.get(f"/v1/resources/{DESK}/{path}", params=day | {"minutes": minutes})).json()["items"]
        for path in ("next-free", "slots")
        for minutes in (60, 120)
    ]

    assert hour["offers"] == []
    assert [(offer["resource_name"], offer["price"]["gross_cents"]) for offer in two["offers"]] == [("Desk 1", 60)]
    [desk] = [item for item in verdicts.json()["items"] if item["resource_id"] == str(DESK)]
    assert (desk["is_free"], desk["refusal"]) == (False, "total-not-payable")
    assert [bool(items) for items in listed] == [False, True, False, True]
