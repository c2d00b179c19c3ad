"""A member's calendar feed: the secret is the right, it is kept as a digest only, and nothing else opens it."""

import logging
from datetime import timedelta
from typing import Any

import httpx
import pytest
from icalendar import Calendar

from regiohub_booking.domain.feed import digest
from tests.service.booking.world import DESK, FREE, MEMBER, OTHER, PRIVACY, World, tomorrow


async def make(world: World, by: dict[str, str] = MEMBER) -> str:
    """Make a feed; return its path at the service."""
    answer = await world.client.post("/v1/calendar-feed", headers=by)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return "/v1/calendars/" + str(answer.json()["url"]).rpartition("/")[2]


async def events(world: World, path: str) -> dict[str, Any]:
    answer = await world.client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    return {str(event["UID"]): event for event in Calendar.from_ical(answer.text).walk("VEVENT")}


async def test_it_holds_what_was_confirmed_and_keeps_what_was_cancelled(world: World) -> None:
    path = await make(world)
    free = (await world.book((FREE, tomorrow(9), tomorrow(10)))).json()
    await world.book((DESK, tomorrow(9), tomorrow(10)))  # a hold is no appointment
    await world.book((FREE, tomorrow(12), tomorrow(13)), by=OTHER)
    uid = f"{free['lines'][0]['id']}@regiohub"

    before = await events(world, path)
    await world.post(f"/v1/bookings/{free['id']}/cancel", by=MEMBER, version=1)
    after = await events(world, path)

    assert before.keys() == after.keys() == {uid}
    assert [(str(e["STATUS"]), int(e["SEQUENCE"])) for e in (before[uid], after[uid])] == [
        ("CONFIRMED", 1),
        ("CANCELLED", 2),
    ]
    assert before[uid]["DTSTART"].dt == tomorrow(9)
    assert before[uid]["LOCATION"] == "Bendorf, Am Markt 1, 56170 Bendorf"
    assert str(before[uid]["URL"]).endswith(f"/bookings/{free['id']}")
    assert "ORGANIZER" not in before[uid]
    text = (await world.client.get(path)).text
    assert "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3" in text
    assert "RDATE" not in text
    assert "METHOD" not in text


async def test_past_bookings_leave_it_after_ninety_days(world: World) -> None:
    path = await make(world)
    await world.book((FREE, tomorrow(9), tomorrow(10)))
    shift = "UPDATE booking SET starts_at = now() - $1::interval - interval '1 hour', ends_at = now() - $1::interval"

    await world.sql(shift, timedelta(days=89))
    assert len(await events(world, path)) == 1
    await world.sql(shift, timedelta(days=91))
    assert await events(world, path) == {}


async def test_an_unchanged_calendar_is_not_sent_again(world: World) -> None:
    path = await make(world)
    await world.book((FREE, tomorrow(9), tomorrow(10)))
    first = await world.client.get(path)
    etag = first.headers["etag"]

    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        again = await world.client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag), known
    await world.book((FREE, tomorrow(11), tomorrow(12)))
    changed = await world.client.get(path, headers={"If-None-Match": etag})

    assert first.headers["cache-control"] == "private, no-cache"
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


async def test_a_new_address_ends_the_old_one_and_revoking_ends_both(world: World) -> None:
    first = await make(world)
    second = await make(world)
    assert (await world.client.get(first)).status_code == 404
    assert (await world.client.get(second)).status_code == 200
    assert (await world.client.get("/v1/calendar-feed", headers=MEMBER)).status_code == 200
    assert (await world.client.get("/v1/calendar-feed", headers=OTHER)).status_code == 404

    await world.client.delete("/v1/calendar-feed", headers=OTHER)
    assert (await world.client.get(second)).status_code == 200
    for _ in range(2):
        assert (await world.client.delete("/v1/calendar-feed", headers=MEMBER)).status_code == 204

    assert (await world.client.get(second)).status_code == 404
    assert (await world.client.get("/v1/calendar-feed", headers=MEMBER)).status_code == 404


@pytest.mark.parametrize("name", ["x", "x.ics", "A" * 43, "A" * 43 + ".ics", "A" * 3000 + ".ics", "%00.ics", "ü.ics"])
async def test_every_wrong_address_gets_the_same_answer(world: World, name: str) -> None:
    def bare(answer: httpx.Response) -> dict[str, Any]:
        return {key: value for key, value in answer.json().items() if key != "instance"}

    revoked = await make(world)
    await world.client.delete("/v1/calendar-feed", headers=MEMBER)
    known, wrong = await world.client.get(revoked), await world.client.get(f"/v1/calendars/{name}")

    assert known.status_code == wrong.status_code == 404
    assert bare(known) == bare(wrong)


async def test_the_secret_is_neither_stored_nor_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    path = await make(world)
    name = path.rpartition("/")[2]
    token = name.removesuffix(".ics")
    await world.client.get(path)
    await world.client.get(path + "x")

    rows = "\n".join(row for table in (await world.rows()).values() for row in table)
    printed = caplog.text

    assert token not in rows
    assert await world.value("SELECT token_digest FROM calendar_feed") == digest(token)
    assert "/v1/calendars/{name}" in printed
    assert token[:12] not in printed


async def test_it_is_exported_and_erased_with_the_member(world: World) -> None:
    path = await make(world)

    exported = await world.client.get("/internal/subjects/member-1", headers=PRIVACY)
    await world.client.delete("/internal/subjects/member-1", headers=PRIVACY)

    assert [list(feed) for feed in exported.json()["calendar_feeds"]] == [["created_at"]]
    assert (await world.client.get(path)).status_code == 404
    assert await world.value("SELECT count(*) FROM calendar_feed") == 0
