"""The table "All connections" of docs/architecture.md, in the names that the policies use."""

import re

from tests.deploy.manifests import MEMBERS, ROOT

Edge = tuple[str, str]

_NAMES = {
    "browser": "outside", "scripts": "outside", "reader": "outside", "calendar program": "outside", "Stripe": "Stripe", "SMTP": "SMTP",
    "Keycloak": "keycloak", "monitoring": "monitoring", "data protection officer's job": "privacy",
    **{name: name for name in MEMBERS},
}  # fmt: skip
_PROGRAMS = (*MEMBERS, "keycloak")
_DATABASES = ("its own PostgreSQL database", "its own database")


def documented() -> set[Edge]:
    """Return each row's first hop as (from, to); what passes between two outsiders is not ours to allow."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text.partition("## All connections")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]* \|$", table, re.MULTILINE)[1:]
    return {edge for sources, targets in rows for edge in _edges(sources, targets)}


def _edges(sources: str, targets: str) -> set[Edge]:
    found = set()
    for source in _named(sources):
        wanted = [f"{source}-db"] if targets in _DATABASES else _named(targets)
        found |= {("outside" if source == "Stripe" else source, target) for target in wanted}
    return {edge for edge in found if edge[0] in (*_PROGRAMS, "privacy", "monitoring") or edge[1] in _PROGRAMS}


def _named(cell: str) -> list[str]:
    found = []
    for part in re.sub(r"\([^)]*\)", "", cell).split(","):
        word = part.split("→")[0].strip()
        if word == "each program":
            found += MEMBERS
        elif word == "and its migration job":
            continue  # it carries the program's name
        elif word == "each database":
            found += [f"{name}-db" for name in _PROGRAMS]
        elif word != "Stripe Checkout":
            found.append(_NAMES[word])
    return found
