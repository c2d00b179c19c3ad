"""A skip, an expected failure, a warning, a foreign address or an empty layer fails the run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def _run(folder: Path, code: str | None) -> subprocess.CompletedProcess[str]:
    """Run pytest with the project's configuration on one planted file outside of the tree."""
    if code is not None:
        (folder / "test_planted.py").write_text(code)
    command = [
        sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT),
        "-p", "no:cacheprovider", str(folder),
    ]  # fmt: skip
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_good_file_passes(tmp_path: Path) -> None:
    done = _run(tmp_path, "import asyncio\n\nasync def test_it():\n    await asyncio.sleep(0)\n")
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


_SKIPS = """
import unittest

import pytest

def test_call():
    pytest.skip("later")

@pytest.mark.skip(reason="later")
def test_mark():
    pass

@pytest.mark.skipif(True, reason="here")
def test_if():
    pass

@pytest.mark.xfail
def test_xfail():
    assert False

@pytest.mark.xfail(strict=False)
def test_xpass():
    pass

def test_xfail_call():
    pytest.xfail("known")

@pytest.fixture
def gone():
    pytest.skip("no")

def test_fixture(gone):
    pass

class TestIt(unittest.TestCase):
    @unittest.skip("later")
    def test_unittest(self):
        pass

@pytest.mark.parametrize("x", [])
def test_no_cases(x):
    pass
"""


def test_each_skip_and_expected_failure_fails(tmp_path: Path) -> None:
    done = _run(tmp_path, _SKIPS)
    assert done.returncode == 1, done.stdout
    names = re.findall(r"def (test_\w+)", _SKIPS)
    assert f"{len(names)} failed" in done.stdout
    assert not re.search(r"\d+ (passed|skipped|xfailed|xpassed)\b(?!,)", done.stdout.splitlines()[-1])
    for name in names:
        assert re.search(rf"::{name}\S* was skipped or expected to fail; here that fails the run", done.stdout), name


@pytest.mark.parametrize(
    "line", ["pytest.skip('all', allow_module_level=True)", "pytest.importorskip('no_such_module')"]
)
def test_a_module_that_skips_itself_fails_beside_good_ones(tmp_path: Path, line: str) -> None:
    (tmp_path / "test_good.py").write_text("def test_it():\n    pass\n")
    done = _run(tmp_path, f"import pytest\n\n{line}\n")
    assert done.returncode not in {0, 5}, done.stdout
    assert "fails the run" in done.stdout


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import warnings\n\ndef test_it():\n    warnings.warn('old', DeprecationWarning)\n", "DeprecationWarning"),
        ("def test_it():\n    open('/dev/null')\n", "unclosed file"),
        ("async def work():\n    pass\n\ndef test_it():\n    work()\n    import gc\n    gc.collect()\n", "never awaited"),
        ("import socket\n\ndef test_it():\n    socket.create_connection(('192.0.2.1', 80), 1)\n", "SocketConnectBlocked"),
        ("import socket\n\ndef test_it():\n    socket.create_connection(('example.org', 80), 1)\n", "Socket"),
        ("import pytest\n\n@pytest.mark.unknown_mark\ndef test_it():\n    pass\n", "unknown_mark"),
    ],
    ids=["warning", "file", "coroutine", "address", "name", "mark"],
)  # fmt: skip
def test_what_is_not_clean_fails(tmp_path: Path, code: str, why: str) -> None:
    done = _run(tmp_path, code)
    assert done.returncode != 0, done.stdout
    assert why in done.stdout


def test_loopback_is_open(tmp_path: Path) -> None:
    code = (
        "import socket\n\ndef test_it():\n    with socket.create_server(('127.0.0.1', 0)) as server:\n"
        "        socket.create_connection(server.getsockname()).close()\n"
    )
    assert _run(tmp_path, code).returncode == 0


@pytest.mark.parametrize("code", [None, "def nothing():\n    pass\n"])
def test_an_empty_layer_fails(tmp_path: Path, code: str | None) -> None:
    done = _run(tmp_path, code)
    assert done.returncode != 0
    assert "no tests" in done.stdout


def test_counts_are_printed(tmp_path: Path) -> None:
    done = _run(tmp_path, "def test_a():\n    pass\n\ndef test_b():\n    pass\n")
    assert "other: 2 tests, 2 passed, none skipped" in done.stdout, done.stdout
