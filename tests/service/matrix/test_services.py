"""Every route of the services, every role, every object: the answer is the one written in the table."""

from typing import Any

import httpx
import pytest

from tests.service.matrix.calls import CALLS, Call
from tests.service.matrix.roles import HEADERS, SUBS
from tests.service.matrix.scene import Scene
from tests.service.matrix.table import Row, read_table, routes_of

SERVICES = ("booking", "access", "billing")
TABLES = {name: read_table(name) for name in SERVICES}
pytestmark = pytest.mark.asyncio(loop_scope="session")


def rows_of(*services: str) -> list[Any]:
    return [pytest.param(name, row, id=f"{name} {row}") for name in services for row in TABLES[name]]


async def ask(client: httpx.AsyncClient, method: str, call: Call, headers: dict[str, str]) -> httpx.Response:
    return await client.request(
        method, call.path, params=call.params, json=call.json, content=call.content, headers=headers | call.headers
    )


@pytest.mark.parametrize("name", SERVICES)
async def test_the_table_names_every_route_and_no_other(scene: Scene, name: str):
    routes = routes_of(getattr(scene.street, name).app)

    assert {row.route for row in TABLES[name]} == routes
    assert CALLS[name].keys() == routes


@pytest.mark.parametrize(("name", "row"), rows_of(*SERVICES))
async def test_each_role_gets_what_the_table_says(scene: Scene, name: str, row: Row):
    client, rows = getattr(scene.street, name).client, scene.rows[name]
    method = row.route.split(" ")[0]
    wrong: dict[str, str] = {}
    # Refusals first: not one of them may leave a trace.
    for role in sorted(row.cells, key=lambda role: row.cells[role] < "400"):
        scene.street.booking.userinfo.sub = SUBS[role]
        thing = scene.things.get(row.object, scene.things["mine"])
        answer = await ask(client, method, CALLS[name][row.route](scene, row.object, thing), HEADERS[role])
        if str(answer.status_code) != row.cells[role]:
            wrong[role] = f"{row.cells[role]} expected, {answer.status_code}: {answer.text[:200]}"
        changed = await rows.restore()
        if changed and (method == "GET" or answer.status_code >= 400):
            wrong[role] = f"{answer.status_code} changed {changed}"
    assert wrong == {}
