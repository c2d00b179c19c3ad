"""The gateway's own pages and its proxy: every route, every role, every object."""

from typing import Any

import httpx
import pytest

from tests.service.gateway.fakes import ORIGIN
from tests.service.matrix.calls import CALLS
from tests.service.matrix.roles import HEADERS, PEOPLE, ROLES, SUBS
from tests.service.matrix.site import Site
from tests.service.matrix.table import Row, read_table, routes_of
from tests.service.matrix.test_services import SERVICES, TABLES
from tests.service.matrix.visits import VISITS, thing_of

PAGES, PROXY = read_table("gateway"), read_table("proxy")
pytestmark = pytest.mark.asyncio(loop_scope="session")


def word(answer: httpx.Response) -> str:
    """The answer as the table writes it: ``login`` and ``go`` for the two meanings of a redirect, else the status."""
    if answer.status_code != 303:
        return str(answer.status_code)
    to = answer.headers["location"]
    return "login" if to.startswith("/auth/login?return_to=") else "go"


def is_refusal(what: str) -> bool:
    return what == "login" or (what.isdigit() and what >= "400")


async def test_the_table_names_every_route_and_no_other(site: Site):
    routes = routes_of(site.pages)

    assert {row.route for row in PAGES} == routes
    assert VISITS.keys() == routes


@pytest.mark.parametrize("row", PAGES, ids=str)
async def test_each_role_gets_what_the_table_says(site: Site, row: Row):
    method, wrong = row.route.split(" ")[0], {}
    thing = thing_of(site.scene, row.object)
    for role in ROLES:
        site.scene.street.booking.userinfo.sub = SUBS[role]
        visit = VISITS[row.route](thing)
        async with site.as_role(role) as (browser, headers):
            if visit.fields is None:
                answer = await browser.send(method, visit.path, headers=headers)
            else:
                answer = await browser.post(visit.path, visit.fields, headers=headers)
        if word(answer) != row.cells[role]:
            wrong[role] = f"{row.cells[role]} expected, {word(answer)}: {answer.headers.get('location', '')}"
        changed = await site.put_back()
        if changed and (method == "GET" or is_refusal(word(answer))):
            wrong[role] = f"{word(answer)} changed {changed}"
    assert wrong == {}


FORMS = sorted(route for route in VISITS if route.startswith("POST") and "backchannel" not in route)


@pytest.mark.parametrize("route", FORMS)
async def test_a_form_of_another_site_or_session_changes_nothing(site: Site, route: str):
    """Whoever may do it is tried: the county's admin, or the finance office for its pages, or the member."""
    for role in ("member", "operator", "finance", "county-admin"):
        visit = VISITS[route](thing_of(site.scene, "mine"))
        async with site.as_role(role) as (browser, _):
            foreign = await browser.post(visit.path, visit.fields or {}, headers={"origin": "http://evil.test"})
            other = await browser.post(visit.path, (visit.fields or {}) | {"csrf": "x"})
        assert (foreign.status_code, other.status_code) == (403, 403), role
        assert await site.put_back() == []


def is_open(row: Row) -> bool:
    """Whether the gateway has a route to it."""
    path = row.route.split(" ")[1]
    return path.startswith("/v1/") or path == "/openapi.json"


READS = [(name, row) for name in SERVICES for row in TABLES[name] if is_open(row) and row.route.startswith("GET ")]
CLOSED = [(name, row) for name in SERVICES for row in TABLES[name] if not is_open(row)]


def ids(value: Any) -> str:
    return str(value)


async def by_proxy(site: Site, name: str, row: Row, role: str) -> httpx.Response:
    """People come with their session, machines with their token."""
    call = CALLS[name][row.route](site.scene, row.object, thing_of(site.scene, row.object))
    async with site.as_role(role) as (browser, token):
        return await browser.api(
            row.route.split(" ")[0], f"/api/{name}{call.path}", params=call.params, json=call.json,
            headers=token | call.headers | {"accept": "application/json"},
        )  # fmt: skip


@pytest.mark.parametrize(("name", "row"), READS, ids=ids)
async def test_what_the_services_say_reaches_the_caller(site: Site, name: str, row: Row):
    got = {role: str((await by_proxy(site, name, row, role)).status_code) for role in ROLES}

    assert got == row.cells
    assert await site.put_back() == []


@pytest.mark.parametrize(("name", "row"), CLOSED, ids=ids)
async def test_what_is_not_public_has_no_route(site: Site, name: str, row: Row):
    got = {(await by_proxy(site, name, row, role)).status_code for role in ROLES}

    assert got == {404}
    assert await site.put_back() == []


async def send(site: Site, row: Row, role: str) -> httpx.Response:
    """Send as the table's column ``object`` says."""
    method, path = row.route.split(" ")
    name = path.split("/")[2]
    call = None
    if name in CALLS:
        own = f"{method} {path.removeprefix(f'/api/{name}')}"
        call = CALLS[name][own](site.scene, "signed", site.scene.things["mine"]) if own in CALLS[name] else None
    more: dict[str, Any] = {"json": call.json, "content": call.content} if call else {}
    headers = {"origin": ORIGIN, "x-requested-with": "RegioHub", "accept": "application/json"}
    if row.object == "no header":
        del headers["x-requested-with"]
    if row.object == "foreign origin":
        headers["origin"] = "http://evil.test"
    async with site.as_role(role) as (browser, token):
        headers |= token | (call.headers if call else {})
        if row.object in {"bearer", "both"}:
            headers |= HEADERS[role]
        if row.object == "bearer":
            browser.cookies = {}
        return await browser.send(method, path, headers=headers, **more)


@pytest.mark.parametrize("row", PROXY, ids=str)
async def test_the_proxys_rules(site: Site, row: Row):
    wrong = {}
    for role in ROLES:
        site.scene.street.booking.userinfo.sub = SUBS[role]
        answer = await send(site, row, role)
        if str(answer.status_code) != row.cells[role]:
            wrong[role] = f"{row.cells[role]} expected, {answer.status_code}: {answer.text[:200]}"
        changed = await site.put_back()
        if changed and answer.status_code >= 400:
            wrong[role] = f"{answer.status_code} changed {changed}"
    assert wrong == {}


async def test_every_person_has_a_session(site: Site):
    for role in ROLES:
        async with site.as_role(role) as (browser, headers):
            said = (await browser.send("GET", "/auth/session", headers=headers)).json()
        assert said.get("sub", "") == (SUBS[role] if role in PEOPLE else "")
