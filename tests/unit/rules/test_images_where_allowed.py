"""`make images-where-allowed`, which CI runs: only a kernel that refuses namespaces is no failure. Its `unshare` is ours."""

import os
import subprocess
from pathlib import Path

import pytest

from regiohub_local.plan import ROOT

ALLOWED = "exit 0"
REFUSED = 'echo "unshare: unshare failed: Operation not permitted" >&2; exit 1'
OTHERWISE = 'echo "unshare: fork failed: Cannot allocate memory" >&2; exit 1'


def run(folder: Path, unshare: str, *command: str, making: str = "echo makes") -> tuple[int, str]:
    (folder / "unshare").write_text(f"#!/bin/sh\n{unshare}\n")
    (folder / "unshare").chmod(0o755)
    # A make of its own: one that runs below CI's would print its folder.
    outside = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}}
    env = outside | {"PATH": f"{folder}:{os.environ['PATH']}"}
    told = command or ("make", "images-where-allowed", f"MAKE={making}")
    done = subprocess.run(told, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_they_are_made_where_the_kernel_allows(tmp_path):
    assert run(tmp_path, ALLOWED) == (0, "makes images\n")


def test_a_kernel_that_refuses_is_named_and_is_no_failure(tmp_path):
    code, said = run(tmp_path, REFUSED)
    assert (code, said.count("\n")) == (0, 1)
    assert said.startswith("Images: not tried here, because the kernel ")


def test_who_asks_for_the_images_themselves_gets_a_failure(tmp_path):
    code, said = run(tmp_path, REFUSED, "deploy/images/build.sh")
    assert code == 3
    assert "Images: not tried here, because the kernel " in said


@pytest.mark.parametrize("unshare", [OTHERWISE, "exit 127"])
def test_another_refusal_is_a_failure(tmp_path, unshare):
    code, said = run(tmp_path, unshare)
    assert (code, said) == (2, "")


@pytest.mark.parametrize("code", [1, 3])
def test_images_that_fail_are_a_failure(tmp_path, code):
    assert run(tmp_path, ALLOWED, making=f"sh -c 'exit {code}'")[0] == 2
