"""A backup's folder is whole or no backup; a restore that has not ended keeps the house shut."""

import json
import re
from pathlib import Path

import pytest

from regiohub_local import backup, restore, supervise
from regiohub_local.plan import House


def a_folder(path: Path) -> Path:
    path.mkdir()
    sums = {}
    for name in backup.ORDER:
        (path / f"{name}.dump").write_bytes(name.encode())
        sums[name] = backup._sha256(path / f"{name}.dump")
    moments = {"began_at": "2026-11-30T02:00:00+00:00", "ended_at": "2026-11-30T02:00:05+00:00"}
    (path / backup.MANIFEST).write_text(json.dumps(moments | {"sha256": sums}))
    return path


def test_booking_is_written_last():
    assert backup.ORDER[-1] == "booking"


def test_a_whole_folder_is_read(tmp_path: Path):
    assert backup.read(a_folder(tmp_path / "b")).began_at == "2026-11-30T02:00:00+00:00"


@pytest.mark.parametrize("spoil", ["changed", "missing", "no manifest", "unreadable"])
def test_any_other_is_refused(tmp_path: Path, spoil: str):
    folder = a_folder(tmp_path / "b")
    match spoil:
        case "changed":
            (folder / "billing.dump").write_bytes(b"x")
        case "missing":
            (folder / "booking.dump").unlink()
        case "no manifest":
            (folder / backup.MANIFEST).unlink()
        case _:
            (folder / backup.MANIFEST).write_text("{}")
    with pytest.raises(backup.BackupError):
        backup.read(folder)


def test_while_a_restore_has_not_ended_nothing_starts(tmp_path: Path):
    supervise.unfinished(tmp_path).write_text("make restore FROM=b\n")
    with pytest.raises(supervise.StartError, match="make restore FROM=b"):
        supervise.start(tmp_path, say=lambda _: None)


def test_a_restore_that_broke_off_is_taken_up_by_the_same_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`ONLY` and `NUMBERS` stay: without them the books of what was not lost would be taken back too."""

    def power_cut(house: House) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(restore, "tended", power_cut)
    state, folder = tmp_path / "state", a_folder(tmp_path / "b")
    with pytest.raises(RuntimeError, match="power cut"):
        restore.main(state, folder, ["stadt-bendorf:R-2026-000012"], only=["booking"])

    how = f'make restore FROM={folder} ONLY="booking" NUMBERS="stadt-bendorf:R-2026-000012"'
    with pytest.raises(supervise.StartError, match=re.escape(how)):
        supervise.start(state, say=lambda _: None)


def test_a_restore_asks_for_its_folder(tmp_path: Path):
    with pytest.raises(restore.RestoreError, match="FROM"):
        restore.main(tmp_path, None, [])


def test_a_database_of_others_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BOOKING_DATABASE_URL", "postgresql://else.where/booking")
    with pytest.raises(restore.RestoreError, match="booking's database is not ours"):
        restore.main(tmp_path / "state", a_folder(tmp_path / "b"), [])
