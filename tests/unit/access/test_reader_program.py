"""The reader as a program: its own process, its local API, killed and started again, with access gone."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

from regiohub_access.reader.clock import make_clock
from regiohub_access.reader.settings import Settings, SettingsError
from regiohub_access.reader.wire import DenyEntry, Pin
from regiohub_access.rh1 import IssuerKey, PrivateKey, Proof, mint, present
from tests.unit.access import rh1_vectors as v
from tests.unit.access.fake_access import SECRET, FakeAccess, wire_key

CLOCK = make_clock({})
REAL = CLOCK().real.replace(microsecond=0)
PIN = Pin("pin-1", "482913", (1, 12), REAL - timedelta(hours=1), REAL + timedelta(hours=1))


def minted(number: int, holder: PrivateKey = v.HOLDER) -> bytes:
    claims = replace(
        v.CLAIMS,
        pass_id=number.to_bytes(8, "big"),
        not_before=REAL - timedelta(hours=1),
        expires_at=REAL + timedelta(hours=1),
        holder=holder.public,
    )
    return mint(claims, v.SIGNING)


def shown(number: int, door: int = 12, holder: PrivateKey = v.HOLDER) -> str:
    return present(minted(number), holder, Proof(int(CLOCK().real.timestamp()), door, os.urandom(4)))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Local:
    """A client of the reader's local API."""

    def __init__(self, port: int) -> None:
        self.port = port

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            data = None if body is None else json.dumps(body)
            kind = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, data, {**kind, **headers})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def present(self, **body: Any) -> str:
        return str(self.call("POST", "/present", body)[1]["reason"])

    def status(self) -> Any:
        return self.call("GET", "/status")[1]

    def until(self, condition: Callable[[Any], object]) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if condition(self.status()):
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError("the reader did not get there")


def environment(access: FakeAccess, folder: Path, port: int) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "READER_HUB": "bendorf",
        "READER_CLIENT_ID": "reader-bendorf",
        "READER_CLIENT_SECRET": SECRET,
        "READER_TOKEN_URL": f"{access.url}/token",
        "READER_SYNC_URL": f"{access.url}/v1/readers/reader-bendorf/sync",
        "READER_STATE_DIR": str(folder),
        "READER_PORT": str(port),
        "READER_ISSUER": v.CLAIMS.issuer,
    }


@contextmanager
def reader(access: FakeAccess, folder: Path, how_it_ends: int = signal.SIGTERM, **more: str) -> Iterator[Local]:
    port = free_port()
    environ = {**environment(access, folder, port), **more}
    log = folder.parent / "reader.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "regiohub_access.reader"], env=environ, stdout=out, stderr=out
        )
    try:
        local = Local(port)
        local.until(lambda _: True)
        yield local
        assert process.poll() is None, log.read_text()
    finally:
        process.send_signal(how_it_ends)
        assert process.wait(10) == (0 if how_it_ends == signal.SIGTERM else -how_it_ends), log.read_text()


@pytest.fixture
def access():
    fake = FakeAccess()
    fake.keys = (
        wire_key(IssuerKey(v.SIGNING.kid, v.ISSUER.public, REAL - timedelta(days=1), REAL + timedelta(days=1))),
    )
    fake.pins, fake.pins_seq = (PIN,), 1
    return fake


def test_offline_after_a_kill_it_opens_for_the_right_and_for_nobody_else(access, tmp_path):
    state = tmp_path / "state"
    with access.running(), reader(access, state, signal.SIGKILL) as local:
        local.until(lambda status: status["pins_stored"] == ["pin-1"])
        seen = shown(1)
        assert local.present(door=12, presentation=seen) == "granted"
        access.revoke(DenyEntry((9).to_bytes(8, "big").hex(), REAL + timedelta(hours=1)))
        local.until(lambda status: status["denylist_seq"] == 1 and status["events_pending"] == 0)
    with reader(access, state, signal.SIGKILL) as local:
        assert local.present(door=12, presentation=seen) == "replayed"
        assert local.present(door=12, presentation=shown(2)) == "granted"
        assert local.present(door=12, presentation=shown(9)) == "revoked"
        assert local.present(door=12, presentation=shown(3, door=1)) == "wrong_door"
        assert local.present(door=12, presentation=shown(3, holder=v.OTHER)) == "wrong_holder_key"
        assert local.present(door=1, pin="482913") == "granted"
        assert [local.present(door=12, pin="111111") for _ in range(5)] == ["pin_unknown"] * 5
    with reader(access, state) as local:
        assert local.present(door=12, pin="482913") == "pin_paused"
        assert local.present(door=1, pin="482913") == "granted"
        assert local.present(door=12, presentation=shown(3)) == "granted"
        assert local.status()["events_pending"] == 14
    log = (tmp_path / "reader.log").read_text()
    assert "wrong_holder_key" in log
    assert not any(secret in log for secret in ("111111", "482913", SECRET, "token-1"))


def test_the_status_shows_doors_sync_and_the_newest_events(access, tmp_path):
    with access.running(), reader(access, tmp_path / "state") as local:
        local.until(lambda status: status["last_sync_at"] is not None)
        local.present(door=12, presentation="RH1:nonsense")
        status = local.status()
    assert status["hub"] == "bendorf"
    assert status["doors"] == [{"number": 1, "name": "Haustür"}, {"number": 12, "name": "Desk 2"}]
    assert (status["log"][0]["reason"], status["log"][0]["door"]) == ("malformed", 12)
    assert "482913" not in json.dumps(status)


def test_the_local_api_takes_only_what_it_knows(access, tmp_path):
    good = {"door": 12, "pin": "000000"}
    with access.running(), reader(access, tmp_path / "state") as local:
        local.until(lambda status: status["doors"])
        calls: list[tuple[tuple[Any, ...], int]] = [
            (("POST", "/present", {"door": 99, "pin": "000000"}), 404),
            (("POST", "/present", {"door": "12", "pin": "000000"}), 400),
            (("POST", "/present", {"door": True, "pin": "000000"}), 400),
            (("POST", "/present", {"door": 12}), 400),
            (("POST", "/present", {"door": 12, "pin": 0}), 400),
            (("POST", "/present", {"door": 12, "pin": "0" * 33}), 400),
            (("POST", "/present", {**good, "presentation": "RH1:"}), 400),
            (("POST", "/present", ["a list"]), 400),
            (("POST", "/present", "x" * 5000), 413),
            (("GET", "/present"), 405),
            (("POST", "/open", good), 404),
        ]
        assert [local.call(*call)[0] for call, _ in calls] == [status for _, status in calls]
        assert local.call("POST", "/present", good, **{"Content-Type": "text/plain"})[0] == 415
        assert local.call("POST", "/present", good, Host="evil.example.org")[0] == 403
        assert local.call("POST", "/present", good, **{"X-Long": "x" * 9000})[0] == 413
        assert local.status()["events_pending"] == 0
        assert local.status()["log"] == []


def test_a_second_reader_on_the_same_state_ends_at_once(access, tmp_path):
    with access.running(), reader(access, tmp_path / "state"):
        environ = environment(access, tmp_path / "state", free_port())
        second = subprocess.run(
            [sys.executable, "-m", "regiohub_access.reader"],
            env=environ,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert second.returncode == 1
    assert second.stderr.strip().endswith("reader: the state folder cannot be opened (is another reader running?)")


def test_business_time_can_be_shifted_in_dev(access, tmp_path):
    late = (REAL + timedelta(hours=2)).isoformat()
    with access.running(), reader(access, tmp_path / "state", REGIOHUB_NOW=late) as local:
        local.until(lambda status: status["pins_stored"])
        assert local.present(door=12, presentation=shown(1)) == "expired"
        assert local.present(door=12, pin="482913") == "pin_unknown"
        local.until(lambda status: status["events_pending"] == 0)
        shown_log = local.status()["log"]
    assert [(entry["reason"], entry["pin_id"]) for entry in shown_log] == [("pin_unknown", None), ("expired", None)]
    assert [(event.reason, event.pin_id) for event in access.events.values()] == [
        ("expired", None),
        ("expired", "pin-1"),
    ]
    assert '"reason": "expired", "pass_id": null, "pin_id": "pin-1"' in (tmp_path / "reader.log").read_text()


GOOD = {
    "READER_HUB": "bendorf",
    "READER_CLIENT_ID": "reader-bendorf",
    "READER_CLIENT_SECRET": SECRET,
    "READER_TOKEN_URL": "https://login.example.org/token",
    "READER_SYNC_URL": "https://hub.example.org/api/access/v1/readers/reader-bendorf/sync",
    "READER_STATE_DIR": "state",
    "READER_PORT": "8123",
    "READER_ISSUER": "rh",
}


def test_settings_are_read_and_hide_the_secret():
    settings = Settings.from_env(GOOD)
    assert (settings.port, settings.state_dir, settings.wait_s) == (8123, Path("state"), 10)
    assert SECRET not in repr(settings)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_each_setting_is_needed(name):
    with pytest.raises(SettingsError, match=f"{name} is missing"):
        Settings.from_env({**GOOD, name: " "})


@pytest.mark.parametrize(
    "change",
    [
        {"READER_PORT": "http"},
        {"READER_PORT": "70000"},
        {"READER_WAIT_S": "-1"},
        {"READER_SYNC_URL": "file:///etc/passwd"},
        {"READER_SYNC_URL": "http://hub.example.org/sync", "REGIOHUB_ENVIRONMENT": "prod"},
    ],
)
def test_settings_that_cannot_be_used_are_refused(change):
    with pytest.raises(SettingsError):
        Settings.from_env({**GOOD, **change})


def test_the_clock_shifts_ticks_and_is_refused_outside_dev():
    moment = make_clock({"REGIOHUB_NOW": "2030-01-01T12:00:00+01:00"})()
    assert abs(moment.now - v.NOW.replace(year=2030, month=1, day=1, hour=11, minute=0)) < timedelta(seconds=5)
    assert abs(moment.real - CLOCK().real) < timedelta(seconds=5)
    assert moment.now.tzinfo is UTC
    for environ in (
        {"REGIOHUB_NOW": "2030-01-01T12:00:00"},
        {"REGIOHUB_NOW": "2030-01-01T12:00:00Z", "REGIOHUB_ENVIRONMENT": "prod"},
    ):
        with pytest.raises(ValueError, match="REGIOHUB_NOW"):
            make_clock(environ)
