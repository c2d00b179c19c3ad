"""What ends: persons, PINs, keys."""

from datetime import timedelta

from regiohub_access.repo.sealing import Vault
from regiohub_access.usecases.housekeeping import keep_house
from regiohub_access.usecases.keys import published_keys, signing_key
from regiohub_shared import clock
from tests.service.access.world import MEMBER, FakeReader, Phone, World, later, line, make_fact
from tests.support.tokens import bearer

PRIVACY = bearer("svc", "service", azp="regiohub-privacy")


async def test_a_person_can_have_and_erase_all_of_it(world: World):
    await world.set_up()
    fact = make_fact()
    await world.hears(fact)
    grant = await world.grant_of(fact)
    pass_id = (await world.asks_pass(grant["id"], Phone())).json()["id"]
    reader = FakeReader()
    pin_id = (await world.syncs(reader)).pins.entries[0].pin_id
    await world.syncs(reader, reader.event(pass_id=pass_id), reader.event("denied", kind="pin", pin_id=pin_id))

    exported = (await world.client.get(f"/internal/subjects/{MEMBER}", headers=PRIVACY)).json()
    erased = await world.client.delete(f"/internal/subjects/{MEMBER}", headers=PRIVACY)
    empty = (await world.client.get(f"/internal/subjects/{MEMBER}", headers=PRIVACY)).json()
    await world.hears(later(fact, "checked_in", 3))

    assert [item["id"] for item in exported["grants"]] == [grant["id"]]
    assert [item["id"] for item in exported["passes"]] == [pass_id]
    assert len(exported["door_events"]) == 2
    assert erased.json() == {"grants": 1}
    assert (empty["grants"], empty["passes"], empty["door_events"]) == ([], [], [])
    assert [tuple(row) for row in await world.rows('SELECT sub, status FROM "grant"')] == [(None, "revoked")]
    assert await world.rows("SELECT 1 FROM pass UNION ALL SELECT 1 FROM pin UNION ALL SELECT 1 FROM holder_key") == []
    answer = await world.syncs(FakeReader())
    assert [entry.id for entry in answer.denylist.entries] == [pass_id]
    assert len(await world.rows("SELECT 1 FROM door_event")) == 2


async def test_persons_are_for_named_services_only(world: World):
    for headers in (bearer(MEMBER, "member"), bearer("s", "service", azp="regiohub-seed")):
        for method in ("GET", "DELETE"):
            answer = await world.client.request(method, f"/internal/subjects/{MEMBER}", headers=headers)
            assert answer.status_code == 403


async def keep(world: World, after: timedelta) -> None:
    async with world.db.session() as session:
        await keep_house(
            session, vault=world.app.state.vault, allowed_days=30, denied_days=90, now=clock.now() + after,
            real_now=clock.real_now() + after,
        )  # fmt: skip


async def test_an_ended_grant_loses_its_pin_and_frees_it(world: World):
    await world.set_up()
    fact = make_fact(lines=(line(start=-60, end=5),))
    await world.hears(fact)

    await keep(world, timedelta(minutes=14))
    assert len(await world.rows("SELECT 1 FROM pin")) == 1
    await keep(world, timedelta(minutes=16))

    assert await world.rows("SELECT 1 FROM pin") == []


async def test_keys_rotate_before_they_sign(world: World):
    vault, start = world.app.state.vault, clock.real_now()

    async def at(days: int) -> tuple[bytes, int]:
        now = start + timedelta(days=days)
        await keep(world, timedelta(days=days))
        async with world.db.session() as session:
            signing = await signing_key(session, vault, real_now=now)
            return signing.kid, len(await published_keys(session, real_now=now))

    first = await at(0)
    ahead = await at(84)
    second = await at(91)
    late = await at(135)

    assert (first[1], ahead[1], second[1], late[1]) == (1, 2, 2, 1)
    assert first[0] == ahead[0] != second[0] == late[0]


async def test_old_passes_are_forgotten(world: World):
    await world.set_up()
    fact = make_fact()
    await world.hears(fact)
    await world.asks_pass((await world.grant_of(fact))["id"], Phone())

    await keep(world, timedelta(days=100))

    assert await world.rows("SELECT 1 FROM pass UNION ALL SELECT 1 FROM holder_key") == []


async def test_pages_of_grants_follow_one_another(world: World):
    await world.set_up()
    for _ in range(52):
        await world.hears(make_fact())
    first = await world.client.get("/v1/grants", headers=bearer(MEMBER, "member"))
    cursor = first.json()["next"]

    second = await world.client.get("/v1/grants", params={"cursor": cursor}, headers=bearer(MEMBER, "member"))

    ids = [item["id"] for item in first.json()["items"] + second.json()["items"]]
    assert len(set(ids)) == len(ids) == 52
    assert second.json()["next"] is None
    assert first.headers["link"] == f'<?cursor={cursor}>; rel="next"'


async def test_a_new_secret_key_reads_what_the_old_one_wrote(world: World):
    await world.set_up()
    fact = make_fact()
    await world.hears(fact)
    pin = (await world.grant_of(fact))["pin"]

    world.app.state.vault = Vault([bytes([7]) * 32, bytes(32)])

    assert (await world.grant_of(fact))["pin"] == pin
    assert (await world.syncs(FakeReader())).pins.entries[0].pin == pin


async def test_the_schema_names_each_route_and_problem(world: World):
    schema = (await world.client.get("/openapi.json")).json()

    assert schema["openapi"].startswith("3.1")
    assert "/v1/readers/{reader_id}/sync" in schema["paths"]
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (path, method)
