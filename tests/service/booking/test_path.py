"""The path of one booking: hold, pay, come, complete; cancel; expire."""

from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from httpx import URL

from regiohub_booking.usecases.change import complete_over, expire_lapsed
from regiohub_shared.clock import now
from tests.service.booking.world import DESK, FREE, LEFT, MEMBER, OFFICE, OPERATOR, OTHER, World, tomorrow

BERLIN = ZoneInfo("Europe/Berlin")


async def test_a_hold_lasts_35_minutes_and_says_why_it_costs_what_it_costs(world: World) -> None:
    answer = await world.book((DESK, tomorrow(9), tomorrow(11, 15)))

    assert answer.status_code == 201, answer.text
    booking = answer.json()
    assert booking["status"] == "held"
    assert answer.headers["etag"] == '"1"'
    # Relative to the address that was asked, which is another one behind the gateway.
    asked, made = URL("http://gateway.test/api/booking/v1/bookings"), answer.headers["location"]
    assert asked.join(made).path == f"/api/booking/v1/bookings/{booking['id']}"
    assert answer.request.url.join(made).path == f"/v1/bookings/{booking['id']}"
    assert booking["gross_cents"] == 1200
    [line] = booking["lines"]
    assert line["tax_code"] == "S19"
    [step] = line["derivation"]
    assert (step["rule"], step["quantity"], step["unit_cents"], step["cents"]) == ("per-started-hour", 3, 400, 1200)
    stored = await world.sql("SELECT held_at, hold_until, operator FROM booking")
    assert stored[0]["hold_until"] - stored[0]["held_at"] == timedelta(minutes=35)
    assert stored[0]["operator"] == "stadt-bendorf"
    facts = await world.sql("SELECT subscriber FROM outbox_delivery ORDER BY 1")
    assert [row["subscriber"] for row in facts] == ["access", "billing"]


async def test_a_free_booking_is_confirmed_at_once_and_mailed(world: World) -> None:
    booking = (await world.book((FREE, tomorrow(9), tomorrow(10)))).json()

    assert booking["status"] == "confirmed"
    assert booking["hold_until"] is None
    assert booking["lines"][0]["derivation"][0]["rule"] == "free"
    assert await world.value("SELECT count(*) FROM mail_job WHERE kind = 'confirmed'") == 1


async def test_a_payment_confirms_and_a_repeat_changes_nothing(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    payment = uuid4()

    assert (await world.pay(booking, payment=payment)).json() == {"applied": True}
    assert (await world.pay(booking, payment=payment)).json() == {"applied": True}

    paid = await world.read(booking)
    assert (paid["status"], paid["version"]) == ("confirmed", 2)
    fact = await world.value("SELECT data::text FROM outbox ORDER BY sequence DESC LIMIT 1")
    assert f'"payment_id": "{payment}"' in fact
    assert '"verdict": "accepted"' in fact
    assert await world.value("SELECT count(*) FROM mail_job") == 1


async def test_an_older_state_of_a_payment_is_skipped(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    payment = uuid4()

    await world.pay(booking, payment=payment, version=3)
    await world.pay(booking, payment=payment, version=2, paid_cents=0)

    assert await world.value("SELECT paid_cents FROM payment_verdict") == 400


async def test_part_of_the_money_waits_for_the_rest(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    payment = uuid4()

    await world.pay(booking, payment=payment, version=1, paid_cents=100)
    assert (await world.read(booking))["status"] == "held"
    assert await world.value("SELECT verdict FROM payment_verdict") is None

    await world.pay(booking, payment=payment, version=2)
    assert (await world.read(booking))["status"] == "confirmed"


async def test_the_second_payment_of_a_booking_goes_back(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()

    await world.pay(booking)
    await world.pay(booking)

    verdicts = await world.sql("SELECT verdict FROM payment_verdict ORDER BY 1")
    assert [row["verdict"] for row in verdicts] == ["accepted", "refund"]
    assert (await world.read(booking))["version"] == 3


async def test_a_late_payment_confirms_while_the_slot_is_free(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.lapse(booking)
    async with world.db.session() as session:
        assert await expire_lapsed(session, now=now()) == 1
    assert (await world.read(booking))["status"] == "expired"

    await world.pay(booking)

    late = await world.read(booking)
    assert late["status"] == "confirmed"
    assert late["expired_at"] is not None
    assert (await world.book((DESK, tomorrow(9), tomorrow(10)), by=OTHER)).status_code == 409


async def test_a_late_payment_for_a_taken_slot_goes_back(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.lapse(booking)
    assert (await world.book((DESK, tomorrow(9, 30), tomorrow(10, 30)), by=OTHER)).status_code == 201

    await world.pay(booking)

    late = await world.read(booking)
    assert (late["status"], late["confirmed_at"]) == ("expired", None)
    assert await world.value("SELECT verdict FROM payment_verdict") == "refund"


async def test_a_late_payment_ends_a_lapsed_hold_that_is_in_its_way(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.lapse(booking)
    second = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.lapse(second)

    await world.pay(booking)

    assert (await world.read(booking))["status"] == "confirmed"
    assert (await world.read(second))["status"] == "expired"


async def test_money_for_a_cancelled_booking_goes_back(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.post(f"/v1/bookings/{booking['id']}/cancel", by=MEMBER, version=1)

    await world.pay(booking)

    assert await world.value("SELECT verdict FROM payment_verdict") == "refund"
    assert (await world.read(booking))["status"] == "cancelled"


async def test_a_lapsed_hold_blocks_nobody_although_no_sweeper_runs(world: World) -> None:
    first = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    assert (await world.book((DESK, tomorrow(9), tomorrow(10)), by=OTHER)).status_code == 409
    await world.lapse(first)

    assert (await world.book((DESK, tomorrow(9), tomorrow(10)), by=OTHER)).status_code == 201
    assert (await world.read(first))["status"] == "expired"


async def test_cancelling_frees_the_slot_and_keeps_all_stamps(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.pay(booking)

    answer = await world.post(f"/v1/bookings/{booking['id']}/cancel", by=MEMBER, version=2)

    assert answer.status_code == 200, answer.text
    off = answer.json()
    assert (off["status"], off["fee_cents"], off["cancelled_by"]) == ("cancelled", 0, "member")
    assert off["confirmed_at"] is not None
    assert (await world.book((DESK, tomorrow(9), tomorrow(10)), by=OTHER)).status_code == 201
    kinds = await world.sql("SELECT kind, sequence FROM mail_job ORDER BY sequence")
    assert [(row["kind"], row["sequence"]) for row in kinds] == [("confirmed", 2), ("cancelled", 3)]


async def test_who_reads_a_booking_is_told_whether_it_is_theirs(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()

    seen = [(await world.client.get(f"/v1/bookings/{booking['id']}", headers=who)).json() for who in (MEMBER, OPERATOR)]

    assert [one["is_own"] for one in seen] == [True, False]


async def test_a_member_cannot_cancel_what_has_begun_but_the_operator_can(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.pay(booking)
    begun = now() - timedelta(minutes=1)
    await world.sql("UPDATE booking SET starts_at = $1, ends_at = $2", begun, now() + timedelta(hours=1))

    refused = await world.post(f"/v1/bookings/{booking['id']}/cancel", by=MEMBER, version=2)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/already-begun")

    answer = await world.post(f"/v1/bookings/{booking['id']}/cancel", by=OPERATOR, version=2)
    assert answer.json()["cancelled_by"] == "operator"


async def test_the_door_checks_in_and_the_earliest_report_wins(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.pay(booking)
    await world.bring_near(booking)
    by_hand = await world.post(f"/v1/bookings/{booking['id']}/check-in", by=OPERATOR)
    assert by_hand.json()["status"] == "checked_in"
    opened = now() - timedelta(minutes=5)

    await world.open_door(booking, opened)
    await world.open_door(booking, now())

    found = await world.read(booking)
    assert (found["status"], found["version"]) == ("checked_in", 4)
    assert await world.value("SELECT checked_in_at FROM booking") == opened


async def test_a_door_report_after_completion_still_stamps(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.pay(booking)
    async with world.db.session() as session:
        assert await complete_over(session, now=tomorrow(10)) == 1
    assert (await world.read(booking))["status"] == "completed"

    await world.open_door(booking, now())

    found = await world.read(booking)
    assert found["status"] == "completed"
    assert found["checked_in_at"] is not None


async def test_a_door_report_for_a_cancelled_booking_changes_nothing(world: World) -> None:
    booking = (await world.book((FREE, tomorrow(9), tomorrow(10)))).json()
    await world.post(f"/v1/bookings/{booking['id']}/cancel", by=MEMBER, version=1)

    assert (await world.open_door(booking, now())).json() == {"applied": True}

    assert (await world.read(booking))["checked_in_at"] is None


async def test_nobody_is_checked_in_by_hand_long_before_the_start(world: World) -> None:
    booking = (await world.book((FREE, tomorrow(9), tomorrow(10)))).json()
    path = f"/v1/bookings/{booking['id']}/check-in"

    early = await world.post(path, by=OPERATOR)

    assert (early.status_code, early.json()["type"]) == (409, "/problems/too-early")
    assert datetime.fromisoformat(early.json()["earliest"]) == tomorrow(8)
    await world.bring_near(booking, minutes=59)
    assert (await world.post(path, by=OPERATOR)).json()["status"] == "checked_in"


async def test_a_check_in_by_mistake_is_cancelled_by_the_operator_with_refund(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.pay(booking)
    await world.bring_near(booking)
    path = f"/v1/bookings/{booking['id']}"
    await world.post(f"{path}/check-in", by=OPERATOR)

    by_member = await world.post(f"{path}/cancel", by=MEMBER, version=3)
    assert (by_member.status_code, by_member.json()["type"]) == (409, "/problems/illegal-transition")
    off = (await world.post(f"{path}/cancel", by=OPERATOR, version=3)).json()

    assert (off["status"], off["cancelled_by"], off["fee_cents"]) == ("cancelled", "operator", 0)
    assert off["checked_in_at"] is not None
    assert (await world.book((DESK, tomorrow(9), tomorrow(10)), by=OTHER)).status_code == 201
    # The door's report was under way: it must not become a dead letter.
    assert (await world.open_door(booking, now())).json() == {"applied": True}
    assert (await world.read(booking))["status"] == "cancelled"


async def test_a_hold_that_has_begun_can_be_given_back(world: World) -> None:
    step = now().replace(minute=now().minute // 15 * 15, second=0, microsecond=0)
    held = (await world.book((DESK, step, step + timedelta(hours=1)))).json()
    assert held["status"] == "held"

    assert (await world.post(f"/v1/bookings/{held['id']}/cancel", by=MEMBER, version=1)).json()["status"] == "cancelled"


async def test_a_taken_slot_is_said_even_while_the_database_is_too_busy_for_alternatives(world: World) -> None:
    wish = (DESK, tomorrow(10), tomorrow(11))
    assert (await world.book(wish)).status_code == 201
    assert (await world.book(wish)).json()["alternatives"]
    async with AsyncExitStack() as others:
        for _ in range(8):
            session = await others.enter_async_context(world.db.session())
            await session.connection()
        taken = await world.book(wish)
    assert (taken.status_code, taken.json()["type"]) == (409, "/problems/slot-taken")
    assert "alternatives" not in taken.json()


async def test_alternatives_are_for_the_line_that_is_taken(world: World) -> None:
    await world.book((LEFT, tomorrow(9), tomorrow(10)))

    taken = await world.book((DESK, tomorrow(9), tomorrow(10)), (LEFT, tomorrow(9), tomorrow(10)), by=OTHER)

    assert (taken.status_code, taken.json()["line"]) == (409, 1)
    assert {item["resource_id"] for item in taken.json()["alternatives"]} == {str(LEFT)}
    assert taken.json()["alternatives"][0]["start"][11:13] == f"{tomorrow(10).astimezone(BERLIN):%H}"
    assert str(DESK) in {item["resource_id"] for item in taken.json()["resources"]}


async def test_three_unpaid_holds_are_the_limit_until_one_is_paid(world: World) -> None:
    held = [(await world.book((DESK, tomorrow(hour), tomorrow(hour + 1)))).json() for hour in (6, 7, 8)]
    fourth = await world.book((DESK, tomorrow(9), tomorrow(10)))
    assert (fourth.status_code, fourth.json()["type"]) == (429, "/problems/too-many-holds")
    assert (await world.book((FREE, tomorrow(9), tomorrow(10)))).status_code == 201

    await world.pay(held[0])

    assert (await world.book((DESK, tomorrow(9), tomorrow(10)))).status_code == 201


async def test_a_repeat_under_the_same_key_gets_the_same_booking(world: World) -> None:
    first = await world.book((DESK, tomorrow(9), tomorrow(10)), key="once")
    again = await world.book((DESK, tomorrow(9), tomorrow(10)), key='"once"')
    other = await world.book((DESK, tomorrow(11), tomorrow(12)), key="once")
    someone = await world.book((DESK, tomorrow(11), tomorrow(12)), key="once", by=OTHER)

    assert again.status_code == 201
    assert again.json() == first.json()
    assert again.headers["etag"] == first.headers["etag"]
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert someone.status_code == 201
    assert await world.value("SELECT count(*) FROM booking") == 2


async def test_a_taken_slot_answers_with_what_would_work(world: World) -> None:
    await world.book((DESK, tomorrow(9), tomorrow(10)))

    taken = await world.book((DESK, tomorrow(9, 30), tomorrow(10, 30)), by=OTHER)

    assert (taken.status_code, taken.json()["type"]) == (409, "/problems/slot-taken")
    starts = [item["start"][11:16] for item in taken.json()["alternatives"]]
    zone_free = [UUID(item["resource_id"]) for item in taken.json()["resources"]]
    assert len(starts) == 3
    assert FREE in zone_free
    assert DESK not in zone_free
    first = taken.json()["alternatives"][0]
    assert (await world.client.post(
        "/v1/bookings", json={"lines": [{key: first[key] for key in ("resource_id", "start", "end")}]},
        headers=OTHER | {"Idempotency-Key": "next"},
    )).status_code == 201  # fmt: skip


async def test_name_and_mail_are_read_once_with_the_members_own_token(world: World) -> None:
    await world.book((DESK, tomorrow(9), tomorrow(10)))
    await world.book((DESK, tomorrow(10), tomorrow(11)))

    assert world.userinfo.asked == 1
    row = (await world.sql("SELECT name, mail FROM member"))[0]
    assert (row["name"], row["mail"]) == ("Demo Mitglied", "demo@example.org")


async def test_keycloak_away_does_not_stop_a_booking(world: World) -> None:
    world.userinfo.is_down = True

    assert (await world.book((DESK, tomorrow(9), tomorrow(10)))).status_code == 201

    assert await world.value("SELECT count(*) FROM member") == 0


async def test_lists_go_by_cursor_and_hold_only_own_bookings(world: World) -> None:
    for hour in range(6, 11):
        await world.book((FREE, tomorrow(hour), tomorrow(hour + 1)))
    await world.book((FREE, tomorrow(12), tomorrow(13)), by=OTHER)

    seen, cursor, pages = [], None, 0
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        answer = await world.client.get("/v1/bookings", headers=MEMBER, params=params)
        seen += [item["starts_at"] for item in answer.json()["items"]]
        cursor, pages = answer.json()["next"], pages + 1
        assert ('rel="next"' in answer.headers.get("link", "")) is (cursor is not None)
        if cursor is None:
            break

    assert pages == 3
    assert len(seen) == 5
    assert seen == sorted(seen, reverse=True)


async def test_office_hours_are_wall_time(world: World) -> None:
    answer = await world.client.get(f"/v1/resources/{OFFICE}/slots", params={"date": "2027-03-29", "minutes": 60})
    starts = [item["start"] for item in answer.json()["items"]]
    assert starts[0] == "2027-03-29T08:00:00+02:00"
    assert starts[-1] == "2027-03-29T17:00:00+02:00"

    sunday = await world.client.get(f"/v1/resources/{OFFICE}/slots", params={"date": "2027-03-28", "minutes": 60})
    assert sunday.json()["items"] == []
