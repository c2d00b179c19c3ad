"""Each proof that the security page names is there."""

import ast
import re

from regiohub_local.plan import ROOT

NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_")}


def test_each_test_on_the_page_exists():
    named = NAMED.findall((ROOT / "docs/security.md").read_text())

    assert len(named) > 50
    assert [f"{path}::{name}" for path, name in named if name and name not in functions(path)] == []


def test_every_attack_on_the_running_house_is_on_the_page():
    page = (ROOT / "docs/security.md").read_text()
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests/identity/attacks").glob("test_*.py")]

    made = {name for path in files for name in functions(path)}
    assert {name for name in made if name not in page} == {"test_what_the_planted_key_signs_rightly_is_believed"}
