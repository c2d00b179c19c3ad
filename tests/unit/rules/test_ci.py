"""`.ci/run` on machines that lack something: the real script, a PATH of our own, an apt-get that is none."""

import shutil
import subprocess
from pathlib import Path

import pytest

from regiohub_local.plan import ROOT

TOOLS = ("bash", "dirname", "git", "ln")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A checkout with a `bin` that has everything but make."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    put(tmp_path, "made", 'echo "make $*"')
    put(tmp_path, "id", "echo 1000")
    put(tmp_path, "python3", "exit 0")
    return tmp_path


def put(machine: Path, name: str, script: str) -> None:
    path = machine / "bin" / name
    path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
    path.chmod(0o755)


def run(machine: Path) -> subprocess.CompletedProcess[str]:
    command = [str(shutil.which("bash")), str(machine / ".ci/run")]
    return subprocess.run(command, env={"PATH": str(machine / "bin")}, capture_output=True, text=True, check=False)


def test_a_machine_that_has_all_runs_make_ci(machine):
    (machine / "bin/made").rename(machine / "bin/make")
    assert (run(machine).returncode, run(machine).stdout) == (0, "make ci\n")


def test_who_is_not_root_hears_in_one_line_what_is_missing(machine):
    done = run(machine)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: this machine lacks make ")
    assert done.stderr.count("\n") == 1


def test_a_python_without_venv_is_missing_too(machine):
    (machine / "bin/made").rename(machine / "bin/make")
    put(machine, "python3", "[[ $2 != *venv* ]]")
    assert run(machine).stderr.startswith("Error: this machine lacks python3-venv ")


def test_root_gets_it_by_apt(machine):
    put(machine, "id", "echo 0")
    put(machine, "apt-get", f'echo "$*" >> {machine}/asked; [ "$2" = update ] || ln -s made {machine}/bin/make')
    done = run(machine)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "make ci")
    assert (machine / "asked").read_text().splitlines()[-1].endswith("--no-install-recommends make")


def test_an_apt_that_fails_is_no_success(machine):
    put(machine, "id", "echo 0")
    put(machine, "apt-get", "exit 100")
    assert run(machine).returncode == 1
