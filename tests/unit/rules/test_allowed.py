"""What import-linter cannot say: some packages import only what is on a list (DESIGN: domain, contracts, rh1, reader)."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOMAIN = {"regiohub_shared.money", "regiohub_shared.problem"}
DEVICE = {"cryptography", "cbor2", "httpx"}
SOURCES = {
    "services/booking/src/regiohub_booking/domain": DOMAIN | {"regiohub_booking.domain"},
    "services/access/src/regiohub_access/domain": DOMAIN | {"regiohub_access.domain"},
    "services/billing/src/regiohub_billing/domain": DOMAIN | {"regiohub_billing.domain"},
    "shared/src/regiohub_shared/contracts": {"pydantic", "regiohub_shared.contracts"},
    "services/access/src/regiohub_access/rh1": DEVICE | {"regiohub_access.rh1"},
    "services/access/src/regiohub_access/reader": DEVICE | {"regiohub_access.rh1", "regiohub_access.reader"},
}


def imported(text: str, package: str) -> Iterator[str]:
    """Yield every module name that the code in this package imports, in functions too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = package.split(".")[: len(package.split(".")) - node.level + 1]
                yield ".".join([*base, *([node.module] if node.module else [])])
            elif node.module in {"regiohub_shared", "regiohub_access", "regiohub_booking", "regiohub_billing"}:
                yield from (f"{node.module}.{item.name}" for item in node.names)
            else:
                yield node.module or ""


def strangers(text: str, allowed: set[str], package: str) -> list[str]:
    """Return the imports that are neither the standard library's nor on the list."""
    return [
        name
        for name in imported(text, package)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not any(name == item or name.startswith(item + ".") for item in allowed)
    ]


def _package(file: Path) -> str:
    return ".".join(file.parent.relative_to(ROOT).parts).partition("src.")[2]


@pytest.mark.parametrize("folder", SOURCES)
def test_imports_are_on_the_list(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files, "an empty room shows nothing"
    found = {
        str(file.relative_to(ROOT)): strangers(file.read_text(), SOURCES[folder], _package(file)) for file in files
    }
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("services/booking/src/regiohub_booking/domain", "import structlog"),
        ("services/access/src/regiohub_access/domain", "from regiohub_shared import clock"),
        ("services/billing/src/regiohub_billing/domain", "def f():\n    from regiohub_shared.ids import new_id"),
        ("shared/src/regiohub_shared/contracts", "from regiohub_shared.clock import now"),
        ("services/access/src/regiohub_access/rh1", "import jwcrypto"),
        ("services/access/src/regiohub_access/reader", "from regiohub_access.domain import pins"),
        ("services/access/src/regiohub_access/reader", "from ..domain import pins"),
        ("services/access/src/regiohub_access/reader", "from .. import tables"),
    ],
)
def test_a_planted_import_is_seen(folder: str, line: str) -> None:
    assert strangers(line, SOURCES[folder], _package(ROOT / folder / "planted.py"))
