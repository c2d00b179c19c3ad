"""`python -m regiohub_local <what>`: what the Makefile calls."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import random
import sys
from collections.abc import Callable
from importlib.resources import files
from operator import ge
from pathlib import Path

from regiohub_local import backup, doctor, keycloak, launch, mail_sink, plan, processes, restore, secret_file, supervise
from regiohub_shared.db.migrate import new_revision, run_migrations

_WHOLE = (8.0, 3, 1_000_000)
"""Seconds, rounds and past bookings of a benchmark whose figures are worth a page."""


def _run(options: argparse.Namespace) -> int:
    launch.run(options.state)
    return 0


def _stop(options: argparse.Namespace) -> int:
    print("Stopped." if supervise.stop(options.state) else "Nothing was running.")
    return 0


def _status(options: argparse.Namespace) -> int:
    rows = processes.recorded(options.state)
    for name, row in rows.items():
        print(f"{name:<24}{'running' if processes.is_alive(row) else 'dead'}  {row.pid}")
    return 0 if rows and all(map(processes.is_alive, rows.values())) else 1


def _watch(options: argparse.Namespace) -> int:
    supervise.watch(options.state.resolve())
    return 0


def _fetch(_options: argparse.Namespace) -> int:
    keycloak.built_distribution()
    return 0


def _mail_sink(options: argparse.Namespace) -> int:
    mail_sink.main(options.folder, options.smtp_port, options.http_port)
    return 0


def _module(name: str) -> Callable[[argparse.Namespace], int]:
    """A command that lives in `regiohub_local.<name>`, as `main(state_dir)`."""

    def command(options: argparse.Namespace) -> int:
        return int(importlib.import_module(f"regiohub_local.{name}").main(options.state) or 0)

    return command


def _chaos(options: argparse.Namespace) -> int:
    chaos = importlib.import_module("regiohub_local.chaos.run")
    rules = chaos.Rules(options.seed, options.seconds, options.bookings, options.kills)
    return int(chaos.main(rules))


def _bench(options: argparse.Namespace) -> int:
    bench = importlib.import_module("regiohub_local.bench.run")
    is_whole = all(map(ge, (options.seconds, options.rounds, options.past), _WHOLE))
    page = options.page or (plan.ROOT / "docs" if is_whole else plan.DEFAULT_STATE) / "performance.md"
    rules = bench.Rules(options.seconds, options.rounds, options.past, options.out, page)
    return int(bench.main(rules))


def _seed(options: argparse.Namespace) -> int:
    house = plan.make_house(options.state)
    asyncio.run(importlib.import_module("regiohub_local.seed").run(house))
    return 0


def _realm(options: argparse.Namespace) -> int:
    house = plan.make_house(options.state)
    path = secret_file.write(
        house.state_dir / "realm.json", json.dumps(keycloak.filled(keycloak.realm(), house.realm_env))
    )
    print(f"{path} (it holds secrets): import it into your Keycloak, then REGIOHUB_KEYCLOAK_URL=<its origin> make run")
    return 0


def _migrate(options: argparse.Namespace) -> int:
    if options.only:
        run_migrations(Path(str(files(f"regiohub_{options.only}") / "migrations")), os.environ["MIGRATE_URL"])
    else:
        house = plan.make_house(options.state)
        supervise.migrate(house, supervise.databases(house))
    return 0


def _backup(options: argparse.Namespace) -> int:
    return backup.main(options.state, options.to)


def _restore(options: argparse.Namespace) -> int:
    return restore.main(options.state, options.source, options.last_number, options.only)


def _doctor(options: argparse.Namespace) -> int:
    return doctor.main(options.state)


def _revision(options: argparse.Namespace) -> int:
    print(new_revision(Path(str(files(f"regiohub_{options.service}") / "migrations")), options.message))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m regiohub_local", description=__doc__)
    commands = parser.add_subparsers(required=True)

    def add(name: str, act: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text)
        sub.add_argument("--state", type=Path, default=plan.DEFAULT_STATE, help="state folder")
        sub.set_defaults(act=act)
        return sub

    add("run", _run, "start everything in the background and print its addresses")
    add("stop", _stop, "end everything of the state folder")
    add("status", _status, "list the programs")
    add("demo", _module("demo"), "play the whole story, then stop")
    chaos = add("chaos", _chaos, "book while everything breaks, then check every promise at rest")
    chaos.add_argument("--seed", type=int, default=random.randrange(1_000_000))  # noqa: S311 - printed, to repeat a run
    chaos.add_argument("--seconds", type=float, default=600, help="how long faults go on at least")
    chaos.add_argument("--bookings", type=int, default=1000, help="how many at least")
    chaos.add_argument("--kills", type=int, default=16, help="of each program; 0: no faults at all")
    bench = add("bench", _bench, "measure how fast the house is, and write it down")
    bench.add_argument("--seconds", type=float, default=_WHOLE[0], help="of each measurement")
    bench.add_argument("--rounds", type=int, default=_WHOLE[1])
    bench.add_argument("--past", type=int, default=_WHOLE[2], help="past bookings in the large database")
    bench.add_argument("--out", type=Path, default=plan.DEFAULT_STATE / "bench.json", help="all figures")
    bench.add_argument(
        "--page", type=Path, help="the page; docs/performance.md, after a quick look .run/performance.md"
    )
    add("screenshots", _module("screenshots"), "take every page as a picture")
    add("seed", _seed, "put the demo region into the running house")
    add("realm", _realm, "write the realm with its secrets, for a Keycloak of your own")
    add("fetch", _fetch, "fetch and build Keycloak into the cache")
    add("watch", _watch, "the supervisor; `run` starts it")
    add("backup", _backup, "write every database into a folder").add_argument("--to", type=Path)
    restored = add("restore", _restore, "go back to a backup and reconcile with the world")
    restored.add_argument("--from", dest="source", type=Path)
    restored.add_argument("--last-number", action="append", default=[], metavar="OPERATOR:NUMBER")
    restored.add_argument("--only", choices=plan.DATABASES, action="append", default=[], help="what was lost; else all")
    add("doctor", _doctor, "examine every database, and compare them with each other and with Stripe")
    migrate = add("migrate", _migrate, "bring the databases to the newest schema")
    migrate.add_argument("--only", choices=plan.DATABASES, help="one, its owner's address in MIGRATE_URL")
    revision = add("revision", _revision, "write the skeleton of a service's next migration")
    revision.add_argument("service", choices=plan.DATABASES)
    revision.add_argument("message")
    sink = add("mail-sink", _mail_sink, "the mail sink; `run` starts it")
    sink.add_argument("folder", type=Path)
    sink.add_argument("smtp_port", type=int)
    sink.add_argument("http_port", type=int)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a known failure ends in one line and exit code 1."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.act(options))
    except RuntimeError as error:  # KeycloakError, PostgresError, StartError, SeedError …: each is one line
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; what had begun was ended.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
