"""What the load client sends and how it finds the end of an answer."""

import json
from datetime import UTC, datetime

import pytest

from regiohub_local.bench.requests import Slots, booking, head, length

FIRST = datetime(2027, 3, 9, 8, tzinfo=UTC)


def test_no_two_bookings_have_a_slot_in_common():
    slots = Slots(["a", "b", "c"], FIRST)
    wishes = [slots.wish(number)["lines"][0] for number in range(30)]
    assert len({(wish["resource_id"], wish["start"]) for wish in wishes}) == 30
    assert wishes[3] == {"resource_id": "a", "start": "2027-03-09T08:30:00+00:00", "end": "2027-03-09T09:00:00+00:00"}


def test_a_second_measurement_begins_behind_the_first():
    assert Slots(["a", "b"], FIRST, start=5).wish(0) == Slots(["a", "b"], FIRST).wish(5)


def test_everybody_wants_the_same_slot_when_the_step_is_nothing():
    slots = Slots(["a"], FIRST, start=4, step=0)
    assert slots.wish(0) == slots.wish(199)


def test_a_booking_is_one_whole_request_with_a_key_of_its_own():
    prefix = head("POST", "/v1/bookings", "localhost:80", {"Cookie": "a=b"})
    sent = booking(prefix, Slots(["a"], FIRST), "key", 7)
    top, _, body = sent.partition(b"\r\n\r\n")
    assert top.startswith(b"POST /v1/bookings HTTP/1.1\r\nHost: localhost:80\r\nCookie: a=b\r\n")
    assert b"Idempotency-Key: key-7\r\n" in top
    assert f"Content-Length: {len(body)}".encode() in top
    assert json.loads(body)["lines"][0]["resource_id"] == "a"


LENGTH = b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED, b"HTTP/1.1 204 No Content\r\n\r\n"])
def test_an_answer_is_whole_at_its_last_byte_and_not_before(answer):
    assert length(answer + b"HTTP/1.1 next") == len(answer)
    assert all(length(answer[:size]) is None for size in range(len(answer)))
