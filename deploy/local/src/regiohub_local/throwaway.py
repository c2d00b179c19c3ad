"""A house for a demo, pictures or tests: in a folder of its own, on free ports, and gone afterwards.

Whoever has their own PostgreSQL, Keycloak or Stripe in the environment, as README says, must not find
invented bookings there, nor roles with new passwords.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from regiohub_local import plan, postgres, processes, supervise
from regiohub_local.plan import House
from regiohub_local.supervise import Rewire

_FOREIGN = ("ADMIN_DATABASE_URL", "REGIOHUB_KEYCLOAK_URL")
_PREFIXES = ("PG", "STRIPE_", "SANDBOX_", "READER_", *(f"{name.upper()}_" for name in plan.DATABASES))


def stand_alone(*more: str) -> None:
    """Forget what the environment names for an installation: databases, Keycloak, Stripe, settings of programs.

    Also what PostgreSQL's drivers read (`PGSSLMODE`, `PGHOST` …), and the names in `more`.
    """
    for name in [name for name in os.environ if name in (*_FOREIGN, *more) or name.startswith(_PREFIXES)]:
        del os.environ[name]


@contextmanager
def running_house(
    kind: str, settings: Mapping[str, str] | None = None, *, rewire: Rewire | None = None
) -> Iterator[House]:
    """A whole house without the demo region; `settings` are its programs', by the names of the environment.

    `rewire` may change the programs before they start.
    """
    stand_alone()
    os.environ.update(settings or {})
    folder = Path(tempfile.mkdtemp(prefix=f"regiohub-{kind}-"))
    try:
        yield supervise.start(folder, prefer={}, rewire=rewire)
    finally:
        supervise.stop(folder)
        postgres.stop(folder, remove=True)
        processes.reap()
        shutil.rmtree(folder, ignore_errors=True)
        for name in settings or {}:
            os.environ.pop(name, None)
