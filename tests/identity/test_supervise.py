"""Start, watch, stop: nothing stays behind, however it ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from regiohub_local import plan, ports, postgres, processes, supervise
from regiohub_local.plan import House, Program
from regiohub_local.supervise import StartError
from tests.identity.conftest import Identity

# A small house (gateway's database, mail sink, sandbox) at the layer's Keycloak, in a process of its own.
DRIVER = """
import sys
from pathlib import Path
from regiohub_local import plan, supervise
plan.DATABASES = ("gateway",)
extra = [plan.Program("never-ready", [sys.executable, "-c", "import time; time.sleep(300)"], {}, 1)] if sys.argv[2:] else []
plan.programs = lambda house, urls: [plan._mail(house), plan._sandbox(house), *extra]
supervise.start(Path(sys.argv[1]), prefer={})
"""


@pytest.fixture
def state(tmp_path: Path, keycloak: Identity, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("REGIOHUB_KEYCLOAK_URL", keycloak.keycloak.origin)
    monkeypatch.setattr(plan, "DATABASES", ("gateway",))
    yield tmp_path / "run"
    supervise.stop(tmp_path / "run")
    postgres.stop(tmp_path / "run", remove=True)


def start_in_another_process(state: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", DRIVER, str(state), *more])


def small(monkeypatch: pytest.MonkeyPatch, *extra: Program) -> None:
    def programs(house: House, _urls: dict[str, str]) -> list[Program]:
        return [plan._mail(house), plan._sandbox(house), *extra]

    monkeypatch.setattr(plan, "programs", programs)


def assert_nothing_is_left(state: Path) -> None:
    assert processes.marked(state) == {}
    assert not postgres.is_running(state)
    kept = json.loads((state / "ports.json").read_text())
    assert [name for name, port in kept.items() if not ports.is_free(port)] == []
    assert list(state.rglob("*.sock")) == []


def wait_until(is_true, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_house_outlives_its_starter_and_a_second_start_changes_nothing(state, monkeypatch):
    assert start_in_another_process(state).wait(120) == 0
    first = processes.recorded(state)
    assert set(first) == {"mail", "stripe", "supervisor"}
    small(monkeypatch)
    supervise.start(state, prefer={})
    assert processes.recorded(state) == first
    assert supervise.stop(state) is True
    assert_nothing_is_left(state)
    assert supervise.stop(state) is False


def test_what_dies_comes_back(state, monkeypatch):
    small(monkeypatch)
    house = supervise.start(state, prefer={})
    dead = processes.recorded(state)["mail"]
    os.kill(dead.pid, signal.SIGKILL)
    wait_until(lambda: processes.find(state, "mail") not in (None, dead))
    supervise.wait_ready(house, [plan._mail(house)])
    postmaster = int((state / "postgres/data/postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, signal.SIGKILL)
    wait_until(lambda: postgres.is_running(state) and _postmaster(state) != postmaster)


def _postmaster(state: Path) -> int:
    try:
        return int((state / "postgres/data/postmaster.pid").read_text().splitlines()[0])
    except (FileNotFoundError, IndexError):
        return 0


def test_stop_leaves_nothing_after_the_supervisor_was_killed(state, monkeypatch):
    small(monkeypatch)
    supervise.start(state, prefer={})
    os.kill(processes.recorded(state)["supervisor"].pid, signal.SIGKILL)
    processes.reap()
    supervise.stop(state)
    assert_nothing_is_left(state)


def test_a_failed_start_leaves_nothing_and_names_the_program(state, monkeypatch):
    broken = Program("broken", [sys.executable, "-c", "raise SystemExit('no such luck')"], {}, 1)
    small(monkeypatch, broken)
    with pytest.raises(StartError, match=r"broken ended while starting: no such luck \(log: .*broken.log\)"):
        supervise.start(state, prefer={})
    assert_nothing_is_left(state)


def test_stop_leaves_nothing_after_the_starter_was_killed(state):
    starter = start_in_another_process(state, "never ready")
    wait_until(lambda: processes.find(state, "never-ready") is not None, 60)
    starter.kill()
    starter.wait()
    assert processes.find(state, "mail") is not None
    supervise.stop(state)
    assert_nothing_is_left(state)


def test_a_start_ends_the_rest_of_a_killed_one(state, monkeypatch):
    starter = start_in_another_process(state, "never ready")
    wait_until(lambda: processes.find(state, "never-ready") is not None, 60)
    starter.kill()
    starter.wait()
    (state / "pids.json").unlink()  # as if it had died before it could write
    small(monkeypatch)
    supervise.start(state, prefer={})
    assert len(processes.marked(state)) == 3
    supervise.stop(state)
    assert_nothing_is_left(state)


def test_a_kept_port_that_was_taken_moves_the_program(state, monkeypatch):
    small(monkeypatch)
    before = supervise.start(state, prefer={})
    supervise.stop(state)
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", before.ports["mail"]))
        stranger.listen()
        after = supervise.start(state, prefer={})
    assert after.ports["mail"] != before.ports["mail"]
    assert after.ports["smtp"] == before.ports["smtp"]
    assert after.secrets == before.secrets
