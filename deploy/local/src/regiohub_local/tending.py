"""The house's databases and its Stripe for a tool that works on them, whether the house runs or not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from regiohub_local import plan, postgres, processes, supervise
from regiohub_local.plan import House
from regiohub_shared.contracts.witness import Witness

Run = Callable[..., str]
"""``run("billing", "restore", "lead", …)``: a service's own program; returns its standard output, raises ``StepFailed``."""


class StepFailed(RuntimeError):
    """A service's program ended with an error; it has said why."""


def is_running(house: House) -> bool:
    """Whether programs of the house run."""
    return any(map(processes.is_alive, processes.recorded(house.state_dir).values()))


@contextmanager
def tended(house: House) -> Iterator[None]:
    """Have PostgreSQL and the Stripe sandbox; a house that stood still stands still afterwards."""
    if is_running(house):
        yield
        return
    try:
        supervise.databases(house)
        if house.has_sandbox:
            sandbox = [one for one in plan.programs(house, dict.fromkeys(plan.DATABASES, "")) if one.name == "stripe"]
            supervise.start_programs(house, sandbox)
        yield
    finally:
        supervise.stop(house.state_dir)


def runner(house: House, urls: Mapping[str, postgres.Urls]) -> Run:
    """Return how to run a service's restore or doctor with its own settings, as the schema's owner."""

    def run(service: str, program: str, *arguments: str, check: bool = True) -> str:
        env = processes.base_env() | plan.service_env(house, service, urls[service].app)
        env[f"{service.upper()}_MIGRATE_DATABASE_URL"] = urls[service].owner
        return run_program(env, service, program, *arguments, check=check)

    return run


def run_program(env: Mapping[str, str], service: str, program: str, *arguments: str, check: bool = True) -> str:
    """Run ``python -m regiohub_<service>.<program>``; what it says to people goes to our standard error."""
    command = [sys.executable, "-m", f"regiohub_{service}.{program}", *arguments]
    done = subprocess.run(command, env=dict(env), stdout=subprocess.PIPE, text=True, check=False)
    if check and done.returncode != 0:
        raise StepFailed(f"{service}: {program} {' '.join(arguments[:1])} ended with {done.returncode}")
    return done.stdout


def keep(folder: Path, name: str, said: str) -> Path:
    """Write a witness where the next step reads it; raises ``ValueError`` unless it is one."""
    Witness.model_validate_json(said)
    path = folder / f"{name}.json"
    path.write_text(said)
    path.chmod(0o600)
    return path
