"""Background processes of one state folder: spawned in groups of their own, recorded, found again, ended.

`pids.json` (mode 600) records group, start time and how to start again, so that a reused pid is never taken
for ours. Each child also carries the state folder in its environment: what was spawned by a supervisor that
died before it could write the record, and whatever children made of themselves, is found by that mark.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from regiohub_shared.clock import real_now

MARK = "REGIOHUB_STATE"
TERM_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Process:
    """A group leader. `started` is its start in clock ticks since boot, as /proc tells it."""

    pid: int
    started: str
    at: str
    command: list[str]
    env: dict[str, str]
    cwd: str


def start_ticks(pid: int) -> str | None:
    """Start time of a live process; None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def is_alive(process: Process) -> bool:
    """Whether exactly this process still runs."""
    return start_ticks(process.pid) == process.started


@contextmanager
def locked(state_dir: Path, name: str) -> Iterator[None]:
    """One holder at a time per state folder and name; waits."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state_dir / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_locked(state_dir: Path, name: str) -> bool:
    """Whether somebody holds that lock now."""
    try:
        with (state_dir / name).open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def recorded(state_dir: Path) -> dict[str, Process]:
    """What `pids.json` names, alive or not."""
    try:
        rows = json.loads((state_dir / "pids.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return {name: Process(**row) for name, row in rows.items()}


def _write(state_dir: Path, rows: Mapping[str, Process]) -> None:
    """Replace the file at once; call it under the lock."""
    partial = state_dir / "pids.json.new"
    partial.touch(mode=0o600)
    partial.write_text(json.dumps({name: asdict(row) for name, row in rows.items()}, indent=1))
    partial.replace(state_dir / "pids.json")


def log_path(state_dir: Path, name: str) -> Path:
    """Where the output of a background process goes."""
    folder = state_dir / "log"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.log"


def base_env() -> dict[str, str]:
    """The part of our environment a child may have: no tokens, no foreign settings."""
    kept = (
        "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
        "PGSSLMODE", "PGSSLROOTCERT",
    )  # fmt: skip
    return {key: os.environ[key] for key in kept if key in os.environ}


def spawn(
    state_dir: Path, name: str, command: Sequence[str], env: Mapping[str, str], *, cwd: Path | None = None
) -> Process:
    """Start a background process as leader of its own group and record it; output goes to its log."""
    state_dir = state_dir.resolve()
    with locked(state_dir, "pids.lock"):
        process = _popen(state_dir, name, list(command), dict(env), str(cwd or state_dir))
        _write(state_dir, recorded(state_dir) | {name: process})
    return process


def _popen(state_dir: Path, name: str, command: list[str], env: dict[str, str], cwd: str) -> Process:
    full_env = {**base_env(), **env, MARK: str(state_dir), "PYTHONUNBUFFERED": "1"}
    with log_path(state_dir, name).open("ab") as log:
        child = subprocess.Popen(
            command, env=full_env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            umask=0o077,
        )  # fmt: skip
    _children.append(child)
    return Process(child.pid, start_ticks(child.pid) or "gone", real_now().isoformat(), command, env, cwd)


_children: list[subprocess.Popen[bytes]] = []


def reap() -> None:
    """Collect our own ended children, so that none stays behind as a zombie."""
    _children[:] = [child for child in _children if child.poll() is None]


def restart_dead(state_dir: Path, may: Mapping[str, bool]) -> list[str]:
    """Start again what is recorded but dead, unless `may` says no; answers the names.

    Under the lock: what `end` has taken out of the record is never brought back.
    """
    reap()
    state_dir = state_dir.resolve()
    with locked(state_dir, "pids.lock"):
        rows = recorded(state_dir)
        dead = [name for name, row in rows.items() if not is_alive(row) and may.get(name, True)]
        for name in dead:
            old = rows[name]
            new = _popen(state_dir, name, old.command, _moved_on(old), old.cwd)
            # `at` stays, so that shifted time goes on from where the first start put it.
            rows[name] = replace(new, at=old.at, env=old.env)
        if dead:
            _write(state_dir, rows)
    return dead


def _moved_on(old: Process) -> dict[str, str]:
    """The environment with shifted business time moved on: it ticks through restarts too."""
    if not old.env.get("REGIOHUB_NOW"):
        return old.env
    shifted = datetime.fromisoformat(old.env["REGIOHUB_NOW"]) + (real_now() - datetime.fromisoformat(old.at))
    return old.env | {"REGIOHUB_NOW": shifted.isoformat()}


def find(state_dir: Path, name: str) -> Process | None:
    """The recorded process if it is alive."""
    process = recorded(state_dir).get(name)
    return process if process and is_alive(process) else None


def kill(state_dir: Path, name: str) -> bool:
    """SIGKILL the named process with its whole group, as a crash would; it stays in the record, to be started again."""
    return _send(state_dir, name, signal.SIGKILL)


def _send(state_dir: Path, name: str, number: signal.Signals) -> bool:
    process = find(state_dir, name)
    if process is not None:
        _signal(process, number)
    return process is not None


def stop(state_dir: Path, name: str) -> bool:
    """SIGSTOP the named process with its whole group, as a machine does that is suspended; `go_on` lets it go on."""
    return _send(state_dir, name, signal.SIGSTOP)


def go_on(state_dir: Path, name: str) -> bool:
    """SIGCONT what `stop` stopped."""
    return _send(state_dir, name, signal.SIGCONT)


def end(state_dir: Path, *names: str) -> None:
    """End the named processes with their whole groups and forget them; harmless when they are gone."""
    if not names or not state_dir.exists():
        return
    with locked(state_dir, "pids.lock"):  # forgotten first, so that the supervisor does not bring them back
        rows = recorded(state_dir)
        _write(state_dir, {name: row for name, row in rows.items() if name not in names})
    _end_groups([rows[name] for name in names if name in rows], state_dir)


def end_all(state_dir: Path) -> None:
    """End every recorded process, then whatever still carries the mark of this state folder."""
    end(state_dir, *recorded(state_dir))
    _end_groups([Process(pid, start_ticks(pid) or "", "", [], {}, "") for pid in marked(state_dir)], state_dir)


def end_strays(state_dir: Path) -> None:
    """End what carries our mark but is in no record: the rest of a start that was killed."""
    known = {row.pid for row in recorded(state_dir).values()}
    strays = [pid for pid, group in marked(state_dir).items() if group not in known]
    _end_groups([Process(pid, start_ticks(pid) or "", "", [], {}, "") for pid in strays], state_dir)


def marked(state_dir: Path) -> dict[int, int]:
    """Live processes, other than ourselves, whose environment names this state folder, with their groups."""
    mark = f"{MARK}={state_dir.resolve()}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and start_ticks(int(entry.name)):
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = os.getpgid(int(entry.name))
    return found


def _living(processes: Sequence[Process], state_dir: Path) -> list[Process]:
    """Those that run, or whose group still has a marked member after its leader is gone."""
    groups = set(marked(state_dir).values())
    return [p for p in processes if is_alive(p) or p.pid in groups]


def _end_groups(processes: Sequence[Process], state_dir: Path) -> None:
    """SIGTERM to all, then SIGKILL to what is left after TERM_SECONDS."""
    for sig, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + seconds
        left = _living(processes, state_dir)
        for process in left:
            _signal(process, sig)
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            reap()
            left = _living(left, state_dir)


def _signal(process: Process, sig: signal.Signals) -> None:
    """To the group that the process leads (or led); to it alone when it lives in someone else's group."""
    with suppress(ProcessLookupError, PermissionError):
        if is_alive(process) and os.getpgid(process.pid) != process.pid:
            os.kill(process.pid, sig)
        else:
            os.killpg(process.pid, sig)
