"""Who may import whom: one violation of each contract is planted in a copy of the tree, and lint-imports names it."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MEMBERS = {
    "regiohub_shared": "shared/src",
    "regiohub_booking": "services/booking/src",
    "regiohub_access": "services/access/src",
    "regiohub_billing": "services/billing/src",
    "regiohub_gateway": "gateway/src",
    "regiohub_local": "deploy/local/src",
}
CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]
# Contract, file that breaks it, and the line that does.
PLANTS = [
    ("services and gateway never import each other", "regiohub_booking/planted.py", "import regiohub_billing"),
    ("services and gateway never import each other", "regiohub_gateway/planted.py", "import regiohub_access.domain"),
    ("shared imports no member", "regiohub_shared/planted.py", "import regiohub_access"),
    ("shared imports no member", "regiohub_shared/web/planted.py", "import regiohub_local"),
    ("no program imports the local tools", "regiohub_gateway/planted.py", "import regiohub_local"),
    ("layers point down", "regiohub_booking/repo/planted.py", "import regiohub_booking.usecases"),
    ("layers point down", "regiohub_access/domain/planted.py", "import regiohub_access.tables"),
    ("layers point down", "regiohub_billing/usecases/planted.py", "import regiohub_billing.api"),
    ("layers point down", "regiohub_billing/render/planted.py", "import regiohub_billing.providers"),
    ("domain is pure", "regiohub_booking/domain/planted.py", "import httpx"),
    ("domain is pure", "regiohub_billing/domain/planted.py", "import regiohub_shared.db.base"),
    ("contracts are data only", "regiohub_shared/contracts/planted.py", "import sqlalchemy"),
    ("the pass and the reader need no web framework", "regiohub_access/rh1/planted.py", "import pydantic"),
    ("the pass and the reader need no web framework", "regiohub_access/reader/planted.py", "import regiohub_shared.clock"),
    ("gateway's pages and edge do not know each other", "regiohub_gateway/web/planted.py", "import regiohub_gateway.edge"),
    ("gateway's pages and edge do not know each other", "regiohub_gateway/edge/planted.py", "import regiohub_gateway.web"),
]  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All members side by side, with the project's own configuration."""
    copy = tmp_path_factory.mktemp("tree")
    for package, source in MEMBERS.items():
        shutil.copytree(
            ROOT / source / package, copy / package, ignore=shutil.ignore_patterns("static", "__pycache__", "*.pyc")
        )
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def _lint(tree: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    env = {"PYTHONPATH": str(tree), "PATH": "", "COLUMNS": "200", "PYTHONUTF8": "1"}
    return subprocess.run(
        [str(program), "--no-logo", "--cache-dir", str(tree / ".cache"), "pyproject.toml"],
        cwd=tree, env=env, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_the_tree_keeps_all_contracts(tree: Path) -> None:
    done = _lint(tree)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in done.stdout


@pytest.mark.parametrize(("contract", "file", "line"), PLANTS)
def test_a_planted_violation_is_named(tree: Path, contract: str, file: str, line: str) -> None:
    planted = tree / file
    planted.parent.mkdir(exist_ok=True)
    planted.write_text(f'"""Planted."""\n\n{line}\n')
    try:
        done = _lint(tree)
    finally:
        planted.unlink()
    assert done.returncode != 0
    assert f"{contract} BROKEN" in done.stdout, done.stdout + done.stderr
    assert file.removesuffix(".py").replace("/", ".") in done.stdout


def test_every_contract_has_a_plant() -> None:
    assert {contract for contract, _file, _line in PLANTS} == set(CONTRACTS)
