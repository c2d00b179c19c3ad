"""Business time can be shifted, still ticks, and is real outside dev."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from regiohub_shared.clock import now, real_now

_PRINT = (
    "import time; from regiohub_shared.clock import now, real_now; "
    "print(now().isoformat(), real_now().isoformat()); time.sleep(0.2); print(now().isoformat(), real_now().isoformat())"
)


def _run(**env: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("REGIOHUB_")}
    return subprocess.run(
        [sys.executable, "-c", _PRINT], env=clean | env, capture_output=True, text=True, check=False, timeout=30
    )


def _times(text: str) -> list[list[datetime]]:
    return [[datetime.fromisoformat(word) for word in line.split()] for line in text.splitlines()]


def test_unshifted_is_real_time() -> None:
    assert now().tzinfo is UTC
    assert abs(now() - real_now()) < timedelta(seconds=1)


@pytest.mark.parametrize("wanted", ["2031-03-30T09:00:00+02:00", "2031-03-30T07:00:00Z", "2019-01-01T00:00:00+00:00"])
def test_shifted_time_ticks_and_real_time_stays(wanted: str) -> None:
    done = _run(REGIOHUB_NOW=wanted)
    assert done.returncode == 0, done.stderr
    (shifted, real), (later, real_later) = _times(done.stdout)
    assert shifted.utcoffset() == timedelta()
    assert timedelta() <= shifted - datetime.fromisoformat(wanted) < timedelta(seconds=10)
    assert abs(real - real_now()) < timedelta(minutes=1)
    assert later - shifted >= timedelta(seconds=0.2)
    assert abs((later - shifted) - (real_later - real)) < timedelta(milliseconds=50)


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"REGIOHUB_NOW": "2031-03-30T09:00:00"}, "time zone"),
        ({"REGIOHUB_NOW": "tomorrow"}, "isoformat"),
        ({"REGIOHUB_NOW": "2031-03-30T09:00:00Z", "REGIOHUB_ENVIRONMENT": "prod"}, "outside the dev"),
    ],
)
def test_a_shift_that_cannot_be_meant_stops_the_program(env: dict[str, str], why: str) -> None:
    done = _run(**env)
    assert done.returncode != 0
    assert why in done.stderr
