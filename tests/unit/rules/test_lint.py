"""The wall clock is read in one file; ruff refuses it everywhere else."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RUFF = Path(sys.executable).with_name("ruff")
WAYS = {
    "datetime.now": "from datetime import UTC, datetime\n\nMOMENT = datetime.now(UTC)\n",
    "datetime.now by module": "import datetime\n\nMOMENT = datetime.datetime.now(datetime.UTC)\n",
    "utcnow": "from datetime import datetime\n\nMOMENT = datetime.utcnow()\n",
    "datetime.today": "from datetime import datetime\n\nMOMENT = datetime.today()\n",
    "date.today": "from datetime import date\n\nDAY = date.today()\n",
    "date.today by module": "import datetime as dt\n\nDAY = dt.date.today()\n",
    "time.time": "import time\n\nMOMENT = time.time()\n",
    "time.time imported": "from time import time\n\nMOMENT = time()\n",
    "time.time renamed": "from time import time as moment\n\nMOMENT = moment()\n",
}
CLOCKS = {
    "shared/src/regiohub_shared/clock.py",
    "services/access/src/regiohub_access/reader/clock.py",
}
PLACES = [
    "shared/src/regiohub_shared/planted.py",
    "services/booking/src/regiohub_booking/domain/planted.py",
    "gateway/src/regiohub_gateway/edge/planted.py",
    "deploy/local/src/regiohub_local/planted.py",
    "tests/unit/planted.py",
]


def _codes(text: str, place: str) -> set[str]:
    """Check text as if it stood in that file; nothing is written."""
    done = subprocess.run(
        [str(RUFF), "check", "--no-cache", "--output-format=json", "--stdin-filename", place, "-"],
        cwd=ROOT, input=text, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return {finding["code"] for finding in json.loads(done.stdout)}


@pytest.mark.parametrize("way", WAYS)
def test_reading_the_clock_is_refused(way: str) -> None:
    assert "TID251" in _codes(WAYS[way], PLACES[0])


@pytest.mark.parametrize("place", PLACES)
def test_in_every_member_and_in_tests(place: str) -> None:
    assert "TID251" in _codes(WAYS["time.time"], place)


def test_but_for_the_clock_files() -> None:
    """One for all, and the reader's own, since the reader installs without ``shared``."""
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]["per-file-ignores"]
    assert {place for place, codes in configured.items() if "TID251" in codes} == CLOCKS
    for place in CLOCKS:
        assert "TID251" not in _codes(WAYS["datetime.now"], place)


def test_nobody_silences_it_by_comment() -> None:
    done = subprocess.run(
        ["git", "grep", "-lE", "--untracked", r"noqa:.*TID251", "--", "*.py", ":!tests/unit/rules/test_lint.py"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == []
