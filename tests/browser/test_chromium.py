"""Chromium is found in `CHROMIUM` or PATH, or installed as root; else the run ends with one clear line."""

import os
import subprocess
import sys

import pytest

from regiohub_local.browser import chromium


def program(folder, name, *, works=True):
    path = folder / name
    path.write_text(f"#!/bin/sh\nexit {0 if works else 1}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def empty_path(monkeypatch, tmp_path):
    """A PATH of our own, without CHROMIUM."""
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_chromium_names_the_program(monkeypatch, empty_path, tmp_path_factory):
    given = program(tmp_path_factory.mktemp("elsewhere"), "my-chromium")
    program(empty_path, "chromium")
    monkeypatch.setenv("CHROMIUM", given)

    assert chromium.find() == given


def test_the_first_of_the_names_in_path_that_starts_is_taken(empty_path):
    program(empty_path, "chromium", works=False)
    found = program(empty_path, "google-chrome")

    assert chromium.find() == found


def test_as_root_it_is_installed(monkeypatch, empty_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program(empty_path, "apt-get")
    asked = []

    def run(command, **_):
        asked.append(command)
        if "install" in command:
            program(empty_path, "chromium")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)

    assert chromium.find() == str(empty_path / "chromium")
    assert [command[2] for command in asked[:2]] == ["update", "install"]


@pytest.mark.parametrize("is_root", [True, False])
def test_without_any_way_the_message_names_the_ways_out(monkeypatch, empty_path, is_root):
    monkeypatch.setattr(os, "geteuid", lambda: 0 if is_root else 1000)
    if is_root:
        (empty_path / "apt-get").write_text("#!/bin/sh\necho 'E: no network' >&2\nexit 100\n")
        (empty_path / "apt-get").chmod(0o755)

    with pytest.raises(chromium.NoChromium, match="set CHROMIUM") as refused:
        chromium.find()
    assert "\n" not in str(refused.value)


def test_the_layer_ends_with_one_line_and_exit_1(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")
    command = [sys.executable, "-m", "pytest", "-q", "tests/browser/test_pages.py", "-k", "checks_find"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 1, done.stdout
    assert "Error: CHROMIUM is /nowhere/chromium, which is no program" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
