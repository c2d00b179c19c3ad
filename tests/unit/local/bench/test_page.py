"""The page says what was measured, and where a goal was missed."""

import copy

import pytest

from regiohub_local.bench import page
from regiohub_local.bench.sampled import LOOP, part_of


def _row(rate: float, p99: float) -> dict:
    cpu = {"booking": 1.234, "postgresql": 0.4, "the load client": 0.05}
    return {"rate": rate, "p50": p99 / 2, "p99": p99, "count": 100, "foreign": 0.01, "steal": 0.002, "cpu_ms": cpu}


def _turn(shift: float = 0) -> dict:
    rates = {"ceiling": 2000, "alone": 500, "gateway": 220, "few": 500, "many": 480}
    return {name: _row(rate + shift, 40) for name, rate in rates.items()}


@pytest.fixture
def found() -> dict:
    two = {"p50": 3.04, "p99": 4.06, "count": 300}
    return {
        "date": "2027-03-09", "seconds": 8.0, "rounds": 3, "few": 1000, "many": 1_000_000, "connections": 16,
        "machine": {"processor": "2 × Example", "memory": "8 GB"}, "turns": [_turn(), _turn(100), _turn(-100)],
        "lag": {"deliveries": 9000, "seconds": 30.0, "oldest_s": 31.0}, "took_s": 600.0, "start_s": 42.0,
        "profile": {
            "booking": {"cpu_ms": 2.0, "samples": 1000, "every_ms": 3.44, "parts": {"pydantic": 1.5, LOOP: 0.5}, "rate": 400},
            "gateway": {"cpu_ms": 1.0, "samples": 500, "every_ms": 3.44, "parts": {"httpx": 0.25, LOOP: 0.75}, "rate": 900},
        },
        "whole": [_row(90, 80) | {"lag": {"deliveries": 10, "seconds": 1.5, "oldest_s": 2.5}}],
        "search": {"at_once_1": two, "at_once_4": two},
        "hot": {"clients": 200, "tries": [{"seconds": 1.5, "p99": 900.0}, {"seconds": 1.25, "p99": 900.0}]},
        "proxy": {"bearer": two | {"cpu_ms": 0.55}, "session": two | {"cpu_ms": 0.75}},
        "door": two | {"most": 5.0, "rush": two}, "memory_mb": {"booking": 101.6, "reader-polch": 40.2, "reader-mayen": 41.3},
    }  # fmt: skip


def _line(text: str, part: str) -> str:
    return next(line for line in text.splitlines() if part in line)


def test_the_page_leaves_no_place_unfilled_and_names_the_machine(found):
    text = page.render(found)
    assert "$" not in text
    assert "| processor | 2 × Example |" in text
    assert "2027-03-09" in text


def test_ratios_are_those_of_each_round_with_their_range(found):
    line = _line(page.render(found), "booking's API alone, of the ceiling")
    assert "0.25 (0.21–0.29)" in line
    assert line.endswith("| met |")


def test_a_missed_goal_is_said_in_the_table_and_below_it(found):
    text = page.render(found)
    assert _line(text, "the same with a session cookie").endswith("| **missed** |")
    assert "Missed in this run: the same with a session cookie, ms." in text
    better = copy.deepcopy(found)
    better["proxy"]["session"]["cpu_ms"] = 0.6
    assert "Every goal was met in this run." in page.render(better)


def test_growth_compares_the_p99_of_the_same_round(found):
    found["turns"][0]["many"]["p99"] = 400
    assert "1.00 (1.00–10.00)" in _line(page.render(found), "growth: p99")


def test_the_profile_is_told_in_milliseconds_and_shares(found):
    text = page.render(found)
    assert _line(text, "| pydantic ") == "| pydantic | 1.50 | 75% |"
    assert _line(text, "| httpx ") == "| httpx | 0.25 | 25% |"
    assert "about every 3.4 milliseconds" in text


def test_of_what_is_alike_the_largest_stands(found):
    assert _line(page.render(found), "reader-…") == "| reader-… (2, the largest) | 41 |"


def test_the_terminal_hears_the_goals(found):
    assert "0.25 (0.21–0.29)" in _line(page.summary(found), "booking's API alone")


@pytest.mark.parametrize(
    ("files", "part"),
    [
        (["/lib/python3/json/encoder.py", "/x/regiohub_booking/domain/price.py", "/x/fastapi/routing.py"], "rules and prices"),
        (["/lib/python3/logging/__init__.py", "/x/structlog/_base.py"], "log lines"),
        (["/lib/python3/asyncio/runners.py", "/x/uvicorn/_compat.py", "/x/uvicorn/server.py", "/x/uvicorn/main.py"], LOOP),
        (["/x/uvicorn/protocols/http/httptools_impl.py", "/lib/python3/asyncio/runners.py", "/x/uvicorn/server.py"], "uvicorn"),
        ([], LOOP),
    ],
)  # fmt: skip
def test_a_sample_belongs_to_the_innermost_part_that_is_known(files, part):
    assert part_of(files) == part
