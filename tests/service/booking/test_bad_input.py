"""Bad input gets its named problem, and afterwards every row of every table is as before."""

import time
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from regiohub_shared.clock import now
from tests.service.booking.world import (
    ACCESS,
    BILLING,
    BUFFERED,
    COUNTY,
    DESK,
    FOREIGN_OPERATOR,
    HALL,
    LEFT,
    MEMBER,
    OFFICE,
    OPERATOR,
    OTHER,
    RESOURCES,
    World,
    resource,
    running,
    tomorrow,
)
from tests.support.pg import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="stage")
async def _stage(cluster: Cluster) -> AsyncIterator[tuple[World, dict[str, Any], str]]:
    """One database for all cases: they leave no trace. It holds a paid booking, a hold and a closure."""
    with cluster.database("booking") as urls:
        async with running(urls) as world:
            await world.book((BUFFERED, tomorrow(12), tomorrow(13)))
            yield world, *(await _furnish(world))


KEY = {"Idempotency-Key": "k"}
V1 = {"If-Match": '"1"'}


def wish(start: str | None, end: str | None, resource_id: object = DESK) -> dict[str, Any]:
    return {"lines": [{"resource_id": str(resource_id), "start": start, "end": end}]}


def later(hours: float = 0) -> str:
    return (tomorrow(9) + timedelta(hours=hours)).isoformat()


GOOD = wish(later(2), later(3))

BOOKINGS: list[tuple[str, Any, Mapping[str, str], int, str]] = [
    ("no zone", wish("2027-01-05T09:00:00", "2027-01-05T10:00:00"), KEY, 422, "malformed"),
    ("a number as time", wish(0, 3600), KEY, 422, "malformed"),  # type: ignore[arg-type]
    ("a number as text", wish("1800000000", "1800003600"), KEY, 422, "malformed"),
    ("a date as time", wish("2027-01-05", "2027-01-06"), KEY, 422, "malformed"),
    ("no end", wish(later(), None), KEY, 422, "malformed"),
    ("end before start", wish(later(1), later()), KEY, 422, "end-before-start"),
    ("empty", wish(later(), later()), KEY, 422, "end-before-start"),
    ("gap of spring", wish("2027-03-28T02:30:00+01:00", "2027-03-28T04:00:00+02:00"), KEY, 422, "nonexistent-local-time"),
    ("gap at the end", wish("2027-03-28T01:00:00+01:00", "2027-03-28T02:30:00+01:00"), KEY, 422, "nonexistent-local-time"),
    ("year 1", wish("0001-01-01T00:00:00Z", "0001-01-01T01:00:00Z"), KEY, 422, "malformed"),
    ("year 9999", wish("9999-12-31T00:00:00Z", "9999-12-31T01:00:00Z"), KEY, 422, "malformed"),
    ("unknown resource", wish(later(), later(1), uuid4()), KEY, 404, "not-found"),
    ("no uuid", wish(later(), later(1), "desk"), KEY, 422, "malformed"),
    ("no lines", {"lines": []}, KEY, 422, "malformed"),
    ("too many lines", {"lines": GOOD["lines"] * 51}, KEY, 422, "malformed"),
    ("unknown member", GOOD | {"sub": "someone"}, KEY, 422, "malformed"),
    ("a list", [], KEY, 422, "malformed"),
    ("lines overlap", {"lines": GOOD["lines"] * 2}, KEY, 409, "lines-overlap"),
    ("hall and half", {"lines": GOOD["lines"] and wish(later(), later(1), HALL)["lines"] + wish(later(), later(1), LEFT)["lines"]},
     KEY, 409, "lines-overlap"),
    ("no key", GOOD, {}, 400, "idempotency-key-missing"),
    ("empty key", GOOD, {"Idempotency-Key": '""'}, 400, "idempotency-key-missing"),
    ("long key", GOOD, {"Idempotency-Key": "x" * 256}, 422, "malformed"),
    ("off grid", wish((tomorrow(9) + timedelta(minutes=7)).isoformat(), later(1)), KEY, 409, "off-grid"),
    ("past", wish((now() - timedelta(days=1)).isoformat(), later(1)), KEY, 409, "in-the-past"),
    ("far", wish((tomorrow(9) + timedelta(days=500)).isoformat(), (tomorrow(10) + timedelta(days=500)).isoformat()),
     KEY, 409, "beyond-horizon"),
    ("two hundred years", wish(later(), "2200-12-31T00:00:00Z"), KEY, 409, "beyond-horizon"),
    ("closed", wish(tomorrow(3).isoformat(), tomorrow(4).isoformat(), OFFICE), KEY, 409, "outside-opening-hours"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "headers", "status", "kind"), BOOKINGS, ids=[row[0] for row in BOOKINGS])
async def test_a_bad_booking_leaves_no_trace(
    stage: tuple[World, dict[str, Any], str], name: str, body: Any, headers: Mapping[str, str], status: int, kind: str
) -> None:
    world, _booking, _closure = stage
    before = await world.rows()

    answer = await world.client.post("/v1/bookings", json=body, headers=MEMBER | dict(headers))

    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{kind}"), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert await world.rows() == before


@pytest.mark.parametrize("raw", [b"{", b"\xff", b'{"lines": NaN}', b"", b"[" * 2000])
async def test_broken_json_leaves_no_trace(stage: tuple[World, dict[str, Any], str], raw: bytes) -> None:
    world, _booking, _closure = stage
    before = await world.rows()

    answer = await world.client.post(
        "/v1/bookings", content=raw, headers=MEMBER | KEY | {"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/malformed")
    assert await world.rows() == before


async def _furnish(world: World) -> tuple[dict[str, Any], str]:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.pay(booking)
    closure = await world.post(
        "/v1/hubs/bendorf/closures",
        {"resource_id": str(LEFT), "start": later(5), "end": later(6), "reason": "Putzen"}, by=OPERATOR,
    )  # fmt: skip
    return booking, closure.json()["id"]


CASES: list[tuple[str, str, str, Any, Mapping[str, str], int, str]] = [
    ("other's booking", "GET", "/v1/bookings/{booking}", None, OTHER, 404, "not-found"),
    ("foreign hub's booking", "GET", "/v1/bookings/{booking}", None, FOREIGN_OPERATOR, 404, "not-found"),
    ("unknown booking", "GET", "/v1/bookings/{new}", None, MEMBER, 404, "not-found"),
    ("no uuid", "GET", "/v1/bookings/x", None, MEMBER, 422, "malformed"),
    ("cancel other's", "POST", "/v1/bookings/{booking}/cancel", None, OTHER | {"If-Match": '"2"'}, 404, "not-found"),
    ("cancel in foreign hub", "POST", "/v1/bookings/{booking}/cancel", None, FOREIGN_OPERATOR | {"If-Match": '"2"'}, 404,
     "not-found"),
    ("cancel without version", "POST", "/v1/bookings/{booking}/cancel", None, MEMBER, 428, "precondition-required"),
    ("cancel an old version", "POST", "/v1/bookings/{booking}/cancel", None, MEMBER | V1, 412, "precondition-failed"),
    ("cancel with nonsense", "POST", "/v1/bookings/{booking}/cancel", None, MEMBER | {"If-Match": "* *"}, 400,
     "invalid-if-match"),
    ("cancel with a weak tag", "POST", "/v1/bookings/{booking}/cancel", None, MEMBER | {"If-Match": 'W/"2"'}, 412,
     "precondition-failed"),
    ("cancel with a bare number", "POST", "/v1/bookings/{booking}/cancel", None, MEMBER | {"If-Match": "2"}, 400,
     "invalid-if-match"),
    ("check in oneself", "POST", "/v1/bookings/{booking}/check-in", None, MEMBER, 403, "forbidden"),
    ("check in in foreign hub", "POST", "/v1/bookings/{booking}/check-in", None, FOREIGN_OPERATOR, 404, "not-found"),
    ("foreign day list", "GET", "/v1/hubs/bendorf/bookings?date=2027-01-05", None, FOREIGN_OPERATOR, 403, "forbidden"),
    ("member's day list", "GET", "/v1/hubs/bendorf/bookings?date=2027-01-05", None, MEMBER, 403, "forbidden"),
    ("day list of no day", "GET", "/v1/hubs/bendorf/bookings?date=2027-02-30", None, OPERATOR, 422, "malformed"),
    ("bad cursor", "GET", "/v1/bookings?cursor=%21", None, MEMBER, 422, "invalid-cursor"),
    ("bad limit", "GET", "/v1/bookings?limit=0", None, MEMBER, 422, "malformed"),
    ("no login", "GET", "/v1/bookings", None, {}, 401, "unauthorized"),
    ("bad token", "GET", "/v1/bookings", None, {"Authorization": "Bearer x"}, 401, "invalid-token"),
    ("edit a foreign room", "PATCH", f"/v1/resources/{DESK}", {"cents_per_hour": 1}, FOREIGN_OPERATOR | V1, 403, "forbidden"),
    ("edit as member", "PATCH", f"/v1/resources/{DESK}", {"cents_per_hour": 1}, MEMBER | V1, 403, "forbidden"),
    ("edit without version", "PATCH", f"/v1/resources/{DESK}", {"cents_per_hour": 1}, OPERATOR, 428, "precondition-required"),
    ("edit an old version", "PATCH", f"/v1/resources/{DESK}", {"cents_per_hour": 1}, OPERATOR | {"If-Match": '"7"'}, 412,
     "precondition-failed"),
    ("negative price", "PATCH", f"/v1/resources/{DESK}", {"cents_per_hour": -1}, OPERATOR | V1, 422, "malformed"),
    ("huge price", "PATCH", f"/v1/resources/{DESK}", {"cents_per_hour": 10**12}, OPERATOR | V1, 422, "malformed"),
    ("a price that nobody can pay", "PATCH", f"/v1/resources/{DESK}", {"cents_per_hour": 49}, OPERATOR | V1, 422, "price-too-low"),
    ("a new price that nobody can pay", "PUT", "/v1/resources/{new}", resource("x", cents_per_hour=1), COUNTY, 422,
     "price-too-low"),
    ("float price", "PATCH", f"/v1/resources/{DESK}", {"cents_per_hour": 1.5}, OPERATOR | V1, 422, "malformed"),
    ("null price", "PATCH", f"/v1/resources/{DESK}", {"cents_per_hour": None}, OPERATOR | V1, 422, "empty-patch"),
    ("empty edit", "PATCH", f"/v1/resources/{DESK}", {}, OPERATOR | V1, 422, "empty-patch"),
    ("move a room", "PATCH", f"/v1/resources/{DESK}", {"hub": "mayen"}, OPERATOR | V1, 422, "malformed"),
    ("NUL in a name", "PATCH", f"/v1/resources/{DESK}", {"name": "a\x00b"}, OPERATOR | V1, 422, "malformed"),
    ("min over max", "PATCH", f"/v1/resources/{DESK}", {"min_minutes": 3000}, OPERATOR | V1, 422, "duration-upside-down"),
    ("unknown room", "PATCH", "/v1/resources/{new}", {"name": "x"}, OPERATOR | V1, 404, "not-found"),
    ("hours upside down", "PUT", "/v1/hubs/bendorf/opening-hours",
     {"opening_hours": [{"weekday": 1, "opens": "12:00", "closes": "08:00"}]}, OPERATOR | V1, 422, "hours-overlap"),
    ("hours overlap", "PUT", "/v1/hubs/bendorf/opening-hours",
     {"opening_hours": [{"weekday": 1, "opens": "08:00", "closes": "12:00"}, {"weekday": 1, "opens": "11:00", "closes": "13:00"}]},
     OPERATOR | V1, 422, "hours-overlap"),
    ("no clock", "PUT", "/v1/hubs/bendorf/opening-hours",
     {"opening_hours": [{"weekday": 1, "opens": "25:00", "closes": "26:00"}]}, OPERATOR | V1, 422, "malformed"),
    ("foreign hours", "PUT", "/v1/hubs/bendorf/opening-hours", {"opening_hours": []}, FOREIGN_OPERATOR | V1, 403, "forbidden"),
    ("unknown hub's hours", "PUT", "/v1/hubs/nowhere/opening-hours", {"opening_hours": []}, OPERATOR | V1, 404, "not-found"),
    ("close a foreign hub", "POST", "/v1/hubs/bendorf/closures",
     {"all": True, "start": later(), "end": later(1), "reason": "x"}, FOREIGN_OPERATOR | KEY, 403, "forbidden"),
    ("close a room of another hub", "POST", "/v1/hubs/mayen/closures",
     {"resource_id": str(DESK), "start": later(), "end": later(1), "reason": "x"}, FOREIGN_OPERATOR | KEY, 404, "not-found"),
    ("close nothing", "POST", "/v1/hubs/bendorf/closures", {"start": later(), "end": later(1), "reason": "x"},
     OPERATOR | KEY, 422, "closure-target"),
    ("close both", "POST", "/v1/hubs/bendorf/closures",
     {"all": True, "resource_id": str(DESK), "start": later(), "end": later(1), "reason": "x"}, OPERATOR | KEY, 422,
     "closure-target"),
    ("close the past", "POST", "/v1/hubs/bendorf/closures",
     {"all": True, "start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z", "reason": "x"}, OPERATOR | KEY, 409,
     "closure-in-the-past"),
    ("close in the gap", "POST", "/v1/hubs/bendorf/closures",
     {"all": True, "start": "2027-03-28T02:30:00+01:00", "end": "2027-03-29T02:30:00+02:00", "reason": "x"},
     OPERATOR | KEY, 422, "nonexistent-local-time"),
    ("close over a booking", "POST", "/v1/hubs/bendorf/closures",
     {"all": True, "start": later(), "end": later(1), "reason": "x"}, OPERATOR | KEY, 409, "closure-conflicts"),
    ("close without key", "POST", "/v1/hubs/bendorf/closures",
     {"all": True, "start": later(), "end": later(1), "reason": "x"}, OPERATOR, 400, "idempotency-key-missing"),
    ("lift a foreign closure", "DELETE", "/v1/closures/{closure}", None, FOREIGN_OPERATOR, 403, "forbidden"),
    ("lift no closure", "DELETE", "/v1/closures/{new}", None, OPERATOR, 404, "not-found"),
    ("county's put by an operator", "PUT", f"/v1/resources/{DESK}", RESOURCES[DESK], OPERATOR | V1, 403, "forbidden"),
    ("put without version", "PUT", f"/v1/resources/{DESK}", RESOURCES[DESK] | {"name": "New"}, COUNTY, 428,
     "precondition-required"),
    ("put an old version", "PUT", f"/v1/resources/{DESK}", RESOURCES[DESK] | {"name": "New"}, COUNTY | {"If-Match": '"9"'},
     412, "precondition-failed"),
    ("put what does not exist under a version", "PUT", "/v1/resources/{new}", resource("x"), COUNTY | {"If-Match": "*"},
     412, "precondition-failed"),
    ("move to another hub", "PUT", f"/v1/resources/{DESK}", RESOURCES[DESK] | {"hub": "mayen"}, COUNTY | V1, 409, "hub-is-fixed"),
    ("unknown hub", "PUT", "/v1/resources/{new}", resource("x", hub="nowhere"), COUNTY, 404, "not-found"),
    ("unknown tax code", "PUT", "/v1/resources/{new}", resource("x", tax_code="X1"), COUNTY, 422, "malformed"),
    ("unknown part", "PUT", "/v1/resources/{new}", resource("x", parts=[str(uuid4())]), COUNTY, 404, "not-found"),
    ("a whole as part", "PUT", "/v1/resources/{new}", resource("x", parts=[str(HALL)]), COUNTY, 409, "invalid-parts"),
    ("a part with parts", "PUT", f"/v1/resources/{LEFT}", RESOURCES[LEFT] | {"parts": [str(DESK)]}, COUNTY | V1, 409,
     "invalid-parts"),
    ("parts in use", "PUT", f"/v1/resources/{HALL}", RESOURCES[HALL] | {"parts": [str(DESK)]}, COUNTY | V1, 409, "parts-in-use"),
    ("bad slug", "PUT", "/v1/operators/Stadt%20X", {"name": "x"}, COUNTY, 422, "malformed"),
    ("hub of no operator", "PUT", "/v1/hubs/new", {"operator": "nobody", "name": "x"}, COUNTY, 404, "not-found"),
    ("hub to another operator", "PUT", "/v1/hubs/bendorf", {"operator": "stadt-mayen", "name": "x"}, COUNTY | V1, 409,
     "hub-is-fixed"),
    ("other zone", "PUT", "/v1/hubs/new", {"operator": "stadt-mayen", "name": "x", "time_zone": "Mars/Base"}, COUNTY, 422,
     "malformed"),
    *(
        (f"{name} on {day}", "GET", path + day, None, who, 422, "malformed")
        for day in ("9999-12-31", "0001-01-01", "1999-12-31", "2201-01-01", "0", "1799971200")
        for name, path, who in (
            ("slots", f"/v1/resources/{DESK}/slots?date=", {}),
            ("availability", "/v1/availability?hub=bendorf&from=09:00&to=10:00&date=", {}),
            ("day list", "/v1/hubs/bendorf/bookings?date=", OPERATOR),
        )
    ),
    *(
        (f"wall time {clock}", "GET", f"/v1/availability?hub=bendorf&date=2027-10-30&to=12:00&from={clock}", None, {}, 422,
         "malformed")
        for clock in ("09:00%2B02:00", "09:00Z", "32400", "24:30")
    ),
    ("dead mails by an operator", "GET", "/v1/dead-mails", None, OPERATOR, 403, "forbidden"),
    ("check in too early", "POST", "/v1/bookings/{booking}/check-in", None, OPERATOR, 409, "too-early"),
    ("availability without slot", "GET", "/v1/availability?hub=bendorf", None, {}, 422, "slot-missing"),
    ("availability in the gap", "GET", "/v1/availability?hub=bendorf&date=2027-03-28&from=02:30&to=05:00", None, {}, 422,
     "nonexistent-local-time"),
    ("availability in the fold", "GET", "/v1/availability?hub=bendorf&date=2027-10-31&from=02:30&to=05:00", None, {}, 422,
     "ambiguous-local-time"),
    ("availability nowhere", "GET", "/v1/availability?hub=nowhere&date=2027-10-30&from=02:30&to=05:00", None, {}, 404,
     "not-found"),
    ("availability upside down", "GET", "/v1/availability?hub=bendorf&date=2027-10-30&from=05:30&to=05:00", None, {}, 422,
     "end-before-start"),
    ("slots too short", "GET", f"/v1/resources/{OFFICE}/slots?date=2027-01-05&minutes=30", None, {}, 409, "too-short"),
    ("slots too long", "GET", f"/v1/resources/{OFFICE}/slots?date=2027-01-05&minutes=600", None, {}, 409, "too-long"),
    ("member's fact", "POST", "/internal/events", {}, MEMBER, 403, "forbidden"),
    ("malformed fact", "POST", "/internal/events", {}, BILLING, 422, "malformed"),
    ("member's export", "GET", "/internal/subjects/member-1", None, MEMBER, 403, "forbidden"),
    ("billing's erasure", "DELETE", "/internal/subjects/member-1", None, BILLING, 403, "forbidden"),
    ("unknown address", "GET", "/v1/nothing", None, MEMBER, 404, "not-found"),
    ("unknown method", "DELETE", "/v1/hubs", None, MEMBER, 405, "method-not-allowed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "method", "path", "body", "headers", "status", "kind"), CASES, ids=[c[0] for c in CASES]
)
async def test_a_bad_request_leaves_no_trace(
    stage: tuple[World, dict[str, Any], str],
    name: str,
    method: str,
    path: str,
    body: Any,
    headers: Mapping[str, str],
    status: int,
    kind: str,
) -> None:
    world, booking, closure = stage
    before = await world.rows()

    target = path.format(booking=booking["id"], closure=closure, new=uuid4())
    answer = await world.client.request(method, target, json=body, headers=dict(headers))

    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{kind}"), answer.text
    assert await world.rows() == before


@pytest.mark.parametrize("end", ["2200-12-31T00:00:00Z", "2150-01-01T00:00:00Z"])
async def test_a_slot_of_centuries_costs_nothing(stage: tuple[World, dict[str, Any], str], end: str) -> None:
    """Counting each day's hours would stop everybody for a quarter of a minute."""
    world, _booking, _closure = stage
    await world.client.get("/v1/hubs")
    started = time.perf_counter()

    shown = await world.client.get("/v1/availability", params={"start": later(), "end": end})
    refused = await world.client.post("/v1/bookings", json=wish(later(), end), headers=MEMBER | KEY)

    assert time.perf_counter() - started < 1
    assert {item["refusal"] for item in shown.json()["items"]} == {"beyond-horizon"}
    assert refused.json()["type"] == "/problems/beyond-horizon"


async def test_a_fact_from_the_wrong_service_leaves_no_trace(stage: tuple[World, dict[str, Any], str]) -> None:
    world, booking, _closure = stage
    before = await world.rows()

    assert (await world.open_door(booking, now(), by=BILLING)).status_code == 422
    data = {"payment_id": str(uuid4()), "booking_id": booking["id"]}
    assert (await world.fact("regiohub.payment.changed", "x", 1, data, by=BILLING)).status_code == 422
    assert (await world.fact("regiohub.booking.changed", "x", 1, {}, by=ACCESS)).status_code == 422
    assert (await world.pay(booking | {"id": str(uuid4())})).status_code == 404

    assert await world.rows() == before
