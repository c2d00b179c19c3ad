"""promtool is found in PATH, or unpacked from Debian's package; else the run ends with one clear line."""

import os
import shutil

import pytest

from tests.deploy import promtool


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A PATH of our own and an empty place for what is unpacked; it has dpkg-deb and is nobody's root."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(promtool, "HOME", tmp_path / "home")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (tmp_path / "bin").mkdir()
    return tmp_path


def put(machine, name: str, script: str) -> None:
    path = machine / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_what_stands_in_path_is_taken(machine):
    put(machine, "promtool", "exit 0")

    assert promtool.find() == shutil.which("promtool")


def test_a_machine_without_it_fetches_the_package_and_starts_nothing(machine):
    put(machine, "apt-get", f'echo "$*" >> {machine}/asked; : > prometheus_2_amd64.deb')
    put(machine, "dpkg-deb", f'echo "$1" >> {machine}/asked; [ -f "$2" ]')

    assert promtool.find() == str(machine / "home" / "usr" / "bin" / "promtool")
    assert (machine / "asked").read_text().splitlines() == ["--quiet download prometheus", "--extract"]


def test_root_fetches_the_lists_first_where_there_are_none(machine, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    lists = machine / "lists"
    put(machine, "apt-get", f'[ "$2" != update ] || : > {lists}; [ -f {lists} ] && : > prometheus_2_amd64.deb')
    put(machine, "dpkg-deb", "exit 0")

    assert promtool.find().startswith(str(machine))


def test_a_package_that_cannot_be_had_is_told_in_one_line(machine):
    put(machine, "apt-get", "echo 'E: Unable to locate package prometheus' >&2; exit 100")
    put(machine, "dpkg-deb", "exit 0")

    with pytest.raises(promtool.NoPromtool, match=r"^no promtool: .*Unable to locate package prometheus.*PATH$"):
        promtool.find()


def test_without_apt_the_message_names_the_ways_out(machine):
    with pytest.raises(promtool.NoPromtool, match="install Debian's package `prometheus`"):
        promtool.find()
