"""The committed realm and what fills its placeholders."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REALM_FOLDER = Path(__file__).resolve().parents[4] / "keycloak"


def realm(folder: Path = REALM_FOLDER, *, demo: bool = True) -> dict[str, Any]:
    """realm.json, with the lists of demo.json appended; placeholders are left to Keycloak."""
    merged: dict[str, Any] = json.loads((folder / "realm.json").read_text())
    if demo:
        for key, rows in json.loads((folder / "demo.json").read_text()).items():
            merged[key] = [*merged.get(key, []), *rows]
    return merged


def placeholders(value: object) -> set[str]:
    """Names of the `${NAME}` without a default in a realm."""
    return set(re.findall(r"\$\{([A-Z0-9_]+)\}", json.dumps(value)))


def filled(value: Any, env: Mapping[str, str]) -> Any:
    """The same value with every `${NAME}` and `${NAME:default}` replaced, as Keycloak does on import."""
    if isinstance(value, dict):
        return {key: filled(item, env) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, env) for item in value]
    if isinstance(value, str):
        return re.sub(r"\$\{([A-Z0-9_]+)(?::([^}]*))?\}", lambda m: env.get(m[1], m[2] or ""), value)
    return value
