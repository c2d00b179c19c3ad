"""The hand-written tables: what each role gets for each object of each route."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

from tests.service.matrix.roles import ROLES

_FOLDER = Path(__file__).parent / "tables"


@dataclass(frozen=True, slots=True)
class Row:
    """One route and object; a cell is a status, or a word for what a redirect means."""

    route: str
    object: str
    cells: dict[str, str]

    def __str__(self) -> str:
        return f"{self.route} [{self.object}]"


def read_table(name: str) -> list[Row]:
    """Return the rows of ``tables/<name>.csv``; a row or a cell that is missing or double is an error."""
    with (_FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        head, *lines = [[cell.strip() for cell in line] for line in csv.reader(file) if line]
    assert tuple(head[2:]) == ROLES, head
    rows = [Row(route, thing, dict(zip(ROLES, cells, strict=True))) for route, thing, *cells in lines]
    assert all(all(row.cells.values()) for row in rows)
    assert len({str(row) for row in rows}) == len(rows)
    return rows


def routes_of(app: FastAPI) -> set[str]:
    """Return every route of the app as ``METHOD /path``; HEAD goes with its GET, a folder of files counts as GET."""
    found: set[str] = set()
    for route in iter_route_contexts(app.routes):
        methods: Iterable[str] = set(route.methods or ()) - {"HEAD"}
        if isinstance(route.original_route, Mount):
            methods = {"GET"}
        assert methods, route.path
        found |= {f"{method} {route.path}" for method in methods}
    return found
