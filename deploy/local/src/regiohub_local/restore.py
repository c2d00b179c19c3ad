"""`make restore FROM=…`: the databases of a backup in place of those that are there, then reconciled with the world.

What was there is renamed, not dropped. The order of the steps is the same on every platform; the runbook lists it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from regiohub_local import backup, plan, postgres, supervise
from regiohub_local.tending import Run, is_running, keep, runner, tended
from regiohub_shared.clock import real_now


class RestoreError(RuntimeError):
    """The restore cannot begin; one line with the way out."""


def load(
    admin_url: str, secrets: Mapping[str, str], folder: Path, suffix: str, lost: Collection[str]
) -> dict[str, str]:
    """Put the lost databases of the backup in their places; return under which names the old ones stay."""
    aside = {}
    for name in (name for name in backup.ORDER if name in lost):
        database = f"regiohub_{name}"
        if asyncio.run(postgres.set_aside(admin_url, database, f"{database}_{suffix}")):
            aside[name] = f"{database}_{suffix}"
        urls = asyncio.run(postgres.provision(admin_url, name, secrets))
        postgres.load(urls.owner, folder / f"{name}.dump")
    return aside


def reconcile(
    run: Run, folder: Path, backup_at: str, numbers: Sequence[str] = (), lost: Collection[str] = backup.ORDER
) -> None:
    """Let the services catch up with each other and with Stripe; witnesses are kept in ``folder``.

    booking and access go the same way whether they were restored or only a neighbour was; billing's numbers leap only if
    its own books were.
    """
    first, then = ("lead", "reconcile") if "billing" in lost else ("witness", "follow")
    at = ("--backup-at", backup_at)
    known = [word for number in numbers for word in ("--last-number", number)]

    def step(service: str, what: str, *paths: Path, more: Sequence[str] = ()) -> str:
        heard = [word for path in paths for word in ("--witness", str(path))]
        return run(service, "restore", what, *at, *heard, *more)

    booking = keep(folder, "booking-before", step("booking", "witness"))
    access = keep(folder, "access-before", step("access", "witness"))
    billing = keep(folder, "billing-before", step("billing", first, booking, more=known))
    booking = keep(folder, "booking", step("booking", "reconcile", billing, access))
    step("billing", then, booking)
    step("access", "reconcile", booking)
    if "gateway" in lost:
        run("gateway", "restore")


def _again(source: Path, numbers: Sequence[str], only: Sequence[str]) -> str:
    """The command that does the same once more: one that named less would take more databases back."""
    named = {"ONLY": " ".join(only), "NUMBERS": " ".join(numbers)}
    return " ".join(["make restore", f"FROM={source.resolve()}", *(f'{k}="{v}"' for k, v in named.items() if v)])


def main(state_dir: Path, source: Path | None, numbers: Sequence[str], only: Sequence[str] = ()) -> int:
    """Restore the house of a state folder, which must stand still; ``only`` some of its databases."""
    lost = tuple(only) or backup.ORDER
    if source is None:
        raise RestoreError("say which: make restore FROM=.run/backup/<time>")
    house = plan.make_house(state_dir)
    if is_running(house):
        raise RestoreError("the house runs: make stop first")
    if foreign := [name for name in lost if os.environ.get(f"{name.upper()}_DATABASE_URL")]:
        raise RestoreError(
            f"{foreign[0]}'s database is not ours: restore it by its own tools, then go the runbook's steps"
        )
    found = backup.read(source)
    moment = f"{real_now():%Y%m%dT%H%M%S}"
    # No program may start on databases that have not caught up with the world.
    supervise.unfinished(house.state_dir).write_text(f"{_again(source, numbers, only)}\n")
    with tended(house):
        server = postgres.start(house.state_dir, house.ports["postgres"])
        aside = load(server.admin_url, house.secrets, source, f"until_{moment}", lost)
        urls = supervise.databases(house)
        supervise.migrate(house, urls)
        folder = house.state_dir / "restore" / moment
        folder.mkdir(mode=0o700, parents=True)
        print(f"Loaded the backup of {found.began_at}; what was there stays as {', '.join(aside.values()) or '-'}")
        sys.stdout.flush()
        reconcile(runner(house, urls), folder, found.began_at, numbers, lost)
        supervise.unfinished(house.state_dir).unlink()
    print(f"Reconciled; what each service knew: {folder}. Now `make run`, then `make doctor`.")
    return 0
