"""Moving a booking: same booking, same price, all or nothing; whatever forbids it says why and what would work."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx

from regiohub_booking.usecases.mail import send_due
from regiohub_shared.clock import now
from tests.service.booking.test_mail import calendar, sink, smtp
from tests.service.booking.world import (
    BUFFERED,
    COUNTY,
    DESK,
    FREE,
    HALL,
    LEFT,
    MEMBER,
    OFFICE,
    OPERATOR,
    OTHER,
    RIGHT,
    World,
    resource,
    tomorrow,
)

__all__ = ["sink"]


async def paid(world: World, *lines: tuple[UUID, datetime, datetime]) -> dict[str, Any]:
    held = (await world.book(*lines)).json()
    if held["gross_cents"]:
        await world.pay(held)
    return await world.read(held)


def going(booking: dict[str, Any], to: UUID, start: datetime, end: datetime, line: int = 0) -> dict[str, Any]:
    return {
        "line_id": booking["lines"][line]["id"], "resource_id": str(to), "start": start.isoformat(),
        "end": end.isoformat(),
    }  # fmt: skip


async def move(
    world: World,
    booking: dict[str, Any],
    *lines: dict[str, Any],
    by: dict[str, str] = MEMBER,
    version: int | None = None,
) -> httpx.Response:
    path = f"/v1/bookings/{booking['id']}/move"
    return await world.post(path, {"lines": list(lines)}, by=by, version=version or booking["version"])


async def test_it_stays_the_same_booking_and_the_old_slot_is_free(world: World) -> None:
    booking = await paid(world, (DESK, tomorrow(9), tomorrow(10)))

    answer = await move(world, booking, going(booking, LEFT, tomorrow(14), tomorrow(15)))

    assert answer.status_code == 200, answer.text
    moved = answer.json()
    assert answer.headers["etag"] == '"3"'
    assert {k: moved[k] for k in ("id", "code", "status", "gross_cents", "version")} == {
        "id": booking["id"], "code": booking["code"], "status": "confirmed", "gross_cents": 400, "version": 3,
    }  # fmt: skip
    [line] = moved["lines"]
    assert (line["id"], line["resource_name"]) == (booking["lines"][0]["id"], "Hall left")
    assert datetime.fromisoformat(moved["starts_at"]) == datetime.fromisoformat(line["start"]) == tomorrow(14)
    assert moved["moved_at"]
    assert (await world.book((DESK, tomorrow(9), tomorrow(10)), by=OTHER)).status_code == 201
    assert (await world.book((LEFT, tomorrow(14), tomorrow(15)), by=OTHER)).status_code == 409
    fact = (await world.sql("SELECT data FROM outbox WHERE subject = $1 ORDER BY sequence DESC", booking["id"]))[0][0]
    assert [(item["resource_id"], item["gross_cents"]) for item in fact["lines"]] == [(str(LEFT), 400)]
    assert fact["moved_at"]


async def test_it_may_overlap_its_own_old_slot_and_its_own_buffers(world: World) -> None:
    booking = await paid(world, (BUFFERED, tomorrow(9), tomorrow(10)))

    for minutes in (15, 30, -15, 0):
        shift = timedelta(minutes=minutes)
        booking = await world.read(booking)
        answer = await move(world, booking, going(booking, BUFFERED, tomorrow(9, 30) + shift, tomorrow(10, 30) + shift))
        assert answer.status_code == 200, answer.text

    rows = await world.sql("SELECT lower(span), upper(span), lower_inf(lane) FROM occupancy ORDER BY span")
    assert [tuple(row) for row in rows] == [
        (tomorrow(9), tomorrow(9, 30), False),
        (tomorrow(9, 30), tomorrow(10, 30), True),
        (tomorrow(10, 30), tomorrow(11), False),
    ]


async def test_one_line_moves_and_the_others_stay(world: World) -> None:
    booking = await paid(world, (LEFT, tomorrow(9), tomorrow(10)), (RIGHT, tomorrow(9), tomorrow(10)))

    answer = await move(world, booking, going(booking, RIGHT, tomorrow(7), tomorrow(8), line=1))

    assert [datetime.fromisoformat(line["start"]) for line in answer.json()["lines"]] == [tomorrow(9), tomorrow(7)]
    assert datetime.fromisoformat(answer.json()["starts_at"]) == tomorrow(7)
    swap = await world.read(booking)
    both = going(swap, RIGHT, tomorrow(9), tomorrow(10)), going(swap, LEFT, tomorrow(7), tomorrow(8), line=1)
    assert (await move(world, swap, *both)).status_code == 200


async def test_moving_nowhere_changes_nothing(world: World) -> None:
    booking = await paid(world, (DESK, tomorrow(9), tomorrow(10)))
    before = await world.rows()

    answer = await move(world, booking, going(booking, DESK, tomorrow(9), tomorrow(10)))

    assert (answer.status_code, answer.json() | {"is_own": True}) == (200, booking)
    assert await world.rows() == before


async def refused(world: World, answer: httpx.Response, status: int, kind: str, before: Any) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{kind}"), answer.text
    assert await world.rows() == before, "a refusal leaves nothing"
    return dict(answer.json())


async def test_another_price_is_refused_with_both_and_with_what_costs_the_same(world: World) -> None:
    booking = await paid(world, (DESK, tomorrow(9), tomorrow(10)))
    before = await world.rows()

    longer = await move(world, booking, going(booking, DESK, tomorrow(14), tomorrow(16)))
    dearer = await move(world, booking, going(booking, HALL, tomorrow(14), tomorrow(15)))
    cheaper = await move(world, booking, going(booking, FREE, tomorrow(14), tomorrow(15)))

    body = await refused(world, longer, 409, "price-differs", before)
    assert (body["line"], body["gross_cents"], body["new_gross_cents"]) == (0, 400, 800)
    offer = body["alternatives"][0]
    assert (datetime.fromisoformat(offer["start"]), datetime.fromisoformat(offer["end"])) == (
        tomorrow(14),
        tomorrow(15),
    )
    body = await refused(world, dearer, 409, "price-differs", before)
    assert body["alternatives"] == []
    assert {"Desk 1", "Hall left"} <= {offer["resource_name"] for offer in body["resources"]}
    assert {offer["price"]["gross_cents"] for offer in body["resources"]} == {400}
    assert (await refused(world, cheaper, 409, "price-differs", before))["new_gross_cents"] == 0


async def test_a_room_that_costs_the_same_but_is_taxed_otherwise_is_refused(world: World) -> None:
    other = uuid4()
    await world.client.put(f"/v1/resources/{other}", json=resource("Bandraum", tax_code="E12"), headers=COUNTY)
    booking = await paid(world, (DESK, tomorrow(9), tomorrow(10)))
    before = await world.rows()

    answer = await move(world, booking, going(booking, other, tomorrow(9), tomorrow(10)))

    assert (await refused(world, answer, 409, "price-differs", before))["new_tax_code"] == "E12"


async def test_a_room_whose_price_rose_since_is_refused(world: World) -> None:
    booking = await paid(world, (DESK, tomorrow(9), tomorrow(10)))
    await world.sql("UPDATE resource SET cents_per_hour = 500 WHERE id = $1", DESK)
    before = await world.rows()

    answer = await move(world, booking, going(booking, DESK, tomorrow(14), tomorrow(15)))

    assert (await refused(world, answer, 409, "price-differs", before))["new_gross_cents"] == 500


async def test_a_taken_slot_is_refused_with_what_is_free_at_the_same_price(world: World) -> None:
    booking = await paid(world, (DESK, tomorrow(9), tomorrow(10)))
    await world.book((DESK, tomorrow(14), tomorrow(15)), by=OTHER)
    before = await world.rows()

    answer = await move(world, booking, going(booking, DESK, tomorrow(14), tomorrow(15)))

    body = await refused(world, answer, 409, "slot-taken", before)
    assert datetime.fromisoformat(body["alternatives"][0]["start"]) == tomorrow(15)
    assert "Hall left" in {offer["resource_name"] for offer in body["resources"]}
    assert "Corner" not in {offer["resource_name"] for offer in body["resources"]}
    again = await move(world, booking, going(booking, DESK, tomorrow(15), tomorrow(16)))
    assert again.status_code == 200


async def test_a_closed_slot_is_refused(world: World) -> None:
    booking = await paid(world, (DESK, tomorrow(9), tomorrow(10)))
    closure = {
        "resource_id": str(DESK), "start": tomorrow(14).isoformat(), "end": tomorrow(16).isoformat(), "reason": "x",
    }  # fmt: skip
    assert (await world.post("/v1/hubs/bendorf/closures", closure, by=OPERATOR)).status_code == 201
    before = await world.rows()

    answer = await move(world, booking, going(booking, DESK, tomorrow(14), tomorrow(15)))

    await refused(world, answer, 409, "slot-taken", before)


async def test_a_lapsed_hold_in_the_way_gives_way_also_beside_the_own_old_slot(world: World) -> None:
    booking = await paid(world, (DESK, tomorrow(9), tomorrow(10)))
    held = (await world.book((DESK, tomorrow(10), tomorrow(11)), by=OTHER)).json()
    await world.lapse(held)

    answer = await move(world, booking, going(booking, DESK, tomorrow(9, 30), tomorrow(10, 30)))

    assert answer.status_code == 200, answer.text
    assert await world.value("SELECT status FROM booking WHERE id = $1", UUID(held["id"])) == "expired"


async def test_the_rules_of_the_new_place_hold(world: World) -> None:
    mayen = uuid4()
    await world.client.put(f"/v1/resources/{mayen}", json=resource("Mayen 1", hub="mayen"), headers=COUNTY)
    booking = await paid(world, (DESK, tomorrow(9), tomorrow(10)))
    before = await world.rows()
    weekday = next(days for days in range(2, 9) if tomorrow(9, days=days).weekday() == 2)

    for to, start, minutes, kind in (
        (mayen, tomorrow(9), 60, "other-hub"),
        (DESK, tomorrow(9, 7), 60, "off-grid"),
        (DESK, tomorrow(9, days=-3), 60, "in-the-past"),
        (DESK, tomorrow(9, days=600), 60, "beyond-horizon"),
        (OFFICE, tomorrow(3, days=weekday), 60, "outside-opening-hours"),
    ):
        answer = await move(world, booking, going(booking, to, start, start + timedelta(minutes=minutes)))
        assert (await refused(world, answer, 409, kind, before))["line"] == 0, kind
    unknown = await move(world, booking, going(booking, uuid4(), tomorrow(9), tomorrow(10)))
    await refused(world, unknown, 404, "not-found", before)
    foreign = going(booking, DESK, tomorrow(12), tomorrow(13)) | {"line_id": str(uuid4())}
    await refused(world, await move(world, booking, foreign), 404, "not-found", before)
    twice = going(booking, DESK, tomorrow(12), tomorrow(13)), going(booking, DESK, tomorrow(13), tomorrow(14))
    await refused(world, await move(world, booking, *twice), 422, "line-twice", before)


async def test_only_a_confirmed_booking_that_has_not_begun_moves(world: World) -> None:
    held = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    before = await world.rows()
    answer = await move(world, held, going(held, DESK, tomorrow(14), tomorrow(15)))
    assert (await refused(world, answer, 409, "illegal-transition", before))["booking_status"] == "held"

    await world.pay(held)
    booking = await world.read(held)
    await world.bring_near(booking, minutes=-1)
    before = await world.rows()
    answer = await move(world, booking, going(booking, DESK, tomorrow(14), tomorrow(15)))
    await refused(world, answer, 409, "already-begun", before)

    await world.bring_near(booking, minutes=30)
    await world.post(f"/v1/bookings/{booking['id']}/check-in", by=OPERATOR)
    before = await world.rows()
    answer = await move(world, booking, going(booking, DESK, tomorrow(14), tomorrow(15)), version=3)
    await refused(world, answer, 409, "illegal-transition", before)


async def test_it_needs_the_version_that_was_read_and_the_right_to_see_it(world: World) -> None:
    booking = await paid(world, (DESK, tomorrow(9), tomorrow(10)))
    before = await world.rows()
    line = going(booking, DESK, tomorrow(14), tomorrow(15))

    without = await world.post(f"/v1/bookings/{booking['id']}/move", {"lines": [line]}, by=MEMBER)
    await refused(world, without, 428, "precondition-required", before)
    await refused(world, await move(world, booking, line, version=1), 412, "precondition-failed", before)
    await refused(world, await move(world, booking, line, by=OTHER), 404, "not-found", before)
    assert (await move(world, booking, line, by=OPERATOR)).status_code == 200
    after = await world.rows()
    await refused(world, await move(world, booking, line), 412, "precondition-failed", after)


async def test_each_move_is_mailed_with_the_same_event_and_a_higher_sequence(world: World, sink: Any) -> None:
    kept, port = sink
    booking = await paid(world, (DESK, tomorrow(9), tomorrow(10)))
    await send_due(world.db, smtp(world, port))
    for hour in (14, 16):
        booking = await world.read(booking)
        await move(world, booking, going(booking, DESK, tomorrow(hour), tomorrow(hour + 1)))
        assert await send_due(world.db, smtp(world, port)) == 1

    mails = kept.mails
    assert [str(mail["Subject"]).split(":")[0] for mail in mails] == ["Bestätigt", "Umgebucht", "Umgebucht"]
    events = [calendar(mail).walk("VEVENT")[0] for mail in mails]
    assert {str(event["UID"]) for event in events} == {f"{booking['lines'][0]['id']}@regiohub"}
    assert [int(event["SEQUENCE"]) for event in events] == [2, 3, 4]
    assert [event["DTSTART"].dt for event in events] == [tomorrow(9), tomorrow(14), tomorrow(16)]
    assert {str(event["STATUS"]) for event in events} == {"CONFIRMED"}
    assert len({mail["Message-ID"] for mail in mails}) == 3
    assert "umgebucht" in mails[1].get_body().get_content()


async def test_the_member_is_told_that_the_hub_moved_it(world: World, sink: Any) -> None:
    kept, port = sink
    booking = await paid(world, (DESK, tomorrow(9), tomorrow(10)))
    line = going(booking, DESK, tomorrow(14), tomorrow(15))
    answer = await move(world, booking, line, by=OPERATOR)
    await send_due(world.db, smtp(world, port))
    moved = await world.read(booking)
    again = await move(world, moved, going(booking, DESK, tomorrow(16), tomorrow(17)))
    await send_due(world.db, smtp(world, port))

    assert (answer.json()["moved_by"], again.json()["moved_by"]) == ("operator", "member")
    texts = [mail.get_body().get_content() for mail in kept.mails if str(mail["Subject"]).startswith("Umgebucht")]
    assert ["Der Hub hat Ihre Buchung umgebucht" in text for text in texts] == [True, False]
    assert ["The hub has moved your booking" in text for text in texts] == [True, False]


async def test_a_move_takes_any_of_the_versions_that_the_caller_read(world: World) -> None:
    booking = await paid(world, (DESK, tomorrow(9), tomorrow(10)))
    body = {"lines": [going(booking, DESK, tomorrow(14), tomorrow(15))]}
    path = f"/v1/bookings/{booking['id']}/move"

    weak = await world.client.post(path, json=body, headers=MEMBER | {"If-Match": f'W/"{booking["version"]}"'})
    listed = await world.client.post(path, json=body, headers=MEMBER | {"If-Match": f'"1", "{booking["version"]}"'})

    assert (weak.status_code, listed.status_code) == (412, 200)


async def test_a_door_that_opened_for_the_old_slot_checks_nobody_in(world: World) -> None:
    booking = await paid(world, (DESK, tomorrow(9), tomorrow(10)))
    opened = now()
    await move(world, booking, going(booking, DESK, tomorrow(14), tomorrow(15)))

    await world.open_door(booking, opened)
    assert (await world.read(booking))["status"] == "confirmed"
    await world.open_door(booking, now())
    assert (await world.read(booking))["status"] == "checked_in"
