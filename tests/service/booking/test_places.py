"""Availability, rooms, hours, closures; who may do what."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from regiohub_booking.usecases import member
from regiohub_booking.usecases.change import complete_over, expire_lapsed
from regiohub_shared.clock import now
from tests.service.booking.world import (
    BUFFERED,
    COUNTY,
    DESK,
    FREE,
    HALL,
    LEFT,
    MEMBER,
    OFFICE,
    OFFICE_HOURS,
    OPERATOR,
    OTHER,
    PRIVACY,
    RESOURCES,
    RIGHT,
    World,
    resource,
    tomorrow,
)
from tests.support.tokens import bearer


async def availability(world: World, start: str, end: str, hub: str | None = "bendorf") -> dict[UUID, dict[str, Any]]:
    params = {"start": start, "end": end} | ({"hub": hub} if hub else {})
    answer = await world.client.get("/v1/availability", params=params)
    assert answer.status_code == 200, answer.text
    return {UUID(item["resource_id"]): item for item in answer.json()["items"]}


async def test_anyone_sees_what_is_free_and_why_something_is_not(world: World) -> None:
    await world.book((DESK, tomorrow(9), tomorrow(10)))
    await world.book((LEFT, tomorrow(9), tomorrow(10)))

    found = await availability(world, tomorrow(9, 30).isoformat(), tomorrow(10, 30).isoformat())

    assert found[DESK]["refusal"] == "slot-taken"
    assert found[HALL]["refusal"] == "slot-taken"
    assert found[RIGHT]["is_free"]
    assert found[RIGHT]["price"]["gross_cents"] == 400
    assert found[RIGHT]["price"]["derivation"][0]["quantity"] == 1
    assert found[OFFICE]["refusal"] in {"off-grid", "outside-opening-hours"}
    assert (
        await availability(world, tomorrow(9).isoformat(), tomorrow(10).isoformat(), hub=None)
    ).keys() >= found.keys()


async def test_availability_takes_wall_time_of_the_hub(world: World) -> None:
    answer = await world.client.get(
        "/v1/availability", params={"hub": "bendorf", "date": "2027-03-28", "from": "01:00", "to": "03:00"}
    )
    assert (answer.json()["start"], answer.json()["end"]) == ("2027-03-28T01:00:00+01:00", "2027-03-28T03:00:00+02:00")
    assert {item["price"]["gross_cents"] for item in answer.json()["items"] if item["resource_id"] == str(DESK)} == {
        400
    }


async def test_buffers_keep_foreign_cores_away_in_every_view(world: World) -> None:
    await world.book((BUFFERED, tomorrow(9), tomorrow(10)))

    for start, free in (
        (tomorrow(10, 15), False),
        (tomorrow(10, 30), True),
        (tomorrow(7, 45), False),
        (tomorrow(7, 30), True),
    ):
        end = start + timedelta(hours=1)
        found = await availability(world, start.isoformat(), end.isoformat())
        assert found[BUFFERED]["is_free"] is free
    answer = await world.client.get(
        f"/v1/resources/{BUFFERED}/next-free", params={"after": tomorrow(9).isoformat(), "minutes": 60}
    )
    first = answer.json()["items"][0]["start"]
    assert datetime.fromisoformat(first) == tomorrow(10, 30)
    taken = await world.book((BUFFERED, tomorrow(10, 15), tomorrow(11, 15)), by=OTHER)
    assert taken.status_code == 409
    offered = taken.json()["alternatives"][0]
    assert offered["start"] == first
    assert (await world.book((BUFFERED, tomorrow(10, 30), tomorrow(11, 30)), by=OTHER)).status_code == 201


async def test_every_slot_that_is_shown_can_be_booked_and_no_other(world: World) -> None:
    await world.book((BUFFERED, tomorrow(12), tomorrow(13)))
    day = tomorrow(12).date()
    answer = await world.client.get(f"/v1/resources/{BUFFERED}/slots", params={"date": day.isoformat(), "minutes": 60})
    shown = {datetime.fromisoformat(item["start"]) for item in answer.json()["items"]}
    assert len(shown) > 60

    for quarter in range(40, 60):
        start = tomorrow(0) + timedelta(minutes=15 * quarter)
        assert await _try_booking(world, start, f"member-{quarter}") is (start in shown), start


async def _try_booking(world: World, start: datetime, sub: str) -> bool:

    by = bearer(sub, "member")
    made = await world.book((BUFFERED, start, start + timedelta(hours=1)), by=by)
    if made.status_code == 201:
        await world.post(f"/v1/bookings/{made.json()['id']}/cancel", by=by, version=1)
    return made.status_code == 201


async def test_a_lapsed_hold_counts_as_free(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.lapse(booking)

    assert (await availability(world, tomorrow(9).isoformat(), tomorrow(10).isoformat()))[DESK]["is_free"]


async def test_an_operator_edits_a_room_and_old_bookings_keep_their_price(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    shown = await world.client.get(f"/v1/resources/{DESK}")
    assert shown.headers["etag"] == '"1"'

    answer = await world.client.patch(
        f"/v1/resources/{DESK}",
        json={"cents_per_hour": 900, "name": "Window desk"},
        headers=OPERATOR | {"If-Match": '"1"'},
    )

    assert answer.status_code == 200, answer.text
    assert (answer.headers["etag"], answer.json()["cents_per_hour"]) == ('"2"', 900)
    assert (await world.read(booking))["gross_cents"] == 400
    assert (await world.book((DESK, tomorrow(11), tomorrow(12)))).json()["gross_cents"] == 900


async def test_an_operator_sets_the_hours(world: World) -> None:
    hours = {"opening_hours": [{"weekday": day, "opens": "10:00", "closes": "12:00"} for day in range(1, 8)]}
    answer = await world.client.put(
        "/v1/hubs/bendorf/opening-hours", json=hours, headers=OPERATOR | {"If-Match": '"1"'}
    )
    assert (answer.status_code, answer.json()["version"]) == (200, 2)

    slots = await world.client.get(f"/v1/resources/{DESK}/slots", params={"date": "2027-01-05", "minutes": 60})
    assert [item["start"][11:16] for item in slots.json()["items"]] == ["10:00", "10:15", "10:30", "10:45", "11:00"]
    refused = await world.book((DESK, tomorrow(3), tomorrow(4)))
    assert refused.json()["type"] == "/problems/outside-opening-hours"


async def test_an_operator_gives_a_room_hours_of_its_own(world: World) -> None:
    own = [{"weekday": 2, "opens": "06:00", "closes": "07:00"}]
    answer = await world.client.patch(
        f"/v1/resources/{DESK}", json={"opening_hours": own}, headers=OPERATOR | {"If-Match": '"1"'}
    )
    assert (answer.json()["version"], answer.json()["has_own_hours"]) == (2, True)
    slots = await world.client.get(f"/v1/resources/{DESK}/slots", params={"date": "2027-01-05", "minutes": 60})
    assert [item["start"][11:16] for item in slots.json()["items"]] == ["06:00"]

    back = await world.client.patch(
        f"/v1/resources/{DESK}", json={"opening_hours": []}, headers=OPERATOR | {"If-Match": "*"}
    )
    assert (back.json()["version"], back.json()["has_own_hours"]) == (3, False)


async def test_putting_the_same_again_changes_nothing(world: World) -> None:
    before = await world.rows()
    for key, body in RESOURCES.items():
        answer = await world.client.put(f"/v1/resources/{key}", json=body, headers=COUNTY)
        assert (answer.status_code, answer.json()["version"]) == (200, 1)
    assert await world.rows() == before


async def test_a_closed_room_cannot_be_booked_until_it_is_opened_again(world: World) -> None:
    body = {
        "resource_id": str(HALL),
        "start": tomorrow(8).isoformat(),
        "end": tomorrow(12).isoformat(),
        "reason": "Wahl",
    }
    closed = await world.post("/v1/hubs/bendorf/closures", body, by=OPERATOR, key="once")
    again = await world.post("/v1/hubs/bendorf/closures", body, by=OPERATOR, key="once")
    assert closed.status_code == again.status_code == 201
    assert closed.json() == again.json()
    assert (await world.book((LEFT, tomorrow(9), tomorrow(10)))).status_code == 409
    assert (await world.book((LEFT, tomorrow(12), tomorrow(13)))).status_code == 201
    listed = await world.client.get("/v1/hubs/bendorf/closures", headers=OPERATOR)
    assert [item["reason"] for item in listed.json()["items"]] == ["Wahl"]

    lifted = await world.client.delete(f"/v1/closures/{closed.json()['id']}", headers=OPERATOR)

    assert lifted.status_code == 204
    assert (await world.book((LEFT, tomorrow(9), tomorrow(10)))).status_code == 201


async def test_closing_over_bookings_lists_them_or_cancels_them_all(world: World) -> None:
    booking = (await world.book((RIGHT, tomorrow(9), tomorrow(10)))).json()
    await world.pay(booking)
    second = (await world.book((HALL, tomorrow(10), tomorrow(11)))).json()
    body = {"all": True, "start": tomorrow(8).isoformat(), "end": tomorrow(12).isoformat(), "reason": "Sturm"}

    refused = await world.post("/v1/hubs/bendorf/closures", body, by=OPERATOR)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/closure-conflicts")
    assert {item["id"] for item in refused.json()["bookings"]} == {booking["id"], second["id"]}

    made = await world.post("/v1/hubs/bendorf/closures", body | {"cancel_conflicting": True}, by=OPERATOR)
    assert made.status_code == 201, made.text
    for one in (booking, second):
        found = await world.read(one)
        assert (found["status"], found["cancelled_by"]) == ("cancelled", "closure")
    assert await world.value("SELECT count(*) FROM mail_job WHERE kind = 'cancelled'") == 1


async def test_closing_today_leaves_alone_what_is_over(world: World) -> None:
    """A used and a paid booking of this morning are over; the closure of the whole day keeps its own times."""
    step = now().replace(minute=now().minute // 15 * 15, second=0, microsecond=0)
    start, end = step - timedelta(hours=2), step - timedelta(hours=1)
    over = [(await world.book((room, tomorrow(9), tomorrow(10)))).json() for room in (FREE, DESK)]
    await world.pay(over[1])
    await world.sql("UPDATE line SET starts_at = $1, ends_at = $2", start, end)
    await world.sql("UPDATE booking SET starts_at = $1, ends_at = $2", start, end)
    await world.sql("UPDATE occupancy SET span = tstzrange($1, $2, '[)')", start, end)
    async with world.db.session() as session:
        assert await complete_over(session, now=now(), limit=1) == 1
    later = (await world.book((FREE, step + timedelta(hours=1), step + timedelta(hours=2)))).json()
    day = {
        "all": True,
        "start": (step - timedelta(hours=6)).isoformat(),
        "end": (step + timedelta(hours=6)).isoformat(),
    }

    listed = await world.post("/v1/hubs/bendorf/closures", day | {"reason": "Sturm"}, by=OPERATOR)
    assert [item["id"] for item in listed.json()["bookings"]] == [later["id"]]
    body = day | {"reason": "Sturm", "cancel_conflicting": True}
    made = await world.post("/v1/hubs/bendorf/closures", body, by=OPERATOR)

    assert made.status_code == 201, made.text
    assert datetime.fromisoformat(made.json()["start"]) == step - timedelta(hours=6)
    statuses = {(await world.read(one))["status"] for one in over}
    assert statuses == {"completed", "confirmed"}
    assert (await world.read(later))["status"] == "cancelled"
    assert (await world.book((DESK, step + timedelta(hours=3), step + timedelta(hours=4)))).status_code == 409


@pytest.mark.parametrize("what", ["operators", "hubs", "resources"])
async def test_two_equal_puts_at_once_are_one(world: World, what: str) -> None:
    new = {
        "operators": ("/v1/operators/neu", {"name": "Neu"}),
        "hubs": ("/v1/hubs/neu", {"operator": "stadt-mayen", "name": "Neu", "opening_hours": OFFICE_HOURS}),
        "resources": (f"/v1/resources/{uuid4()}", resource("Neu", parts=[str(DESK)], opening_hours=OFFICE_HOURS)),
    }
    path, body = new[what]

    answers = await asyncio.gather(*(world.client.put(path, json=body, headers=COUNTY) for _ in range(6)))

    assert {(answer.status_code, answer.json()["version"]) for answer in answers} == {(200, 1)}
    of_it = "SELECT count(*) FROM opening_hours WHERE hub = 'neu' OR resource_id = (SELECT id FROM resource WHERE name = 'Neu')"
    week = await world.value(of_it)
    assert week == (0 if what == "operators" else len(OFFICE_HOURS))


async def test_nobody_who_is_there_is_thrown_out(world: World) -> None:
    booking = (await world.book((FREE, tomorrow(9), tomorrow(10)))).json()
    await world.bring_near(booking)
    await world.post(f"/v1/bookings/{booking['id']}/check-in", by=OPERATOR)
    await world.begin(booking)
    body = {"all": True, "start": now().isoformat(), "end": tomorrow(12).isoformat(), "reason": "x"}

    refused = await world.post("/v1/hubs/bendorf/closures", body | {"cancel_conflicting": True}, by=OPERATOR)

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/closure-over-use")


async def test_closing_over_later_times_of_a_series_that_has_begun_names_them_and_nobody_who_is_there(
    world: World,
) -> None:
    """A booking is cancelled as a whole and only by hand; the room of the line that is over can be closed at once."""
    later = tomorrow(9, days=60)
    series = (await world.book((FREE, tomorrow(9), tomorrow(10)), (DESK, later, later + timedelta(hours=1)))).json()
    await world.pay(series)
    await world.bring_near(series)
    await world.post(f"/v1/bookings/{series['id']}/check-in", by=OPERATOR)
    body = {
        "all": True, "start": tomorrow(0, days=59).isoformat(), "end": tomorrow(0, days=62).isoformat(), "reason": "x",
        "cancel_conflicting": True,
    }  # fmt: skip

    refused = await world.post("/v1/hubs/bendorf/closures", body, by=OPERATOR)
    beside = await world.post(
        "/v1/hubs/bendorf/closures", body | {"start": tomorrow(0, days=61).isoformat()}, by=OPERATOR
    )

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/closure-over-begun")
    [named] = refused.json()["bookings"]
    assert named["code"] == series["code"]
    assert [(line["resource_name"], datetime.fromisoformat(line["start"])) for line in named["lines"]] == [
        ("Desk 1", later)
    ]
    assert later.isoformat() in refused.json()["detail"]
    assert beside.status_code == 201


async def test_a_room_is_closed_though_the_same_booking_runs_in_another_one(world: World) -> None:
    """Who sits at Desk 1 is not in the left half of the hall; of the hall, only what lies in that half is named."""
    there, over = tomorrow(9), tomorrow(12)
    lines = (DESK, there, tomorrow(10)), (HALL, tomorrow(11), over), (RIGHT, over, tomorrow(13))
    booking = (await world.book(*lines)).json()
    await world.pay(booking)
    await world.bring_near(booking)
    await world.post(f"/v1/bookings/{booking['id']}/check-in", by=OPERATOR)
    start, end, first = now() - timedelta(minutes=1), now() + timedelta(minutes=29), UUID(booking["lines"][0]["id"])
    await world.sql("UPDATE line SET starts_at = $2, ends_at = $3 WHERE id = $1", first, start, end)
    await world.sql("UPDATE occupancy SET span = tstzrange($2, $3, '[)') WHERE line_id = $1", first, start, end)
    body = {"resource_id": str(LEFT), "start": now().isoformat(), "end": tomorrow(18).isoformat(), "reason": "x"}

    refused = await world.post("/v1/hubs/bendorf/closures", body | {"cancel_conflicting": True}, by=OPERATOR)
    before = await world.post("/v1/hubs/bendorf/closures", body | {"end": tomorrow(11).isoformat()}, by=OPERATOR)
    desk = await world.post("/v1/hubs/bendorf/closures", body | {"resource_id": str(DESK)}, by=OPERATOR)

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/closure-over-begun")
    assert [line["resource_name"] for line in refused.json()["bookings"][0]["lines"]] == ["Hall"]
    assert tomorrow(11).isoformat() in refused.json()["detail"]
    assert before.status_code == 201
    assert (desk.status_code, desk.json()["type"]) == (409, "/problems/closure-over-use")
    assert [line["resource_name"] for line in desk.json()["bookings"][0]["lines"]] == ["Desk 1"]


async def test_a_new_room_is_closed_with_its_hub(world: World) -> None:
    body = {"all": True, "start": tomorrow(8).isoformat(), "end": tomorrow(12).isoformat(), "reason": "x"}
    await world.post("/v1/hubs/bendorf/closures", body, by=OPERATOR)
    new = uuid4()
    await world.client.put(f"/v1/resources/{new}", json=resource("New"), headers=COUNTY)

    assert (await world.book((new, tomorrow(9), tomorrow(10)))).status_code == 409
    assert (await world.book((new, tomorrow(12), tomorrow(13)))).status_code == 201


async def test_a_room_that_is_switched_off_says_so(world: World) -> None:
    await world.client.patch(f"/v1/resources/{DESK}", json={"is_active": False}, headers=OPERATOR | {"If-Match": '"1"'})

    refused = await world.book((DESK, tomorrow(9), tomorrow(10)))

    assert refused.json()["type"] == "/problems/not-bookable"
    assert DESK not in await availability(world, tomorrow(9).isoformat(), tomorrow(10).isoformat())


async def test_the_day_list_shows_names_to_the_hubs_operator(world: World) -> None:
    await world.book((DESK, tomorrow(9), tomorrow(10)))
    await world.book((FREE, tomorrow(11), tomorrow(12)))
    day = tomorrow(9).date().isoformat()

    first = await world.client.get(f"/v1/hubs/bendorf/bookings?date={day}&limit=1", headers=OPERATOR)
    assert [item["member_name"] for item in first.json()["items"]] == ["Demo Mitglied"]
    second = await world.client.get(
        "/v1/hubs/bendorf/bookings", params={"date": day, "limit": 1, "cursor": first.json()["next"]}, headers=OPERATOR
    )
    assert second.json()["items"][0]["status"] == "confirmed"
    assert second.json()["next"] is None


async def test_a_member_is_exported_and_erased(world: World) -> None:
    booking = (await world.book((FREE, tomorrow(9), tomorrow(10)))).json()
    found = await world.client.get("/internal/subjects/member-1", headers=PRIVACY)
    assert found.json()["member"]["mail"] == "demo@example.org"
    assert [one["id"] for one in found.json()["bookings"]] == [booking["id"]]
    assert found.json()["bookings"][0]["confirmed_at"] is not None
    assert [(one["booking_id"], one["kind"]) for one in found.json()["mails"]] == [(booking["id"], "confirmed")]
    assert [one["route"] for one in found.json()["responses"]] == ["POST /v1/bookings"]

    refused = await world.client.delete("/internal/subjects/member-1", headers=PRIVACY)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/bookings-open")

    await world.post(f"/v1/bookings/{booking['id']}/cancel", by=MEMBER, version=1)
    assert (await world.client.delete("/internal/subjects/member-1", headers=PRIVACY)).status_code == 204

    dump = str({name: rows for name, rows in (await world.rows()).items() if name != "outbox"})
    assert "demo@example.org" not in dump
    assert "member-1" not in dump


async def test_a_late_payment_of_an_erased_member_goes_back(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.lapse(booking)
    async with world.db.session() as session:
        await expire_lapsed(session, now=now())
    assert (await world.client.delete("/internal/subjects/member-1", headers=PRIVACY)).status_code == 204

    assert (await world.pay(booking)).status_code == 200
    assert await world.value("SELECT verdict FROM payment_verdict") == "refund"


async def test_erasing_waits_for_a_booking_under_way(world: World) -> None:
    async with world.owner.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('member member-1', 0))")
        erasing = asyncio.ensure_future(world.client.delete("/internal/subjects/member-1", headers=PRIVACY))
        done, _ = await asyncio.wait({erasing}, timeout=0.5)
        assert not done
    assert (await erasing).status_code == 204


async def test_erasing_waits_for_a_payment_under_way(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.lapse(booking)
    async with world.db.session() as session:
        await expire_lapsed(session, now=now())
    async with world.owner.transaction() as connection:
        query = "UPDATE booking SET status = 'confirmed', confirmed_at = now() WHERE id = $1"
        await connection.execute(query, UUID(booking["id"]))
        erasing = asyncio.ensure_future(world.client.delete("/internal/subjects/member-1", headers=PRIVACY))
        done, _ = await asyncio.wait({erasing}, timeout=0.5)
        assert not done
    assert (await erasing).status_code == 409

    await world.sql("UPDATE booking SET status = 'expired', confirmed_at = NULL WHERE id = $1", UUID(booking["id"]))


async def test_an_export_leaves_nothing_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "_PAGE", 2)
    made = {(await world.book((FREE, tomorrow(hour), tomorrow(hour + 1)))).json()["id"] for hour in range(6, 11)}
    closing = bearer("member-1", "member", "hub-operator", hubs=["bendorf"])
    body = {
        "all": True,
        "start": tomorrow(8, days=9).isoformat(),
        "end": tomorrow(9, days=9).isoformat(),
        "reason": "x",
    }
    await world.post("/v1/hubs/bendorf/closures", body, by=closing)

    found = (await world.client.get("/internal/subjects/member-1", headers=PRIVACY)).json()

    assert {one["id"] for one in found["bookings"]} == made
    assert [one["reason"] for one in found["closures"]] == ["x"]


async def test_lists_of_hubs_and_rooms_are_public(world: World) -> None:
    hubs = (await world.client.get("/v1/hubs")).json()["items"]
    assert [hub["slug"] for hub in hubs] == ["bendorf", "mayen"]
    rooms = (await world.client.get("/v1/hubs/bendorf/resources")).json()["items"]
    hall = next(room for room in rooms if room["id"] == str(HALL))
    assert hall["parts"] == sorted([str(LEFT), str(RIGHT)])
    office = next(room for room in rooms if room["id"] == str(OFFICE))
    assert office["has_own_hours"]
    assert office["opening_hours"][0] == {"weekday": 1, "opens": "08:00", "closes": "18:00"}


async def test_a_total_that_no_payment_can_carry_is_refused_by_its_name(world: World) -> None:
    """Four months at 10,000 € an hour are more than an integer column holds."""
    dear = uuid4()
    body = resource("Palace", cents_per_hour=1_000_000, max_minutes=44640)
    assert (await world.client.put(f"/v1/resources/{dear}", json=body, headers=COUNTY)).status_code == 200
    starts = [tomorrow(9, days=2 + 31 * number) for number in range(4)]

    refused = await world.book(*((dear, start, start + timedelta(days=30)) for start in starts))

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/total-not-payable")
    assert (refused.json()["gross_cents"], refused.json()["maximum_cents"]) == (4 * 720 * 1_000_000, 99_999_999)
    assert await world.value("SELECT count(*) FROM booking") == 0


async def test_a_room_from_before_the_smallest_payment_cannot_be_held_for_less(world: World) -> None:
    await world.sql("UPDATE resource SET cents_per_hour = 30 WHERE id = $1", DESK)

    refused = await world.book((DESK, tomorrow(9), tomorrow(10)))

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/total-not-payable")
    assert refused.json()["minimum_cents"] == 50
    assert (await world.book((DESK, tomorrow(9), tomorrow(11)))).json()["gross_cents"] == 60


async def test_a_room_from_before_the_smallest_payment_can_be_edited_and_only_its_new_price_is_judged(
    world: World,
) -> None:
    await world.sql("UPDATE resource SET cents_per_hour = 30 WHERE id = $1", DESK)

    async def patch(version: int, **change: Any) -> int:
        headers = OPERATOR | {"If-Match": f'"{version}"'}
        return (await world.client.patch(f"/v1/resources/{DESK}", json=change, headers=headers)).status_code

    assert await patch(1, name="Window", cents_per_hour=30) == 200
    assert await patch(2, cents_per_hour=40) == 422
    assert await patch(2, cents_per_hour=50) == 200
