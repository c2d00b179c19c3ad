"""`make elsewhere`: `make run` as a user without any right, and once more where there is no network but loopback.

Root is needed to make that user and the empty network; the house gets neither. It is a clone of the last commit.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from pwd import struct_passwd

from regiohub_local import secret_file
from regiohub_local.plan import ROOT

NAME = "regiohub-elsewhere"
KEPT = ("PIP_", "SSL_", "REQUESTS_", "CURL_", "NODE_EXTRA_")
"""What tells pip and npm where packages are and whom to trust; nothing else of our environment goes along."""
JAVA_LEAVES = Path("/tmp", f"hsperfdata_{NAME}")  # noqa: S108 - wherever Java is told to put its files
LOGS = ROOT / ".run" / "elsewhere-log"


class NotThere(RuntimeError):
    """The house did not run there, or left something behind."""


def main(arguments: list[str]) -> int:
    """Play it all; `alone` is what we call ourselves with inside the empty network."""
    if os.geteuid() != 0:
        print("Error: a throw-away user and an empty network need root", file=sys.stderr)
        return 1
    try:
        if arguments == ["alone"]:
            _alone(pwd.getpwnam(NAME))
        else:
            _elsewhere()
    except NotThere as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def _elsewhere() -> None:
    user = _made_user()
    try:
        _settle(user)
        print(f"== As {NAME}, uid {user.pw_uid}", flush=True)
        _house_runs(user)
        print(f"== As {NAME}, with nothing but loopback", flush=True)
        _call("unshare", "--net", sys.executable, "-m", "regiohub_local.elsewhere", "alone")
    except BaseException:
        _keep_logs(user)
        raise
    finally:
        _remove(user)
    print("== It ran both times, and nothing is left of it.")


def _alone(user: struct_passwd) -> None:
    _call("ip", "link", "set", "lo", "up")
    if (there := [name for _, name in socket.if_nameindex()]) != ["lo"]:
        raise NotThere(f"the network is not empty: {', '.join(there)}")
    _house_runs(user)


def _made_user() -> struct_passwd:
    with suppress(KeyError):  # of a run that was killed
        _remove(pwd.getpwnam(NAME))
    _call("useradd", "--system", "--create-home", "--shell", "/bin/bash", NAME)
    return pwd.getpwnam(NAME)


def _settle(user: struct_passwd) -> None:
    """Clone (by copying: hard links would give the user our own objects), and take npm's settings along."""
    _call("git", "clone", "--quiet", "--no-local", "--depth=1", str(ROOT), str(_clone(user)))
    if (settings := Path.home() / ".npmrc").exists():
        secret_file.write(Path(user.pw_dir, ".npmrc"), settings.read_text())
    _call("chown", "--recursive", f"{user.pw_uid}:{user.pw_gid}", user.pw_dir)


def _clone(user: struct_passwd) -> Path:
    return Path(user.pw_dir, "regiohub")


def _house_runs(user: struct_passwd) -> None:
    """A receipt that an earlier run has kept would prove nothing: each run books anew."""
    (_clone(user) / ".run" / "receipt.txt").unlink(missing_ok=True)
    if "TEST-R-" not in _make(user, "run"):
        raise NotThere("no receipt with an invoice was printed")
    _make(user, "stop")
    if left := _left(user):
        raise NotThere(f"still running after `make stop`: {'; '.join(left.values())}")


def _make(user: struct_passwd, target: str) -> str:
    """Show and return what it says."""
    said = []
    with subprocess.Popen(
        ["make", target], cwd=_clone(user), env=_env(user), user=user.pw_uid, group=user.pw_gid, extra_groups=[],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as made:  # fmt: skip
        for line in made.stdout or ():
            print(line, end="", flush=True)
            said.append(line)
    if made.returncode != 0:
        raise NotThere(f"`make {target}` ended with {made.returncode}")
    return "".join(said)


def _env(user: struct_passwd) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    return kept | {"HOME": user.pw_dir, "USER": NAME, "LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}


def _left(user: struct_passwd) -> dict[int, str]:
    """The command lines of the user's processes; the dead that nobody has reaped have none."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if entry.stat().st_uid == user.pw_uid:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(entry.name)] = words.decode(errors="replace").strip()
        except OSError:  # it has ended meanwhile
            continue
    return {pid: line for pid, line in found.items() if line}


def _keep_logs(user: struct_passwd) -> None:
    if (logs := _clone(user) / ".run" / "log").exists():
        shutil.copytree(logs, LOGS, dirs_exist_ok=True, symlinks=True)  # root must not follow what the user laid there
        print(f"The house's logs: {LOGS}", file=sys.stderr)


def _remove(user: struct_passwd) -> None:
    """Also from the middle of a run."""
    try:
        if (_clone(user) / ".venv").exists():
            _make(user, "stop")
    finally:
        for pid in _left(user):  # a user with programs cannot be removed
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _call("userdel", "--remove", NAME)
        shutil.rmtree(JAVA_LEAVES, ignore_errors=True)


def _call(*command: str) -> None:
    """Its own words, on standard error, say why."""
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError as error:
        raise NotThere(f"{command[0]} is missing (Debian: git, iproute2, passwd, util-linux)") from error
    except subprocess.CalledProcessError as error:
        raise NotThere(f"`{' '.join(command[:2])}` ended with {error.returncode}") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
