"""The words of the pages: one TOML catalogue per language, the same keys in both (a test holds them together)."""

import tomllib
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = ("de", "en")
_FOLDER = Path(__file__).parent / "locale"


@cache
def catalogue(language: str) -> dict[str, str]:
    """Return key → text; keys are ``section.name``."""
    sections = tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    return {f"{section}.{name}": text for section, texts in sections.items() for name, text in texts.items()}


def text(language: str, key: str, **values: Any) -> str:
    """Return a text with its ``{names}`` filled in; raises ``KeyError`` for a key that nobody wrote."""
    found = catalogue(language)[key]
    return found.format(**values) if values else found


def has_text(key: str) -> bool:
    """Return whether a key exists."""
    return key in catalogue("de")


def problem_title(language: str, kind: str) -> str:
    """Return the words for a problem's name; unknown ones get the general sentence."""
    key = f"problem.{kind}"
    return text(language, key if has_text(key) else "problem.internal")


def problem_help(language: str, kind: str, params: Mapping[str, Any] | None = None) -> str:
    """Return what a person can do about it, or an empty text; ``params`` are the figures of this very refusal."""
    with suppress(KeyError):
        # A page that knows a refusal by its name only says what holds without the figures.
        return catalogue(language)[f"problem_help_with.{kind}"].format_map(params or {})
    key = f"problem_help.{kind}"
    return text(language, key) if has_text(key) else ""
