"""Generated secrets of one state folder, in `secrets.env` (mode 600), made once and completed later."""

from __future__ import annotations

import secrets as random_secrets
from collections.abc import Iterable
from pathlib import Path


def read(path: Path) -> dict[str, str]:
    """`NAME=value` lines; a missing file is empty."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def ensure(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Everything in the file, with a new secret for each missing name."""
    known = read(path)
    missing = [name for name in names if name not in known]
    if missing:
        known |= {name: random_secrets.token_urlsafe(24) for name in missing}
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, "".join(f"{name}={value}\n" for name, value in sorted(known.items())))
    return known


def write(path: Path, text: str) -> Path:
    """Replace the file at once by one that only its owner may read."""
    partial = path.with_suffix(".new")
    partial.touch(mode=0o600)
    partial.chmod(0o600)
    partial.write_text(text)
    return partial.replace(path)


def add(path: Path, values: dict[str, str]) -> dict[str, str]:
    """Keep values that are not plain random strings (keys made by a program); the first one stays."""
    known = read(path)
    if missing := {name: value for name, value in values.items() if name not in known}:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with path.open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in missing.items())
    return known | missing
