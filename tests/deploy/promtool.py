"""promtool, which tests alert rules: from PATH, or unpacked from Debian's package `prometheus`.

Unpacked, not installed: the package would start a Prometheus on whatever machine this is.
"""

import os
import shutil
import subprocess
from pathlib import Path

from tests.deploy.manifests import ROOT

HOME = ROOT / ".cache" / "promtool"


class NoPromtool(RuntimeError):
    """There is no promtool, and it cannot be had; the message names the ways out."""


def find() -> str:
    """Path of promtool. Raises `NoPromtool`."""
    unpacked = HOME / "usr" / "bin" / "promtool"
    if not shutil.which("promtool") and not unpacked.exists():
        _unpack()
    return shutil.which("promtool") or str(unpacked)


def _unpack() -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise NoPromtool("no promtool: install Debian's package `prometheus`, or put promtool into PATH")
    HOME.mkdir(parents=True, exist_ok=True)
    print("promtool: fetching Debian's package prometheus by apt-get …", flush=True)
    if _apt("download", "prometheus") and os.geteuid() == 0:
        _apt("update")  # a machine without package lists; only root may fetch them
    if not list(HOME.glob("*.deb")) and (complaint := _apt("download", "prometheus")):
        raise NoPromtool(f"no promtool: apt-get download prometheus failed ({complaint}): put promtool into PATH")
    package = next(HOME.glob("prometheus_*.deb"))
    subprocess.run(["dpkg-deb", "--extract", package, HOME], check=True)
    package.unlink()


def _apt(*words: str) -> str:
    """Return apt-get's last words if it failed, else nothing."""
    done = subprocess.run(["apt-get", "--quiet", *words], cwd=HOME, capture_output=True, text=True, check=False)
    if not done.returncode:
        return ""
    return " ".join((done.stderr or done.stdout).strip().splitlines()[-1:])[:200] or f"exit {done.returncode}"


def run(*words: str | Path) -> str:
    """Return what promtool says, and whether it failed stands in its text."""
    done = subprocess.run([find(), *words], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""
