"""Starting, finding and stopping a server."""

from __future__ import annotations

import contextlib
import os
import secrets as random_secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from regiohub_local.postgres.home import (
    SHARED_HOME,
    Home,
    PostgresError,
    binaries,
    home_of,
    link_home,
    major_version,
    make_home,
    programs,
    run,
)

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    # A killed client's waiting backend ends within a second instead of holding its place in the queue.
    "client_connection_check_interval": "1s",
}
# Tests only: a crash of the machine may lose everything, a crash of a process loses nothing.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "5min",
}
FAST_SINCE_16 = {"scram_iterations": "64"}


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `admin_url` may create roles and databases."""

    admin_url: str
    embedded: bool = True


def start(state_dir: Path, port: int, *, fast: bool = False) -> Server:
    """Start (or find running) the server of `state_dir`; ADMIN_DATABASE_URL set: that server is used."""
    if url := os.environ.get("ADMIN_DATABASE_URL"):
        return Server(url, embedded=False)
    home = home_of(state_dir)
    make_home(home)
    if not home.data.exists():
        _initdb(home)
    if not _is_running(home):
        _clear_stale_pid(home)
        _launch(home, port, fast=fast)
    link_home(state_dir, home)
    return Server(_admin_url(home, _running_port(home)))


def stop(state_dir: Path, *, remove: bool = False) -> None:
    """Stop the server of `state_dir` if it runs; `remove` deletes its data too. Harmless to repeat."""
    home = home_of(state_dir)
    for mode in ("fast", "immediate"):
        if _is_running(home):
            run(home, "pg_ctl", "stop", "-D", str(home.data), "-w", "-t", "20", "-m", mode, check=False)
    if _is_running(home):
        raise PostgresError(f"PostgreSQL did not stop; its log: {home.log}")
    if remove:
        shutil.rmtree(home.root, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            (state_dir / "postgres").unlink()


def crash(state_dir: Path) -> bool:
    """End the server of `state_dir` without any farewell: every backend dies where it stands, the log is replayed later."""
    home = home_of(state_dir)
    if not _is_running(home):
        return False
    run(home, "pg_ctl", "stop", "-D", str(home.data), "-w", "-t", "20", "-s", "-m", "immediate", check=False)
    return not _is_running(home)


def is_running(state_dir: Path) -> bool:
    """Whether the embedded server of `state_dir` runs."""
    return _is_running(home_of(state_dir))


def pids(state_dir: Path) -> list[int]:
    """The processes of the embedded server of `state_dir`."""
    return _processes(home_of(state_dir))


def binary(name: str) -> Path:
    """Path of a PostgreSQL program (psql, pg_dump, pgbench…) that the current user may execute."""
    return binaries(SHARED_HOME if os.geteuid() == 0 else None) / "bin" / name


def _initdb(home: Home) -> None:
    """Beside its place, then renamed: an initdb that was killed is not taken for a server."""
    partial = home.root / "data.new"
    shutil.rmtree(partial, ignore_errors=True)
    home.password_file.write_text(random_secrets.token_urlsafe(24))
    home.password_file.chmod(0o600)
    if home.user is not None:
        os.chown(home.password_file, home.user.pw_uid, home.user.pw_gid)
    run(
        home,
        "initdb",
        "-D",
        str(partial),
        "-U",
        "postgres",
        "--auth=scram-sha-256",
        f"--pwfile={home.password_file}",
        "--encoding=UTF8",
        *_locale(major_version(programs(home))),
        "--no-sync",
        "--no-instructions",
    )
    partial.rename(home.data)


def _locale(version: int) -> list[str]:
    """Order and case by code point, the same on every machine; before 17 only the C library offers that."""
    if version >= 17:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return ["--locale=C.UTF-8"]


def _fast(version: int) -> dict[str, str]:
    return FAST | (FAST_SINCE_16 if version >= 16 else {})


def _launch(home: Home, port: int, *, fast: bool) -> None:
    settings = SETTINGS | (_fast(major_version(programs(home))) if fast else {}) | {"port": str(port)}
    conf = home.data / "regiohub.conf"
    conf.write_text("".join(f"{key} = '{value}'\n" for key, value in settings.items()))
    conf.chmod(0o644)
    main = home.data / "postgresql.conf"
    if "regiohub.conf" not in main.read_text():
        with main.open("a") as file:
            file.write("include 'regiohub.conf'\n")
    run(home, "pg_ctl", "start", "-D", str(home.data), "-l", str(home.log), "-w", "-t", "60", "-s")


def _pid_lines(home: Home) -> list[str]:
    try:
        return (home.data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _is_running(home: Home) -> bool:
    lines = _pid_lines(home)
    return bool(lines) and _is_postgres(int(lines[0]), home)


def _is_postgres(pid: int, home: Home) -> bool:
    """True for a live postgres of this data folder; false for a zombie or another program on a reused pid."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and Path(f"/proc/{pid}/cwd").resolve() == home.data.resolve()
    except (FileNotFoundError, ProcessLookupError, PermissionError, IndexError):
        return False


def _clear_stale_pid(home: Home) -> None:
    """After a kill -9: wait until no orphaned backend is left, then drop the file that blocks a start."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _processes(home):
        time.sleep(0.05)
    with contextlib.suppress(FileNotFoundError):
        (home.data / "postmaster.pid").unlink()


def _processes(home: Home) -> list[int]:
    return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _is_postgres(int(p.name), home)]


def _running_port(home: Home) -> int:
    return int(_pid_lines(home)[3])


def _admin_url(home: Home, port: int) -> str:
    """Without TLS, which this server does not speak, whatever PGSSLMODE says of another."""
    password = quote(home.password_file.read_text(), safe="")
    return f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres?sslmode=disable"
