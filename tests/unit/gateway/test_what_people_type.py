"""Whatever stands in an address or a form: it is read, or refused in the form's own words, and never an error of ours."""

from contextlib import suppress
from datetime import UTC, date, time
from urllib.parse import urlencode

import pytest
from fastapi import Request
from hypothesis import example, given
from hypothesis import strategies as st

from regiohub_gateway.web import moments
from regiohub_gateway.web.forms import Form, known_id, known_slug
from regiohub_gateway.web.pages.book import _slot
from regiohub_gateway.web.pages.closures import _closure
from regiohub_gateway.web.pages.operator import _day_of, _shift
from regiohub_gateway.web.pages.public import read_search
from regiohub_gateway.web.pages.rooms import _room_changes
from regiohub_gateway.web.week import read_week
from regiohub_shared.problem import NotFound, Problem

LONG = "9" * 5000
ZONES = st.sampled_from([None, UTC, moments.ZONE])
DAYS = st.dates().map(date.isoformat)
CLOCKS = st.times(timezones=ZONES).map(time.isoformat)
STAMPS = st.datetimes(timezones=ZONES).map(lambda moment: moment.isoformat())
NUMBERS = st.integers().map(str) | st.text("0123456789²٣.,+-e_ ", max_size=12)
TYPED = (
    st.text("aZ ä-:.+0123456789\0\n\u2028²٣€<%", max_size=30)
    | NUMBERS
    | DAYS
    | CLOCKS
    | STAMPS
    | st.sampled_from([LONG, "1," + LONG, "1,²", "²:00"])
)
SEARCH = ("hub", "date", "time", "minutes", "fold")
ROOM = (
    "name",
    "description",
    "price",
    "min_minutes",
    "max_minutes",
    "buffer_before_minutes",
    "hours",
    "opens_1",
    "closes_1",
)
CLOSURE = ("reason", "start_date", "start_time", "end_date", "end_time")
FIRST, LAST = {"date": "0001-01-01", "time": "00:00"}, {"date": "9999-12-31", "time": "23:30"}


def fields(*names: str) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(names), TYPED)


def asked(query: dict[str, str]) -> Request:
    raw = urlencode(query, errors="replace").encode()
    return Request({"type": "http", "query_string": raw, "headers": []})


@pytest.mark.parametrize(
    ("typed", "is_taken"),
    [("2200-12-31", True), ("2201-01-01", False), ("2999-12-31", False), ("1999-12-31", False), ("2000-01-01", True)],
)
def test_a_year_that_booking_refuses_is_refused_by_the_field(typed, is_taken):
    wish = {"date": typed, "time": "09:00", "minutes": "60"}

    assert read_search(asked(wish)).error == ("" if is_taken else "find.bad_time")


def test_a_search_that_ends_beyond_the_last_year_is_refused():
    assert read_search(asked({"date": "2200-12-31", "time": "23:30", "minutes": "60"})).error == "find.bad_time"


@given(fields(*SEARCH))
@example(FIRST)
@example(LAST)
@example({"minutes": LONG})
@example({"date": LONG})
@example({"date": "2026-10-25", "time": "02:30", "fold": "²"})
def test_a_search_begins_and_ends_or_says_what_is_wrong(query):
    found = read_search(asked(query))

    assert (found.start is None) == bool(found.error)
    assert (found.end is None) == (found.start is None)
    assert 0 < found.minutes <= 1440
    if found.start:
        moments.show_span(found.start, found.end, "de")


@given(fields(*ROOM))
@example({"price": "1,²"})
@example({"price": "²"})
@example({"min_minutes": LONG, "price": LONG})
@example({"hours": "own", "opens_1": f"{LONG}:00", "closes_1": "18:00"})
def test_a_rooms_form_is_read_or_names_its_fields(values):
    form = Form(values, {})
    changes = _room_changes(form)

    assert form.errors.keys() <= {*ROOM, "max_minutes", "buffer_after_minutes"}
    assert ("price" in form.errors) or changes["cents_per_hour"] < 100_000_000
    read_week(form)


@given(fields(*CLOSURE))
@example({"start_date": "0001-01-01", "start_time": "00:00", "end_date": "9999-12-31", "end_time": "23:59"})
def test_a_closures_form_is_read_or_names_its_fields(values):
    form = Form(values, {})
    body = _closure(form)

    assert form.errors or body["start"] < body["end"]


@given(TYPED)
@example("0001-01-01")
@example("9999-12-31")
def test_a_day_of_the_list_has_a_day_before_and_one_after(value):
    day = _day_of(value)

    assert _shift(day, -1) < day < _shift(day, 1)


@given(TYPED, TYPED)
@example("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00")
def test_a_slot_in_hidden_fields_is_one_or_refused(start, end):
    try:
        first, last = _slot(start, end)
    except Problem:
        return
    moments.after(first, moments.minutes_between(first, last))


@given(TYPED)
@pytest.mark.parametrize("read", [known_id, known_slug])
def test_a_name_in_a_path_is_one_or_not_there(read, value):
    with suppress(NotFound):
        assert len(read(value)) <= 64
