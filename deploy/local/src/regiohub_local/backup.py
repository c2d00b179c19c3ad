"""`make backup`: every database into a folder, while the house works.

Each file is one consistent moment of its database, and the moments differ by seconds. booking comes last: what the
others have heard from it, it then knows too, and what they have not, it tells anew after a restore.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from regiohub_local import plan, postgres, supervise
from regiohub_local.tending import tended
from regiohub_shared.clock import real_now

ORDER = ("gateway", "access", "billing", "booking")
MANIFEST = "backup.json"


class BackupError(RuntimeError):
    """A backup that cannot be made or trusted; one line."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a folder holds; ``began_at`` is the moment that a restore goes back to."""

    began_at: str
    ended_at: str
    sha256: dict[str, str]


def make(urls: Mapping[str, postgres.Urls], folder: Path) -> Backup:
    """Write every database into ``folder``, which only we can read."""
    folder.mkdir(mode=0o700, parents=True)
    began = real_now()
    sums = {}
    for name in ORDER:
        file = folder / f"{name}.dump"
        postgres.dump(urls[name].owner, file)
        file.chmod(0o600)
        sums[name] = _sha256(file)
    made = Backup(began.isoformat(), real_now().isoformat(), sums)
    # Last: a folder without it is no backup.
    (folder / MANIFEST).write_text(json.dumps(asdict(made), indent=2) + "\n")
    return made


def read(folder: Path) -> Backup:
    """Return what the folder holds, every file checked; raises :class:`BackupError`."""
    try:
        found = Backup(**json.loads((folder / MANIFEST).read_text()))
        datetime.fromisoformat(found.began_at)
    except (OSError, ValueError, TypeError) as error:
        raise BackupError(f"{folder} holds no whole backup: {error}") from error
    for name in ORDER:
        file = folder / f"{name}.dump"
        if not file.is_file() or _sha256(file) != found.sha256.get(name):
            raise BackupError(f"{file} is not the file that the backup wrote")
    return found


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def main(state_dir: Path, to: Path | None) -> int:
    """Back up the house of a state folder, running or not."""
    house = plan.make_house(state_dir)
    folder = (to or house.state_dir / "backup" / f"{real_now():%Y%m%dT%H%M%SZ}").resolve()
    if folder.exists():
        raise BackupError(f"{folder} exists already")
    with tended(house):
        made = make(supervise.databases(house), folder)
    size = sum((folder / f"{name}.dump").stat().st_size for name in ORDER)
    print(f"Backup of {', '.join(ORDER)} ({size // 1024} KiB), begun {made.began_at}: {folder}")
    print(
        "Not in it: .run/secrets.env (without ACCESS_SECRET_KEY no PIN can be read), Keycloak's state, readers' states."
    )
    return 0
