"""Background processes: found again, never confused, always ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from regiohub_local import processes

SLEEP = [sys.executable, "-c", "import time; time.sleep(300)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(300)",
]
PARENT = [
    sys.executable,
    "-c",
    "import subprocess, sys, time; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']).pid, flush=True); time.sleep(300)",
]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    processes.end_all(tmp_path)


def wait_for_log(state: Path, name: str) -> str:
    for _ in range(200):
        if text := processes.log_path(state, name).read_text():
            return text
        time.sleep(0.05)
    raise AssertionError(f"{name} said nothing")


def test_what_a_program_writes_is_for_its_user_only(state):
    written = state / "folder" / "file"
    code = f"import pathlib; p = pathlib.Path({str(written)!r}); p.parent.mkdir(); p.write_text('x'); print('done')"
    processes.spawn(state, "writer", [sys.executable, "-c", code], {})
    wait_for_log(state, "writer")
    assert written.stat().st_mode & 0o777 == 0o600
    assert written.parent.stat().st_mode & 0o777 == 0o700


def test_a_lock_can_be_seen_from_outside(state):
    assert not processes.is_locked(state, "some.lock")
    with processes.locked(state, "some.lock"):
        assert processes.is_locked(state, "some.lock")
    assert not processes.is_locked(state, "some.lock")


def test_spawned_is_recorded_in_its_own_group_and_ended(state):
    process = processes.spawn(state, "one", SLEEP, {})
    assert processes.find(state, "one") == process
    assert os.getpgid(process.pid) == process.pid
    assert (state / "pids.json").stat().st_mode & 0o077 == 0
    processes.end(state, "one")
    assert not processes.is_alive(process)
    assert processes.recorded(state) == {}


def test_children_of_a_dead_leader_are_ended(state):
    leader = processes.spawn(state, "parent", PARENT, {})
    child = int(wait_for_log(state, "parent"))
    os.kill(leader.pid, signal.SIGKILL)
    processes.reap()
    processes.end_all(state)
    assert processes.start_ticks(child) is None


def test_a_reused_pid_is_not_ours(state):
    process = processes.spawn(state, "one", SLEEP, {})
    rows = json.loads((state / "pids.json").read_text())
    rows["one"]["pid"] = os.getpid()
    (state / "pids.json").write_text(json.dumps(rows))
    assert processes.find(state, "one") is None
    processes.end(state, "one")  # must not hit this test
    assert processes.is_alive(process)


def test_what_no_record_names_is_found_by_its_mark(state):
    process = processes.spawn(state, "one", SLEEP, {})
    (state / "pids.json").unlink()
    assert process.pid in processes.marked(state)
    processes.end_all(state)
    assert not processes.is_alive(process)


def test_strays_end_and_recorded_stay(state):
    stray = processes.spawn(state, "stray", SLEEP, {})
    rows = json.loads((state / "pids.json").read_text())
    del rows["stray"]
    (state / "pids.json").write_text(json.dumps(rows))
    kept = processes.spawn(state, "kept", SLEEP, {})
    processes.end_strays(state)
    assert not processes.is_alive(stray)
    assert processes.is_alive(kept)


def test_who_ignores_sigterm_is_killed(state, monkeypatch):
    monkeypatch.setattr(processes, "TERM_SECONDS", 0.3)
    process = processes.spawn(state, "stubborn", STUBBORN, {})
    wait_for_log(state, "stubborn")
    processes.end(state, "stubborn")
    assert not processes.is_alive(process)


def test_the_dead_come_back_and_the_ended_do_not(state):
    first = processes.spawn(state, "one", SLEEP, {"SOME": "thing"})
    os.kill(first.pid, signal.SIGKILL)
    time.sleep(0.2)
    assert processes.restart_dead(state, {"one": False}) == []
    assert processes.restart_dead(state, {}) == ["one"]
    second = processes.find(state, "one")
    assert second is not None
    assert second.pid != first.pid
    assert second.env == {"SOME": "thing"}
    processes.end(state, "one")
    assert processes.restart_dead(state, {}) == []


def test_the_killed_stay_in_the_record_and_come_back_alone(state):
    one, other = (processes.spawn(state, name, SLEEP, {}) for name in ("one", "other"))

    assert processes.kill(state, "one")
    time.sleep(0.2)

    assert not processes.is_alive(one)
    assert not processes.kill(state, "one")
    assert processes.restart_dead(state, {"one": True, "other": False}) == ["one"]
    assert processes.find(state, "other") == other


def test_shifted_time_goes_on_over_a_restart(state):
    show = [sys.executable, "-c", "import os, time; print(os.environ['REGIOHUB_NOW'], flush=True); time.sleep(0.2)"]
    processes.spawn(state, "clock", show, {"REGIOHUB_NOW": "2026-11-25T09:00:00+01:00"})
    time.sleep(1.1)
    assert processes.restart_dead(state, {}) == ["clock"]
    time.sleep(0.5)
    first, second = processes.log_path(state, "clock").read_text().split()
    assert first == "2026-11-25T09:00:00+01:00"
    assert second > "2026-11-25T09:00:01"


def test_a_child_gets_no_foreign_settings(state, monkeypatch):
    monkeypatch.setenv("SOMEBODYS_TOKEN", "secret")
    processes.spawn(state, "env", [sys.executable, "-c", "import os; print(sorted(os.environ))"], {"OURS": "1"})
    text = wait_for_log(state, "env")
    assert "SOMEBODYS_TOKEN" not in text
    assert "OURS" in text


def test_nothing_to_end_is_fine(tmp_path):
    processes.end_all(tmp_path)
    processes.end(tmp_path / "missing", "one")
    assert (
        subprocess.run(
            [sys.executable, "-m", "regiohub_local", "stop", "--state", str(tmp_path / "no")], check=False
        ).returncode
        == 0
    )


def test_a_child_is_told_the_database_drivers_tls(monkeypatch):
    tls = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/somewhere/root.crt"}
    for name, value in (tls | {"PGPASSWORD": "not-for-children"}).items():
        monkeypatch.setenv(name, value)
    assert {name: value for name, value in processes.base_env().items() if name.startswith("PG")} == tls
