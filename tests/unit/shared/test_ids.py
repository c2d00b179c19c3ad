"""Ids sort by time; codes can be read aloud."""

import time

from regiohub_shared.ids import booking_code, new_id


def test_version_and_variant() -> None:
    made = new_id()
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"


def test_holds_the_time_in_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    made = new_id().int >> 80
    assert before <= made <= time.time_ns() // 1_000_000


def test_sort_by_time() -> None:
    first = new_id()
    time.sleep(0.002)
    assert first < new_id()


def test_are_unique() -> None:
    assert len({new_id() for _ in range(20_000)}) == 20_000


def test_codes_are_unambiguous() -> None:
    codes = [booking_code() for _ in range(2_000)]
    assert {len(code) for code in codes} == {8}
    assert not set("".join(codes)) & set("0O1IL")
    assert "".join(codes).isupper()
    assert len(set(codes)) == len(codes)
