"""Wall time and UTC: gaps, folds, days of 23 and 25 hours."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiohub_booking.domain.hours import (
    AmbiguousLocalTime,
    HoursOverlap,
    NonexistentLocalTime,
    Opening,
    check_reading,
    check_week,
    day_slot,
    open_slots,
    raster,
    to_utc,
)

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = date(2027, 3, 28), date(2027, 10, 31)
ALWAYS = [Opening(day, 0, 1440) for day in range(1, 8)]
days = st.dates(date(2026, 1, 1), date(2030, 12, 31))


def test_wall_time_follows_the_season() -> None:
    assert to_utc(date(2027, 1, 15), time(9), BERLIN) == datetime(2027, 1, 15, 8, tzinfo=UTC)
    assert to_utc(date(2027, 7, 15), time(9), BERLIN) == datetime(2027, 7, 15, 7, tzinfo=UTC)


def test_a_time_in_the_gap_is_refused() -> None:
    with pytest.raises(NonexistentLocalTime):
        to_utc(SPRING, time(2, 30), BERLIN)


def test_a_time_in_the_fold_is_asked_about() -> None:
    with pytest.raises(AmbiguousLocalTime) as refusal:
        to_utc(AUTUMN, time(2, 30), BERLIN)
    assert refusal.value.params["choices"] == ["2027-10-31T02:30:00+02:00", "2027-10-31T02:30:00+01:00"]


def test_the_ends_of_gap_and_fold_are_plain() -> None:
    assert to_utc(SPRING, time(3), BERLIN) == datetime(2027, 3, 28, 1, tzinfo=UTC)
    assert to_utc(AUTUMN, time(3), BERLIN) == datetime(2027, 10, 31, 2, tzinfo=UTC)
    assert to_utc(AUTUMN, time(1, 59), BERLIN) == datetime(2027, 10, 30, 23, 59, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2027-03-28T02:30:00+01:00", "2027-03-28T02:00:00+02:00"])
def test_an_offset_time_that_no_clock_shows_is_refused(text: str) -> None:
    with pytest.raises(NonexistentLocalTime):
        check_reading(datetime.fromisoformat(text), BERLIN)


@pytest.mark.parametrize(
    "text",
    ["2027-03-28T01:30:00Z", "2027-03-28T03:30:00+02:00", "2027-10-31T02:30:00+01:00", "2027-03-28T02:30:00-05:00"],
)
def test_other_offset_times_pass(text: str) -> None:
    check_reading(datetime.fromisoformat(text), BERLIN)


def test_days_have_23_24_or_25_hours() -> None:
    assert day_slot(SPRING, BERLIN).duration == timedelta(hours=23)
    assert day_slot(AUTUMN, BERLIN).duration == timedelta(hours=25)
    assert day_slot(date(2027, 6, 1), BERLIN).duration == timedelta(hours=24)


def test_a_day_pass_follows_the_clocks() -> None:
    [spring] = open_slots(ALWAYS, SPRING, SPRING, BERLIN)
    [autumn] = open_slots(ALWAYS, AUTUMN, AUTUMN, BERLIN)
    assert (spring.duration, autumn.duration) == (timedelta(hours=23), timedelta(hours=25))


def test_hours_that_begin_or_end_in_the_gap_move_to_its_end() -> None:
    week = [Opening(7, 150, 600)]
    [slot] = open_slots(week, SPRING, SPRING, BERLIN)
    assert slot.start == datetime(2027, 3, 28, 1, tzinfo=UTC)
    assert open_slots([Opening(7, 130, 170)], SPRING, SPRING, BERLIN) == []


def test_hours_in_the_fold_stay_open_for_both() -> None:
    [slot] = open_slots([Opening(7, 150, 165)], AUTUMN, AUTUMN, BERLIN)
    assert slot.duration == timedelta(minutes=75)


def test_round_the_clock_is_one_opening() -> None:
    [slot] = open_slots(ALWAYS, date(2027, 3, 27), date(2027, 3, 29), BERLIN)
    assert slot.duration == timedelta(hours=71)


@given(days, st.sampled_from([15, 30, 60, 120, 240, 1440]))
def test_the_raster_is_wall_time_inside_the_day(day: date, minutes: int) -> None:
    whole = day_slot(day, BERLIN)
    moments = raster(day, minutes, BERLIN)
    assert list(moments) == sorted(set(moments))
    for moment in moments:
        local = moment.astimezone(BERLIN)
        assert (local.hour * 60 + local.minute) % minutes == 0
        assert whole.start <= moment < whole.end
    if minutes <= 60:
        assert len(moments) == whole.duration / timedelta(minutes=minutes)


@given(days, st.integers(0, 1439))
def test_a_wall_time_that_exists_once_comes_back(day: date, minute: int) -> None:
    clock = time(minute // 60, minute % 60)
    try:
        moment = to_utc(day, clock, BERLIN)
    except (NonexistentLocalTime, AmbiguousLocalTime):
        assert day.month in {3, 10}
        assert 120 <= minute < 180
    else:
        local = moment.astimezone(BERLIN)
        assert (local.date(), local.time()) == (day, clock)


@given(days, st.lists(st.tuples(st.integers(0, 1439), st.integers(1, 600)), max_size=4))
def test_openings_become_sorted_and_disjoint(day: date, pairs: list[tuple[int, int]]) -> None:
    week = [Opening(day.isoweekday(), opens, min(opens + length, 1440)) for opens, length in pairs]
    slots = open_slots(week, day, day, BERLIN)
    assert all(one.end < other.start for one, other in pairwise(slots))
    assert all(day_slot(day, BERLIN).contains(slot) for slot in slots)


@pytest.mark.parametrize(
    "week",
    [[Opening(1, 600, 500)], [Opening(1, 0, 600), Opening(1, 599, 700)], [Opening(8, 0, 10)], [Opening(1, 0, 1441)]],
)
def test_a_week_that_contradicts_itself_is_refused(week: list[Opening]) -> None:
    with pytest.raises(HoursOverlap):
        check_week(week)
