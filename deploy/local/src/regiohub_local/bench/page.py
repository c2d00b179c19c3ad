"""The page."""
from typing import Any
def render(found: dict[str, Any]) -> str:
    return ""
def summary(found: dict[str, Any]) -> str:
    return ""
