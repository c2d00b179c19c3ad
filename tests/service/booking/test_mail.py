"""Mails with calendar files, sent by the worker to a real SMTP server in this process."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.controller import Controller
from icalendar import Calendar
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.repo import mails, members
from regiohub_booking.usecases import member
from regiohub_booking.usecases.mail import send_due
from regiohub_local.ports import free_port
from regiohub_shared.clock import real_now
from tests.service.booking.world import COUNTY, DESK, FREE, MEMBER, OPERATOR, OTHER, World, settings, tomorrow


class Sink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answer = ""
        self.on_mail: Callable[[], None] = lambda: None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - the library's name
        if self.answer:
            return self.answer
        await asyncio.to_thread(self.on_mail)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@pytest.fixture
def sink() -> Iterator[tuple[Sink, int]]:
    kept, port = Sink(), free_port()
    controller = Controller(kept, hostname="127.0.0.1", port=port)
    controller.start()
    yield kept, port
    controller.stop()


def smtp(world: World, port: int) -> Any:
    return settings(world.db.url, mail_host="127.0.0.1", mail_port=port, public_origin="http://localhost:8000")


def calendar(mail: EmailMessage) -> Any:
    [part] = list(mail.iter_attachments())
    assert part.get_content_type() == "text/calendar"
    return Calendar.from_ical(part.get_content())


async def test_confirmation_and_cancellation_carry_the_same_event(world: World, sink: tuple[Sink, int]) -> None:
    kept, port = sink
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)), (FREE, tomorrow(9), tomorrow(10)))).json()
    assert await send_due(world.db, smtp(world, port)) == 0
    await world.pay(booking)
    assert await send_due(world.db, smtp(world, port)) == 1
    await world.post(f"/v1/bookings/{booking['id']}/cancel", by=MEMBER, version=2)
    assert await send_due(world.db, smtp(world, port)) == 1
    assert await send_due(world.db, smtp(world, port)) == 0

    confirmed, cancelled = kept.mails
    body = confirmed.get_body()
    assert body is not None
    text = body.get_content()
    for piece in (
        "Demo Mitglied",
        "bestätigt",
        "Am Markt 1, 56170 Bendorf",
        "Seiteneingang",
        booking["code"],
        "4,00\u00a0€",
    ):
        assert piece in text
    assert text.count(f"http://localhost:8000/bookings/{booking['id']}") == 2
    english = text[text.index("Your booking is confirmed.") :]
    day = tomorrow(9).astimezone(ZoneInfo("Europe/Berlin"))
    for piece in (
        "Your booking is confirmed.", f"Desk 1: {day:%a} {day.day} {day:%b %Y, %H:%M}–{day + timedelta(hours=1):%H:%M}",
        "Corner: ", "Bendorf, Am Markt 1, 56170 Bendorf", booking["code"], "Price: €4.00", "Way in: Seiteneingang",
    ):  # fmt: skip
        assert piece in english
    assert "4,00" not in english
    off = cancelled.get_body()
    assert off is not None
    assert "The amount paid (€4.00) is refunded in full." in off.get_content()
    assert "Ihre Buchung ist storniert." in off.get_content()
    assert "Hub hat" not in off.get_content()
    assert confirmed["To"] == "Demo Mitglied <demo@example.org>"
    first, last = calendar(confirmed), calendar(cancelled)
    assert (first["METHOD"], last["METHOD"]) == ("PUBLISH", "PUBLISH")
    events, gone = first.walk("VEVENT"), last.walk("VEVENT")
    assert (
        [e["UID"] for e in events]
        == [e["UID"] for e in gone]
        == [f"{line['id']}@regiohub" for line in booking["lines"]]
    )
    assert [int(e["SEQUENCE"]) for e in (events[0], gone[0])] == [2, 3]
    assert (events[0]["STATUS"], gone[0]["STATUS"]) == ("CONFIRMED", "CANCELLED")
    assert events[0]["DTSTART"].dt == tomorrow(9)
    assert events[0]["DTSTART"].dt.utcoffset() == tomorrow(9).astimezone(ZoneInfo("Europe/Berlin")).utcoffset()
    [zone] = first.walk("VTIMEZONE")
    assert b"RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3" in zone.to_ical()
    assert b"RDATE" not in zone.to_ical()


@pytest.mark.parametrize("by_closure", [False, True])
async def test_a_mail_says_that_the_hub_cancelled_and_where_other_times_are(
    world: World, sink: tuple[Sink, int], by_closure: bool
) -> None:
    kept, port = sink
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.pay(booking)
    if by_closure:
        times = {"start": tomorrow(8).isoformat(), "end": tomorrow(12).isoformat()}
        body = {"all": True, "reason": "Nur intern", "cancel_conflicting": True} | times
        await world.post("/v1/hubs/bendorf/closures", body, by=OPERATOR)
    else:
        await world.post(f"/v1/bookings/{booking['id']}/cancel", by=OPERATOR, version=2)
    await send_due(world.db, smtp(world, port))

    [off] = [mail for mail in kept.mails if mail["Subject"].startswith("Storniert")]
    body_part = off.get_body()
    assert body_part is not None
    text = body_part.get_content()
    german, english = text.split("\n--")
    assert "Der Hub hat Ihre Buchung storniert." in german
    assert "wird vollständig erstattet" in german
    assert "Andere Zeit suchen: http://localhost:8000/find?hub=bendorf" in german
    assert "The hub has cancelled your booking." in english
    assert "Find another time: http://localhost:8000/en/find?hub=bendorf" in english
    assert "Nur intern" not in text, "the closure's reason is for the hub's own list"
    assert [str(event["STATUS"]) for event in calendar(off).walk("VEVENT")] == ["CANCELLED"]


async def test_a_full_mailbox_is_tried_again(world: World, sink: tuple[Sink, int]) -> None:
    kept, port = sink
    await world.book((FREE, tomorrow(9), tomorrow(10)))
    kept.answer = "452 full"
    assert await send_due(world.db, smtp(world, port)) == 1
    assert await world.value("SELECT last_error FROM mail_job") == "SMTPDataError"
    assert await send_due(world.db, smtp(world, port)) == 0
    kept.answer = ""
    await world.sql("UPDATE mail_job SET next_at = $1", real_now() - timedelta(seconds=1))

    assert await send_due(world.db, smtp(world, port)) == 1

    assert len(kept.mails) == 1
    assert await world.value("SELECT sent_at IS NOT NULL FROM mail_job")


async def test_no_late_confirmation_follows_the_cancellation(world: World, sink: tuple[Sink, int]) -> None:
    kept, port = sink
    booking = (await world.book((FREE, tomorrow(9), tomorrow(10)))).json()
    kept.answer = "452 full"
    await send_due(world.db, smtp(world, port))
    kept.answer = ""
    await world.post(f"/v1/bookings/{booking['id']}/cancel", by=MEMBER, version=1)
    await send_due(world.db, smtp(world, port))
    await world.sql("UPDATE mail_job SET next_at = $1 WHERE sent_at IS NULL", real_now() - timedelta(seconds=1))
    await send_due(world.db, smtp(world, port))

    assert [mail["Subject"].split(":")[0] for mail in kept.mails] == ["Storniert"]
    assert await world.value("SELECT count(*) FROM mail_job WHERE sent_at IS NULL") == 0


async def test_a_cancellation_waits_while_the_confirmation_hangs_in_another_worker(
    world: World, sink: tuple[Sink, int]
) -> None:
    kept, port = sink
    booking = (await world.book((FREE, tomorrow(9), tomorrow(10)))).json()
    at = real_now()
    async with world.db.session() as session:
        hanging = await mails.claim(session, now=at, until=at + timedelta(seconds=60))
    assert hanging is not None
    await world.post(f"/v1/bookings/{booking['id']}/cancel", by=MEMBER, version=1)

    assert await send_due(world.db, smtp(world, port)) == 0
    async with world.db.session() as session:
        await mails.mark_sent(session, hanging["id"], hanging["attempts"], now=real_now())
    await send_due(world.db, smtp(world, port))

    assert [mail["Subject"].split(":")[0] for mail in kept.mails] == ["Storniert"]


async def test_a_dead_confirmation_that_is_sent_again_does_not_follow_the_cancellation(
    world: World, sink: tuple[Sink, int]
) -> None:
    kept, port = sink
    booking = (await world.book((FREE, tomorrow(9), tomorrow(10)))).json()
    await world.sql("UPDATE mail_job SET attempts = 20, dead_at = $1, last_error = 'SMTPDataError'", real_now())
    await world.post(f"/v1/bookings/{booking['id']}/cancel", by=MEMBER, version=1)
    async with world.db.session() as session:
        assert await mails.replay(session, None, now=real_now() - timedelta(seconds=1)) == 1

    await send_due(world.db, smtp(world, port))

    assert [mail["Subject"].split(":")[0] for mail in kept.mails] == ["Storniert"]


async def test_a_killed_workers_mail_is_taken_over_when_its_lease_ends(world: World, sink: tuple[Sink, int]) -> None:
    kept, port = sink
    await world.book((FREE, tomorrow(9), tomorrow(10)))
    await world.sql("UPDATE mail_job SET leased_until = $1, attempts = 1", real_now() + timedelta(seconds=30))
    assert await send_due(world.db, smtp(world, port)) == 0
    await world.sql("UPDATE mail_job SET leased_until = $1", real_now() - timedelta(seconds=1))

    assert await send_due(world.db, smtp(world, port)) == 1
    assert len(kept.mails) == 1


Outcome = Callable[[AsyncSession, UUID, int], Awaitable[None]]


async def sent(session: AsyncSession, job: UUID, attempts: int) -> None:
    await mails.mark_sent(session, job, attempts, now=real_now())


async def failed(session: AsyncSession, job: UUID, attempts: int) -> None:
    await mails.mark_failed(session, job, attempts, error="late", next_at=real_now(), dead_at=None)


@pytest.mark.parametrize("outcome", [sent, failed, mails.drop])
async def test_the_late_outcome_of_an_older_claim_of_a_mail_changes_nothing(world: World, outcome: Outcome) -> None:
    """The first worker was slow, its lease lapsed, a second one claimed the mail and is still in it."""
    await world.book((FREE, tomorrow(9), tomorrow(10)))
    claims = []
    for minutes in (0, 1):
        at = real_now() + timedelta(minutes=minutes)
        async with world.db.session() as session:
            claims.append(await mails.claim(session, now=at, until=at + timedelta(seconds=30)))
    first, second = claims
    assert first is not None
    assert second is not None
    whole = "SELECT jsonb_agg(m)::text FROM mail_job m"
    before = await world.value(whole)

    for claim, is_noted in ((first, False), (second, True)):
        async with world.db.session() as session:
            await outcome(session, claim["id"], claim["attempts"])
        assert (await world.value(whole) != before) is is_noted


async def test_two_workers_send_each_mail_once(world: World, sink: tuple[Sink, int]) -> None:
    kept, port = sink
    for hour in range(6, 14):
        await world.book((FREE, tomorrow(hour), tomorrow(hour + 1)))

    await asyncio.gather(*(send_due(world.db, smtp(world, port)) for _ in range(3)))

    assert len({mail["Message-ID"] for mail in kept.mails}) == len(kept.mails) == 8


async def test_without_an_address_it_waits_until_the_booking_is_over(
    world: World, sink: tuple[Sink, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, port = sink
    monkeypatch.setattr(member, "_AWAY_S", 0)
    world.userinfo.is_down = True
    await world.book((FREE, tomorrow(9), tomorrow(10)))
    for _ in range(2):
        await world.sql("UPDATE mail_job SET next_at = $1, attempts = 40", real_now())
        assert await send_due(world.db, smtp(world, port)) == 1
        assert await world.value("SELECT last_error || coalesce(dead_at::text, '') FROM mail_job") == "NoAddress"
    world.userinfo.is_down = False
    await world.book((FREE, tomorrow(10), tomorrow(11)))
    await world.sql("UPDATE mail_job SET next_at = $1", real_now())
    assert await send_due(world.db, smtp(world, port)) == 2
    assert len(kept.mails) == 2

    await world.sql("UPDATE mail_job SET next_at = $1, sent_at = NULL", real_now())
    await world.sql("DELETE FROM member")
    await world.sql("UPDATE booking SET starts_at = $1::timestamptz - interval '1 hour', ends_at = $1", real_now())
    assert await send_due(world.db, smtp(world, port)) == 2
    assert await world.value("SELECT count(*) FROM mail_job") == 0


async def test_only_a_refusal_makes_a_mail_dead_and_the_county_sends_it_again(
    world: World, sink: tuple[Sink, int]
) -> None:
    kept, port = sink
    await world.book((FREE, tomorrow(9), tomorrow(10)))
    again = "UPDATE mail_job SET next_at = $1, attempts = 50"
    for answer, is_dead in (("452 full", False), ("550 no", True)):
        await world.sql(again, real_now())
        kept.answer = answer
        assert await send_due(world.db, smtp(world, port)) == 1
        assert await world.value("SELECT dead_at IS NOT NULL FROM mail_job") is is_dead
    assert await send_due(world.db, smtp(world, port)) == 0

    listed = (await world.client.get("/v1/dead-mails", headers=COUNTY)).json()["items"]
    assert [(one["kind"], one["last_error"]) for one in listed] == [("confirmed", "SMTPDataError")]
    kept.answer = ""
    done = await world.client.post("/v1/dead-mails/replay", json={"ids": [listed[0]["id"]]}, headers=COUNTY)
    assert done.json() == {"replayed": 1}
    assert (await world.client.post("/v1/dead-mails/replay", json={}, headers=COUNTY)).json() == {"replayed": 0}
    assert await send_due(world.db, smtp(world, port)) == 1
    assert len(kept.mails) == 1


async def test_a_server_that_is_away_never_makes_a_mail_dead(world: World) -> None:
    await world.book((FREE, tomorrow(9), tomorrow(10)))
    await world.sql("UPDATE mail_job SET attempts = 50")

    assert await send_due(world.db, smtp(world, free_port())) == 1

    assert (
        await world.value("SELECT last_error || coalesce(dead_at::text, '') FROM mail_job") == "ConnectionRefusedError"
    )


async def test_each_mail_has_its_own_lease(world: World, sink: tuple[Sink, int]) -> None:
    """While the first is on its way, the second is still free for another worker."""
    kept, port = sink
    for hour in (9, 10):
        await world.book((FREE, tomorrow(hour), tomorrow(hour + 1)))
    leased: list[int] = []

    async def look() -> None:
        leased.append(await world.value("SELECT count(*) FROM mail_job WHERE leased_until IS NOT NULL"))

    loop = asyncio.get_running_loop()
    kept.on_mail = lambda: asyncio.run_coroutine_threadsafe(look(), loop).result(5)

    assert await send_due(world.db, smtp(world, port)) == 2
    assert leased == [1, 1]


async def test_a_mail_that_is_verified_later_is_found_at_the_next_booking_and_waiting_mails_go_out(
    world: World, sink: tuple[Sink, int]
) -> None:
    kept, port = sink
    world.userinfo.is_verified = False
    await world.book((FREE, tomorrow(9), tomorrow(10)))
    assert await send_due(world.db, smtp(world, port)) == 1
    assert await world.value("SELECT last_error FROM mail_job") == "NoAddress"
    await world.book((FREE, tomorrow(10), tomorrow(11)))
    assert await world.value("SELECT mail FROM member") is None
    world.userinfo.is_verified = True

    await world.book((FREE, tomorrow(11), tomorrow(12)))
    await world.book((FREE, tomorrow(12), tomorrow(13)))

    assert world.userinfo.asked == 3, "once per booking until there is a mail, then never again"
    assert await send_due(world.db, smtp(world, port)) == 4
    assert {mail["To"] for mail in kept.mails} == {"Demo Mitglied <demo@example.org>"}
    assert await world.value("SELECT count(*) FROM member") == 1


@pytest.mark.parametrize("was_away", [False, True])
async def test_a_member_who_looks_at_their_bookings_is_asked_about_again(
    world: World, was_away: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member, "_AWAY_S", 0)
    world.userinfo.is_verified, world.userinfo.is_down = False, was_away
    nobody = await world.client.get("/v1/bookings", headers=OTHER)
    await world.book((FREE, tomorrow(9), tomorrow(10)))
    await world.sql("UPDATE mail_job SET next_at = now() + interval '1 hour'")
    world.userinfo.is_verified, world.userinfo.is_down = True, False

    for _ in range(3):
        assert (await world.client.get("/v1/bookings", headers=MEMBER)).status_code == 200

    assert nobody.status_code == 200
    assert world.userinfo.asked == 2, "nothing for who never booked, one at the booking, one of three looks"
    assert await world.value("SELECT mail FROM member") == "demo@example.org"
    assert await world.value("SELECT count(*) FROM mail_job WHERE next_at <= now()") == 1


async def test_a_member_who_stays_without_a_verified_mail_is_asked_about_once_an_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.userinfo.is_verified = False
    await world.book((FREE, tomorrow(9), tomorrow(10)))

    for _ in range(3):
        await world.client.get("/v1/bookings", headers=MEMBER)
    assert world.userinfo.asked == 2, "one at the booking, one of three looks"

    later = real_now() + timedelta(seconds=3601)
    monkeypatch.setattr(member, "real_now", lambda: later)
    await world.client.get("/v1/bookings", headers=MEMBER)
    assert world.userinfo.asked == 3


async def test_a_keycloak_that_hangs_delays_only_the_mail_and_is_left_alone_for_minutes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.userinfo.hangs = True
    async with asyncio.timeout(4):
        assert (await world.book((FREE, tomorrow(9), tomorrow(10)))).status_code == 201
    async with asyncio.timeout(1):
        assert (await world.book((FREE, tomorrow(10), tomorrow(11)))).status_code == 201
        assert (await world.client.get("/v1/bookings", headers=MEMBER)).status_code == 200
    assert world.userinfo.asked == 1

    later = real_now() + timedelta(seconds=301)
    monkeypatch.setattr(member, "real_now", lambda: later)
    async with asyncio.timeout(4):
        assert (await world.client.get("/v1/bookings", headers=MEMBER)).status_code == 200
    assert world.userinfo.asked == 2

    world.userinfo.hangs = False
    later += timedelta(seconds=3601)
    await world.client.get("/v1/bookings", headers=MEMBER)
    assert await world.value("SELECT mail FROM member") == "demo@example.org"


async def test_another_persons_userinfo_is_not_kept(world: World) -> None:
    world.userinfo.sub = "member-2"

    await world.book((FREE, tomorrow(9), tomorrow(10)))

    assert await world.value("SELECT count(*) FROM member") == 0


async def test_a_mail_that_is_known_is_not_replaced_by_a_slower_reader(world: World) -> None:
    await world.book((FREE, tomorrow(9), tomorrow(10)))

    async with world.db.session() as session:
        await members.replace_without_mail(session, sub="member-1", name="Alt", mail="old@example.org", now=real_now())

    assert await world.value("SELECT mail FROM member") == "demo@example.org"


async def test_a_members_mail_wakes_nobody_elses(world: World) -> None:
    world.userinfo.is_verified = False
    await world.book((FREE, tomorrow(9), tomorrow(10)))
    world.userinfo.sub, world.userinfo.is_verified = "member-2", True
    await world.book((FREE, tomorrow(10), tomorrow(11)), by=OTHER)
    await world.sql("UPDATE mail_job SET next_at = now() + interval '1 hour'")

    async with world.db.session() as session:
        await mails.wake(session, "member-2", now=real_now())

    woken = "SELECT b.sub FROM mail_job m JOIN booking b ON b.id = m.booking_id WHERE m.next_at <= now()"
    assert [row[0] for row in await world.sql(woken)] == ["member-2"]
