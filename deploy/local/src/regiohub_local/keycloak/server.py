"""Starting and stopping a server on loopback; a state folder holds only its own database and the realm it imported."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from regiohub_local import processes
from regiohub_local.keycloak.distribution import built_distribution
from regiohub_local.keycloak.java import java_env
from regiohub_local.keycloak.names import ADMIN, REALM, Keycloak, KeycloakError, Say, say_now
from regiohub_local.keycloak.realm_file import placeholders, realm

READY_SECONDS = 240


def start(
    state_dir: Path,
    *,
    port: int,
    management_port: int,
    env: Mapping[str, str],
    realm_json: Mapping[str, Any] | None = None,
    say: Say = say_now,
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
        java = java_env(settings | rh, home / "scratch")
        processes.spawn(state_dir, "keycloak", _command(home, origin, port, management_port), java, cwd=home)
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
