"""The built server: found in the cache, else fetched, checked and built once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from regiohub_local.keycloak.java import java_env
from regiohub_local.keycloak.names import KeycloakError, Say, say_now

VERSION = "26.7.4"
SHA256 = "04823c336b797a7e18889a44262a7a64e6bf624cbbcc518c85e2622176ff2eee"
RELEASE_PAGE = f"https://github.com/keycloak/keycloak/releases/download/{VERSION}/keycloak-{VERSION}.tar.gz"
BUILD_OPTIONS = ("--db=dev-file", "--health-enabled=true")


def cache_dir() -> Path:
    """Where the built distribution is kept: REGIOHUB_CACHE, else ~/.cache/regiohub."""
    return Path(os.environ.get("REGIOHUB_CACHE") or Path.home() / ".cache" / "regiohub").absolute()


def built_distribution(say: Say = say_now) -> Path:
    """The built server, fetched and built when the cache lacks it (once, also with several callers)."""
    key = hashlib.sha256("\n".join([SHA256, *BUILD_OPTIONS]).encode()).hexdigest()[:12]
    target = cache_dir() / f"keycloak-{VERSION}-{key}"
    if target.exists():
        return target
    try:
        cache_dir().mkdir(parents=True, exist_ok=True)
        with (cache_dir() / "keycloak.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                _make(target, say)
    except OSError as error:
        raise KeycloakError(f"Keycloak: cannot use {cache_dir()} ({error}); set REGIOHUB_CACHE") from error
    return target


def _make(target: Path, say: Say) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="keycloak-new-") as work:
        archive = _archive(Path(work), say)
        say("Keycloak: unpacking")
        with tarfile.open(archive) as tar:
            # Python 3.11 learnt the filter in 3.11.4; Debian 12 has 3.11.2. The archive's sha256 was checked above.
            tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
            tar.extractall(work)  # noqa: S202 - see above
        home = Path(work) / f"keycloak-{VERSION}"
        say("Keycloak: building the server, once (about half a minute)")
        _build(home)
        home.rename(target)


def _build(home: Path) -> None:
    done = subprocess.run(
        [str(home / "bin/kc.sh"), "build", *BUILD_OPTIONS],
        env=java_env({}, home.parent / "scratch"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise KeycloakError(f"Keycloak: its build failed: {_last(done.stdout + done.stderr)}")


def _last(text: str, lines: int = 3) -> str:
    return " | ".join(line.strip() for line in text.strip().splitlines()[-lines:])


def _archive(work: Path, say: Say) -> Path:
    """The checked distribution: KEYCLOAK_DIST, Maven Central, the project's release page."""
    if given := os.environ.get("KEYCLOAK_DIST"):
        return _checked(Path(given), "KEYCLOAK_DIST")
    problems = []
    for name, fetch in (("Maven Central", _from_central), ("the release page", _from_release_page)):
        say(f"Keycloak: fetching version {VERSION} from {name} (about 176 MB, once)")
        try:
            return _checked(fetch(work, say), name)
        except KeycloakError as error:
            problems.append(str(error))
        except Exception as error:  # noqa: BLE001 - whatever fails, the work goes on and is tried again
            problems.append(f"{name}: {_last(str(error), 1)[:160] or type(error).__name__}")
    raise KeycloakError(
        f"Keycloak {VERSION} cannot be had ({'; '.join(problems)}): set KEYCLOAK_DIST to its tar.gz, "
        f"or REGIOHUB_CACHE to a folder that holds it built, or repeat with a network"
    )


def _checked(archive: Path, source: str) -> Path:
    try:
        with archive.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise KeycloakError(f"{source}: {archive} cannot be read ({error.strerror})") from error
    if digest != SHA256:
        raise KeycloakError(f"{source}: {archive.name} is not Keycloak {VERSION} (its sha256 differs)")
    return archive


def _from_central(work: Path, say: Say) -> Path:
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415 - heavy or optional, loaded when needed

    @contextmanager
    def progress(_name: str, total: int) -> Iterator[Callable[[int], None]]:
        yield _meter(total, say)

    context = MavenContext(resolver=PythonResolver(progress_callback=progress), repo_cache=work / "central", timeout=60)
    project = context.project("org.keycloak", "keycloak-quarkus-dist")
    return Path(project.at_version(VERSION).artifact(packaging="tar.gz").resolve())


def _from_release_page(work: Path, say: Say) -> Path:
    target = work / "release.tar.gz"
    with urllib.request.urlopen(RELEASE_PAGE, timeout=60) as answer, target.open("wb") as file:
        update = _meter(int(answer.headers.get("Content-Length") or 0), say)
        while chunk := answer.read(1 << 16):
            file.write(chunk)
            update(len(chunk))
    return target


def _meter(total: int, say: Say) -> Callable[[int], None]:
    """A line for every tenth of the way."""
    state = {"done": 0, "said": 0}

    def update(count: int) -> None:
        state["done"] += count
        tenth = state["done"] * 10 // total if total else 0
        if tenth > state["said"]:
            state["said"] = tenth
            say(f"Keycloak: {tenth * 10} % of {total // 1_000_000} MB")

    return update
