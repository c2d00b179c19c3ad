"""A run in which somebody was spared proves nothing."""

from pathlib import Path

import pytest

from regiohub_local.chaos.faults import KINDS, TARGETS
from regiohub_local.chaos.oracle import Oracle
from regiohub_local.chaos.report import Outcome, spared


def _outcome(folder: Path, kills: dict[str, int]) -> Outcome:
    return Outcome(Oracle(folder / "members.jsonl"), kills, {}, 0, 0)


def test_in_a_long_run_one_of_many_kills_may_meet_a_dead_program(tmp_path: Path):
    kills = dict.fromkeys(TARGETS, 16) | {"gateway": 15, "booking": 14}
    assert spared(_outcome(tmp_path, kills), 16) == ["killed only 14 times: booking"]


def test_in_a_short_run_one_of_each_kind_dies(tmp_path: Path):
    kills = {names[0]: 1 for names in KINDS.values()}
    assert spared(_outcome(tmp_path, kills), 1) == []
    assert spared(_outcome(tmp_path, kills | {"keycloak": 0}), 1) == ["killed only 0 times: keycloak"]


@pytest.mark.parametrize("kills", [{}, {"booking": 1}])
def test_without_faults_nobody_needs_to_die(tmp_path: Path, kills: dict[str, int]):
    assert spared(_outcome(tmp_path, kills), 0) == []
