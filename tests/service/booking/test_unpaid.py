"""What one account may hold without paying: not the county."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

from tests.service.booking.world import DESK, FREE, LEFT, MEMBER, OTHER, RIGHT, World, tomorrow

Lines = list[tuple[UUID, datetime, datetime]]


def series(resource: UUID, *, first: int, count: int, hours: int) -> Lines:
    starts = [tomorrow(0, days=first + number) for number in range(count)]
    return [(resource, start, start + timedelta(hours=hours)) for start in starts]


async def test_the_hours_of_all_unpaid_holds_are_bounded_together(world: World) -> None:
    first = (await world.book(*series(DESK, first=2, count=10, hours=20))).json()

    refused = await world.book((LEFT, tomorrow(9), tomorrow(10)))

    assert first["status"] == "held"
    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too-many-holds")
    assert (refused.json()["rule"], refused.json()["limit"]) == ("hours", 200)
    assert "Pay or cancel" in refused.json()["detail"]
    assert "retry-after" in refused.headers
    assert (await world.book((LEFT, tomorrow(9), tomorrow(10)), by=OTHER)).status_code == 201
    assert (await world.book((FREE, tomorrow(9), tomorrow(10)))).status_code == 201
    await world.post(f"/v1/bookings/{first['id']}/cancel", by=MEMBER, version=1)
    assert (await world.book((LEFT, tomorrow(11), tomorrow(12)))).status_code == 201


async def test_the_lines_of_all_unpaid_holds_are_bounded_together(world: World) -> None:
    assert (await world.book(*series(DESK, first=2, count=49, hours=1))).status_code == 201
    assert (await world.book((LEFT, tomorrow(9), tomorrow(10)))).status_code == 201

    refused = await world.book((LEFT, tomorrow(11), tomorrow(12)))

    assert (refused.status_code, refused.json()["rule"], refused.json()["limit"]) == (429, "lines", 50)


async def test_what_breaks_the_limit_alone_is_told_to_come_in_parts(world: World) -> None:
    refused = await world.book(*series(DESK, first=2, count=11, hours=20))

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/hold-too-large")
    assert "in parts" in refused.json()["detail"]
    assert await world.value("SELECT count(*) FROM booking") == 0


async def test_requests_of_one_member_at_once_do_not_pass_the_limit_together(world: World) -> None:
    wishes = [
        series(resource, first=2 + 20 * number, count=5, hours=18)
        for number in range(3)
        for resource in (DESK, LEFT, RIGHT)
    ]

    answers = await asyncio.gather(*(world.book(*lines) for lines in wishes))

    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [429] * 7
    held = "SELECT sum(l.ends_at - l.starts_at) FROM line l JOIN booking b ON b.id = l.booking_id"
    assert await world.value(held) == timedelta(hours=180)
