"""Each rule refuses by name and says what would work."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from regiohub_booking.domain.booking import Ask, Place, plan
from regiohub_booking.domain.hours import NonexistentLocalTime, Opening
from regiohub_booking.domain.rules import (
    CHECK_IN_MARGIN,
    AlreadyBegun,
    BeyondHorizon,
    HoldTooLarge,
    InThePast,
    NotBookable,
    OffGrid,
    OutsideOpeningHours,
    Rules,
    SeveralHubs,
    TooEarly,
    TooLong,
    TooManyHolds,
    TooShort,
    Unpaid,
    UnpaidLimits,
    check_cancel,
    check_coming,
    check_slot,
    check_unpaid,
)
from regiohub_booking.domain.slot import Slot
from regiohub_booking.domain.states import Status
from regiohub_shared.problem import Problem

NOW = datetime(2026, 11, 25, 8, 7, tzinfo=UTC)  # Wednesday, 09:07 in Berlin
ROOM = UUID(int=1)


def place(**more: object) -> Place:
    values: dict[str, object] = {
        "id": ROOM, "hub": "bendorf", "hub_name": "Bendorf", "operator": "stadt-bendorf", "name": "Room",
        "zone": ZoneInfo("Europe/Berlin"), "cents_per_hour": 400, "tax_code": "S19", "rules": Rules(30, 60, 240, 30), "before": timedelta(),
        "after": timedelta(), "leaves": (ROOM,), "week": tuple(Opening(day, 480, 1080) for day in range(1, 8)),
        "is_active": True, "version": 1,
    } | more  # fmt: skip
    return Place(**values)  # type: ignore[arg-type]


def ask(start: str, end: str) -> Ask:
    return Ask(ROOM, datetime.fromisoformat(start), datetime.fromisoformat(end))


def planned(*asks: Ask, at: Place | None = None) -> Status:
    ids = [uuid4() for _ in range(len(asks) + 1)]
    return plan(asks, {ROOM: at or place()}, sub="s", code="C", ids=ids, now=NOW).booking.status


@pytest.mark.parametrize(
    ("start", "end", "refusal"),
    [
        ("2026-11-25T10:10+01:00", "2026-11-25T11:10+01:00", OffGrid),
        ("2026-11-25T10:00+01:00", "2026-11-25T11:15+01:00", OffGrid),
        ("2026-11-25T10:00:01+01:00", "2026-11-25T11:00:01+01:00", OffGrid),
        ("2026-11-25T10:00+01:00", "2026-11-25T10:30+01:00", TooShort),
        ("2026-11-25T10:00+01:00", "2026-11-25T14:30+01:00", TooLong),
        ("2026-11-25T08:30+01:00", "2026-11-25T10:30+01:00", InThePast),
        ("2026-12-25T10:00+01:00", "2026-12-25T11:00+01:00", BeyondHorizon),
        ("2026-11-26T07:30+01:00", "2026-11-26T09:00+01:00", OutsideOpeningHours),
        ("2026-11-26T17:30+01:00", "2026-11-26T18:30+01:00", OutsideOpeningHours),
        ("2026-11-26T19:00+01:00", "2026-11-26T20:00+01:00", OutsideOpeningHours),
    ],
)
def test_a_refusal_names_the_rule(start: str, end: str, refusal: type[Problem]) -> None:
    with pytest.raises(refusal) as caught:
        planned(ask(start, end))
    assert caught.value.params["line"] == 0


def test_the_running_step_can_still_be_booked() -> None:
    assert planned(ask("2026-11-25T09:00+01:00", "2026-11-25T10:00+01:00")) is Status.HELD


def test_what_is_switched_off_cannot_be_booked() -> None:
    with pytest.raises(NotBookable):
        planned(ask("2026-11-26T09:00+01:00", "2026-11-26T10:00+01:00"), at=place(is_active=False))


def test_a_free_place_is_confirmed_at_once() -> None:
    assert (
        planned(ask("2026-11-26T09:00+01:00", "2026-11-26T10:00+01:00"), at=place(cents_per_hour=0)) is Status.CONFIRMED
    )


def test_one_booking_one_hub() -> None:
    other = place(id=UUID(int=2), hub="mayen")
    asks = [ask("2026-11-26T09:00+01:00", "2026-11-26T10:00+01:00")]
    asks.append(Ask(other.id, asks[0].start, asks[0].end))
    with pytest.raises(SeveralHubs):
        plan(asks, {ROOM: place(), other.id: other}, sub="s", code="C", ids=[uuid4() for _ in range(3)], now=NOW)


def test_the_second_line_is_named() -> None:
    good, bad = (
        ask("2026-11-26T09:00+01:00", "2026-11-26T10:00+01:00"),
        ask("2026-11-26T20:00+01:00", "2026-11-26T21:00+01:00"),
    )
    with pytest.raises(OutsideOpeningHours) as caught:
        planned(good, bad)
    assert caught.value.params["line"] == 1


def test_outside_opening_hours_says_when_it_is_open() -> None:
    with pytest.raises(OutsideOpeningHours) as caught:
        planned(ask("2026-11-26T19:00+01:00", "2026-11-26T20:00+01:00"))
    assert {"start": "2026-11-26T08:00:00+01:00", "end": "2026-11-26T18:00:00+01:00"} in caught.value.params["open"]


def test_a_start_that_no_clock_shows_is_refused() -> None:
    late = place(rules=Rules(30, 30, 600, 400), week=tuple(Opening(day, 0, 1440) for day in range(1, 8)))
    with pytest.raises(NonexistentLocalTime):
        planned(ask("2027-03-28T02:30+01:00", "2027-03-28T04:00+02:00"), at=late)


def test_members_cancel_before_the_start_operators_before_the_end() -> None:
    def cancel(at: datetime, *, by_operator: bool = False, is_paid: bool = True) -> None:
        check_cancel(starts_at=NOW, ends_at=NOW + timedelta(hours=1), now=at, by_operator=by_operator, is_paid=is_paid)

    cancel(NOW - timedelta(seconds=1))
    with pytest.raises(AlreadyBegun):
        cancel(NOW)
    cancel(NOW, by_operator=True)
    with pytest.raises(AlreadyBegun):
        cancel(NOW + timedelta(hours=1), by_operator=True)
    cancel(NOW + timedelta(days=1), is_paid=False)


def test_nobody_comes_more_than_an_hour_before_the_start() -> None:
    start = NOW + CHECK_IN_MARGIN
    check_coming(starts_at=start, now=NOW)
    with pytest.raises(TooEarly) as caught:
        check_coming(starts_at=start + timedelta(seconds=1), now=NOW)
    assert caught.value.params["earliest"] == (NOW + timedelta(seconds=1)).isoformat()


@pytest.mark.parametrize("years", [1, 100, 180])
def test_a_slot_of_years_is_refused_before_a_single_day_is_counted(years: int) -> None:
    def uncounted() -> list[Slot]:
        raise AssertionError

    slot = Slot(NOW, NOW + timedelta(days=365 * years))
    with pytest.raises(TooLong):
        check_slot(slot, rules=Rules(30, 30, 600, 365 * 300), openings=uncounted, zone=place().zone, now=NOW)


NOTHING = Unpaid(0, 0, timedelta())


@pytest.mark.parametrize(
    ("known", "count", "hours", "refusal", "rule"),
    [
        (NOTHING, 20, 10, None, ""),
        (NOTHING, 1, 31 * 24, None, ""),
        (NOTHING, 2, 101, HoldTooLarge, "hours"),
        (Unpaid(2, 2, timedelta(hours=190)), 1, 10, None, ""),
        (Unpaid(2, 2, timedelta(hours=190)), 1, 11, TooManyHolds, "hours"),
        (Unpaid(1, 31, timedelta(hours=31)), 20, 1, TooManyHolds, "lines"),
        (Unpaid(3, 3, timedelta(hours=3)), 1, 1, TooManyHolds, "holds"),
    ],
)
def test_what_may_wait_for_payment_is_bounded_by_holds_lines_and_hours(known, count, hours, refusal, rule):
    start = datetime(2027, 1, 5, 9, tzinfo=UTC)
    slots = [Slot(start, start + timedelta(hours=hours))] * count
    if refusal is None:
        check_unpaid(known, slots, UnpaidLimits())
        return
    with pytest.raises(refusal) as refused:
        check_unpaid(known, slots, UnpaidLimits())
    assert refused.value.params["rule"] == rule
