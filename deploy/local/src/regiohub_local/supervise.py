"""Start the house in the background, watch it, stop it.

The supervisor is a background process like the others: it brings back what dies. Nothing depends on it for
stopping: `stop` works from the record and from the mark in each process's environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx

from regiohub_local import keycloak, plan, postgres, processes
from regiohub_local.plan import House, Program

READY_SECONDS = 90
Say = Callable[[str], None]
Rewire = Callable[[House, list[Program]], list[Program]]


class StartError(RuntimeError):
    """A program did not come up; the message names it, its last error and its log."""


def say(line: str) -> None:
    """Progress, at once."""
    print(line, flush=True)


# ---------------------------------------------------------------- start


def start(
    state_dir: Path, *, prefer: Mapping[str, int] | None = None, say: Say = say, rewire: Rewire | None = None
) -> House:
    """Start everything that does not run yet and wait until it is ready; ends what it began when that fails.

    `rewire` may change how the programs reach each other before they start.
    """
    state_dir = state_dir.resolve()
    _let_stop_end(state_dir, say)
    with processes.locked(state_dir, "run.lock"):
        stops = _stops(state_dir)
        was_running = _is_up(state_dir)
        try:
            return _start(state_dir, prefer, say, rewire)
        except BaseException as error:  # Ctrl-C too: no half of a house stays behind
            if not was_running:
                _stop(state_dir)
            if isinstance(error, Exception) and _stops(state_dir) != stops:
                raise StartError("`stop` ended the house while it was starting") from error
            raise


def _is_up(state_dir: Path) -> bool:
    """Whether a house runs here, by its record: it may have its databases elsewhere, and the supervisor starts last."""
    return any(processes.find(state_dir, name) for name in ("supervisor", "gateway"))


def _let_stop_end(state_dir: Path, say: Say) -> None:
    """What is started beside a `stop` at work would be ended by it."""
    if processes.is_locked(state_dir, "stop.lock"):
        say("`stop` is still at work here: waiting for its end")
        with processes.locked(state_dir, "stop.lock"):
            pass


def _stops(state_dir: Path) -> str:
    """How often `stop` was called here."""
    path = state_dir / "stops"
    return path.read_text() if path.exists() else "0"


def unfinished(state_dir: Path) -> Path:
    """The file that stands there while a restore has begun and not ended; it says how to go on."""
    return state_dir / "restore-unfinished"


def _start(state_dir: Path, prefer: Mapping[str, int] | None, say: Say, rewire: Rewire | None) -> House:
    if unfinished(state_dir).exists():
        how = unfinished(state_dir).read_text().strip()
        raise StartError(f"a restore was begun and has not ended, so nothing may start: {how}")
    postgres.check(_own_databases())
    processes.end_strays(state_dir)
    house = plan.make_house(state_dir, prefer=prefer)
    # The sink first: what Keycloak sends must find a server. Keycloak and the databases side by side.
    with ThreadPoolExecutor(1) as pool:
        identity = pool.submit(_start_keycloak, house, say)
        urls = _start_databases(house, say)
        identity.result()
    wanted = plan.programs(house, urls)
    wanted = rewire(house, wanted) if rewire else wanted
    changed = [program for program in wanted if _start_program(house, program)]
    say(f"Programs: {len(changed)} started, {len(wanted) - len(changed)} were running")
    wait_ready(house, wanted)
    _start_watch(house)
    return house


def _start_keycloak(house: House, say: Say) -> None:
    if os.environ.get("REGIOHUB_KEYCLOAK_URL"):
        say(f"Keycloak: using {house.issuer}")
        return
    server = keycloak.start(
        house.state_dir, port=house.ports["keycloak"], management_port=house.ports["keycloak-management"],
        env=house.realm_env, say=say,
    )  # fmt: skip
    if changes := asyncio.run(keycloak.follow(server, house.realm_env)):
        say(f"Keycloak: {changes} entries of the realm follow new ports or secrets")
    say(f"Keycloak: ready at {server.origin}")


def _start_databases(house: House, say: Say) -> dict[str, str]:
    """Answers the app roles' addresses."""
    urls = databases(house)
    migrate(house, urls)
    say("PostgreSQL: ready, databases migrated")
    return {name: both.app for name, both in urls.items()}


def databases(house: House) -> dict[str, postgres.Urls]:
    """Start the server and provision; `<NAME>_DATABASE_URL` in the environment replaces one of ours."""
    needs = _without_own()
    urls: dict[str, postgres.Urls] = {}
    if needs:
        server = postgres.start(house.state_dir, house.ports["postgres"])
        with postgres.named("ADMIN_DATABASE_URL" if not server.embedded else "Embedded server", server.admin_url):
            urls = {name: asyncio.run(postgres.provision(server.admin_url, name, house.secrets)) for name in needs}
    for name in plan.DATABASES:
        app = os.environ.get(f"{name.upper()}_DATABASE_URL") or urls[name].app
        owner = os.environ.get(f"{name.upper()}_MIGRATE_DATABASE_URL") or (urls[name].owner if name in urls else app)
        urls[name] = postgres.Urls(app, owner)
    return urls


def _without_own() -> list[str]:
    return [name for name in plan.DATABASES if not os.environ.get(f"{name.upper()}_DATABASE_URL")]


def _own_databases() -> dict[str, str]:
    """The addresses that the environment names and the house will use, by their settings."""
    names = ["ADMIN_DATABASE_URL"] if _without_own() else []
    names += [f"{name.upper()}_{kind}" for name in plan.DATABASES for kind in ("DATABASE_URL", "MIGRATE_DATABASE_URL")]
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def migrate(house: House, urls: Mapping[str, postgres.Urls]) -> None:
    """Bring every database to the newest schema."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: _migrate(house, name, urls[name].owner), plan.DATABASES))


def _migrate(house: House, name: str, owner_url: str) -> None:
    """In a process of its own: services are never imported together. The address travels by environment."""
    log = processes.log_path(house.state_dir, f"{name}-migrate")
    env = {**processes.base_env(), "MIGRATE_URL": owner_url}
    with log.open("wb") as file:
        command = [sys.executable, "-m", "regiohub_local", "migrate", "--only", name]
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False)
    if done.returncode != 0:
        raise StartError(f"the migrations of {name} failed: {_tail(house, f'{name}-migrate')}")


def start_programs(house: House, wanted: list[Program]) -> None:
    """Start these alone and wait until they are ready."""
    for program in wanted:
        _start_program(house, program)
    wait_ready(house, wanted)


def _start_program(house: House, program: Program) -> bool:
    """Start it unless exactly this runs already; one that was started otherwise is replaced."""
    running = processes.find(house.state_dir, program.name)
    if running and running.command == program.command and _same(running.env, program.env):
        return False
    processes.end(house.state_dir, program.name)
    processes.spawn(house.state_dir, program.name, program.command, program.env)
    return True


def _same(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Equal but for the shifted time, which moves on."""
    clock = {"REGIOHUB_NOW": ""}
    return {**one, **clock} == {**other, **clock} and ("REGIOHUB_NOW" in one) == ("REGIOHUB_NOW" in other)


def wait_ready(house: House, wanted: list[Program], seconds: float = READY_SECONDS) -> None:
    """Wait until each program answers; one that ended is an error at once."""
    deadline = time.monotonic() + seconds
    waiting = list(wanted)
    while waiting:
        processes.reap()
        for program in waiting:
            if processes.find(house.state_dir, program.name) is None:
                raise StartError(f"{program.name} ended while starting: {_tail(house, program.name)}")
        waiting = [program for program in waiting if not is_ready(program)]
        if waiting and time.monotonic() > deadline:
            name = waiting[0].name
            raise StartError(f"{name} was not ready after {seconds:.0f} s: {_tail(house, name)}")
        time.sleep(0.1)


def is_ready(program: Program) -> bool:
    """Whether it answers."""
    if not program.port:
        return True
    with suppress(OSError), socket.create_connection(("127.0.0.1", program.port), timeout=2):
        if not program.ready:
            return True
        with suppress(httpx.HTTPError):
            return httpx.get(program.ready, timeout=5, trust_env=False).status_code == 200
    return False


def _tail(house: House, name: str) -> str:
    path = processes.log_path(house.state_dir, name)
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return f"{lines[-1][-300:] if lines else 'it said nothing'} (log: {path})"


# ---------------------------------------------------------------- watch


def _start_watch(house: House) -> None:
    if processes.find(house.state_dir, "supervisor") is None:
        command = [sys.executable, "-m", "regiohub_local", "watch", "--state", str(house.state_dir)]
        processes.spawn(house.state_dir, "supervisor", command, {})


def watch(state_dir: Path) -> None:
    """Bring back dead programs, each after a pause that doubles up to a minute; runs until SIGTERM."""
    died: dict[str, tuple[int, float]] = {}  # name -> deaths in a row, time of the last restart
    while True:
        clock = time.monotonic()
        may = {name: clock - last > min(2.0**deaths, 60) for name, (deaths, last) in died.items()}
        for name in processes.restart_dead(state_dir, may | {"supervisor": False}):
            deaths, last = died.get(name, (0, -1000.0))
            died[name] = (deaths + 1 if clock - last < 120 else 1, clock)
            say(f"restarted {name}")
        _revive_postgres(state_dir)
        time.sleep(1)


def _revive_postgres(state_dir: Path) -> None:
    """The server keeps its own record; nobody but us starts it."""
    if (state_dir / "postgres").exists() and processes.recorded(state_dir) and not postgres.is_running(state_dir):
        with suppress(postgres.PostgresError):
            postgres.start(state_dir, json.loads((state_dir / "ports.json").read_text())["postgres"])
            say("restarted postgres")


# ---------------------------------------------------------------- stop


def stop(state_dir: Path) -> bool:
    """End everything of a state folder; answers whether anything ran. Harmless to repeat."""
    state_dir = state_dir.resolve()
    if not state_dir.exists():
        return False
    with processes.locked(state_dir, "stop.lock"):
        (state_dir / "stops").write_text(str(int(_stops(state_dir)) + 1))
        return _stop(state_dir)


def _stop(state_dir: Path) -> bool:
    ran = bool(processes.marked(state_dir)) or postgres.is_running(state_dir)
    processes.end(state_dir, "supervisor")
    processes.end_all(state_dir)
    postgres.stop(state_dir)
    return ran
