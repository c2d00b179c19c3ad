"""What lists hold: one's own, one's hub's, one's town's, and nothing besides."""

from typing import Any

import pytest

from tests.service.matrix.calls import CALLS
from tests.service.matrix.roles import HEADERS, MACHINES, PEOPLE
from tests.service.matrix.scene import Scene

pytestmark = pytest.mark.asyncio(loop_scope="session")
PERSONS = list(PEOPLE)


async def items(scene: Scene, service: str, role: str, path: str, **params: Any) -> list[dict[str, Any]]:
    client = getattr(scene.street, service).client
    answer = await client.get(path, params=params, headers=HEADERS[role])
    assert answer.status_code == 200, answer.text
    assert answer.json()["next"] is None
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


@pytest.mark.parametrize("role", PERSONS)
async def test_my_bookings_are_mine(scene: Scene, role: str):
    found = {booking["id"] for booking in await items(scene, "booking", role, "/v1/bookings")}

    whose = {
        "member": scene.things["mine"], "other": scene.things["theirs"], "operator-abroad": scene.things["guest"]
    }.get(role)  # fmt: skip
    rows = await scene.street.booking.sql("SELECT id::text, sub FROM booking")
    assert found == {row["id"] for row in rows if whose and row["sub"] == whose.sub}
    assert len(found) == {"member": 3, "other": 3, "operator-abroad": 1}.get(role, 0)


@pytest.mark.parametrize("role", PERSONS)
async def test_my_grants_are_mine_whichever_booking_is_asked_for(scene: Scene, role: str):
    whose = {"member": "mine", "other": "theirs", "operator-abroad": "guest"}.get(role, "")
    everything = await items(scene, "access", role, "/v1/grants")
    assert len(everything) == {"mine": 2, "theirs": 2, "guest": 1}.get(whose, 0)
    for name in ("mine", "theirs", "abroad", "guest"):
        thing = scene.things[name]
        found = await items(scene, "access", role, "/v1/grants", booking_id=thing.booking["id"])
        assert [grant["id"] for grant in found] == ([thing.grant] if name == whose else [])


@pytest.mark.parametrize(("role", "hub"), [("operator", "bendorf"), ("operator-abroad", "mayen")])
async def test_a_day_list_holds_its_hubs_bookings_only(scene: Scene, role: str, hub: str):
    rows = await scene.street.booking.sql(
        "SELECT DISTINCT (starts_at AT TIME ZONE 'Europe/Berlin')::date AS day FROM booking"
    )
    found = [
        booking
        for row in rows
        for booking in await items(scene, "booking", role, f"/v1/hubs/{hub}/bookings", date=row["day"].isoformat())
    ]
    assert {booking["hub"] for booking in found} == {hub}
    assert len({booking["id"] for booking in found}) == (7 if hub == "bendorf" else 3)


@pytest.mark.parametrize(
    ("role", "own", "foreign"),
    [("finance", "here", "abroad"), ("finance-abroad", "abroad", "here")],
)
async def test_a_town_can_neither_list_nor_load_anothers_batch(scene: Scene, role: str, own: str, foreign: str):
    mine, others = scene.things[own], scene.things[foreign]
    listed = await items(scene, "billing", role, "/v1/exports", operator=mine.town)
    assert [(batch["id"], batch["operator"]) for batch in listed] == [(mine.batch, mine.town)]
    client, headers = scene.street.billing.client, HEADERS[role]
    for path, params in (
        ("/v1/exports", {"operator": others.town}),
        ("/v1/exports/preview", {"operator": others.town}),
        ("/v1/clearing", {"operator": others.town}),
        (f"/v1/exports/{others.batch}", {}),
        (f"/v1/exports/{others.batch}/file", {}),
        (f"/v1/documents/{others.document}", {}),
        ("/v1/documents", {"booking_id": others.booking["id"]}),
        ("/v1/payments", {"booking_id": others.booking["id"]}),
    ):
        answer = await client.get(path, params=params, headers=headers)
        assert answer.status_code == 404, path
        # Not even that it exists: a batch that nobody has is refused with the same words.
        assert others.batch not in answer.text
    # Two towns in one request, in either order, are refused or mean the own town.
    for towns in ((mine.town, others.town), (others.town, mine.town)):
        answer = await client.get("/v1/exports", params=[("operator", town) for town in towns], headers=headers)
        assert others.batch not in answer.text


async def test_the_clearing_list_without_a_town_holds_what_the_caller_may_see(scene: Scene):
    seen = {
        role: {case["operator"] for case in await items(scene, "billing", role, "/v1/clearing")}
        for role in ("finance", "finance-abroad", "county-finance")
    }
    assert seen == {
        "finance": {"stadt-bendorf"}, "finance-abroad": {"stadt-mayen"},
        "county-finance": {"stadt-bendorf", "stadt-mayen", ""},
    }  # fmt: skip


async def test_one_does_not_close_a_foreign_room_by_way_of_ones_own_hub(scene: Scene):
    crossed = CALLS["booking"]["POST /v1/hubs/{slug}/closures"](scene, "here", scene.things["here"])
    crossed.json["resource_id"] = str(scene.things["abroad"].resource)
    answer = await scene.street.booking.client.post(
        crossed.path, json=crossed.json, headers=HEADERS["operator"] | crossed.headers
    )
    assert answer.status_code == 404, answer.text
    assert await scene.rows["booking"].changed() == []


@pytest.mark.parametrize("role", MACHINES)
async def test_machines_have_no_lists(scene: Scene, role: str):
    for service, path in (("booking", "/v1/bookings"), ("access", "/v1/grants"), ("billing", "/v1/clearing")):
        answer = await getattr(scene.street, service).client.get(path, headers=HEADERS[role])
        assert answer.status_code in {401, 403}, (service, answer.text)
