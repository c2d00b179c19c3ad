"""Sellers, roles, a member's data, schema and health."""

import asyncio
from datetime import timedelta
from typing import Any
from unittest.mock import AsyncMock

import pytest

from regiohub_billing.usecases import intents
from regiohub_billing.worker import tidy
from regiohub_shared.clock import real_now
from regiohub_shared.ids import new_id
from tests.service.billing.world import (
    BUYER,
    MEMBER,
    SELLER,
    World,
    a_booking,
    county,
    member,
    service,
)

ADMIN = county("county-admin")


async def test_a_seller_is_replaced_under_its_etag_and_repeated_freely(world: World):
    path = "/v1/sellers/stadt-bendorf"
    same = await world.put_seller()
    blind = await world.put_seller(name="Anders")
    stale = await world.client.put(path, json=SELLER | {"name": "Anders"}, headers=ADMIN | {"If-Match": '"7"'})
    weak = await world.client.put(path, json=SELLER | {"name": "Anders"}, headers=ADMIN | {"If-Match": 'W/"1"'})
    good = await world.client.put(path, json=SELLER | {"name": "Anders"}, headers=ADMIN | {"If-Match": '"1"'})
    read = await world.client.get(path, headers=ADMIN)

    assert (same.status_code, same.headers["etag"]) == (200, '"1"')
    assert (blind.status_code, stale.status_code, good.status_code) == (428, 412, 200)
    assert (weak.status_code, weak.json()["type"]) == (412, "/problems/precondition-failed")
    assert (read.json()["name"], read.headers["etag"]) == ("Anders", '"2"')


@pytest.mark.parametrize("seen", ["*", '"1"'])
async def test_a_seller_that_somebody_saw_is_not_made_anew(world: World, seen: str):
    path = "/v1/sellers/stadt-mayen"
    refused = await world.client.put(path, json=SELLER, headers=ADMIN | {"If-Match": seen})

    assert (refused.status_code, refused.json()["type"]) == (412, "/problems/precondition-failed")
    assert (await world.client.get(path, headers=ADMIN)).status_code == 404


async def test_two_equal_sellers_at_once_are_one(world: World):
    answers = await asyncio.gather(*(world.put_seller("stadt-mayen") for _ in range(6)))

    assert sorted(a.status_code for a in answers) == [200] * 5 + [201]
    assert {a.headers["etag"] for a in answers} == {'"1"'}
    assert len(await world.rows("SELECT 1 FROM tax_rule WHERE operator = 'stadt-mayen'")) == 2


async def test_a_seller_that_could_not_issue_is_refused(world: World):
    rule = SELLER["tax_rules"][0]
    refused: tuple[dict[str, Any], ...] = (
        {"tax_rules": []}, {"tax_rules": [rule, rule]}, {"tax_rules": [rule | {"category": "E"}]},
        {"tax_rules": [rule | {"category": "E", "rate_percent": "0"}]}, {"tax_rules": [rule | {"tax_code": "X99"}]},
        {"tax_number": "", "vat_id": ""}, {"hkr_profile": "unknown"}, {"accounts": {"debtor": "=1+1"}}, {"unknown": 1},
    )  # fmt: skip
    for changes in refused:
        assert (await world.put_seller("stadt-mayen", **changes)).status_code == 422
    assert len(await world.rows("SELECT 1 FROM seller")) == 1


async def test_a_members_data_can_be_read_and_forgotten_but_documents_stay(world: World):
    kept, dropped = a_booking(1200), a_booking(500)
    await world.confirmed(kept)
    await world.tell(dropped)
    await world.open(dropped)
    await world.rows("UPDATE payment SET status = 'expired' WHERE booking_id = $1", dropped.fact.booking_id, owner=True)
    held = await world.client.get(f"/internal/subjects/{MEMBER}", headers=service("regiohub-privacy"))
    gone = await world.client.delete(f"/internal/subjects/{MEMBER}", headers=service("regiohub-privacy"))
    empty = await world.client.get(f"/internal/subjects/{MEMBER}", headers=service("regiohub-privacy"))

    assert {name: len(rows) for name, rows in held.json().items()} == {
        "charges": 2, "payments": 2, "refunds": 0, "documents": 1,
    }  # fmt: skip
    assert gone.status_code == 204
    assert all(rows == [] for rows in empty.json().values())
    assert await world.rows("SELECT 1 FROM payment WHERE buyer <> '{}'") == []
    assert (await world.rows("SELECT buyer ->> 'name' AS name FROM document"))[0]["name"] == BUYER["name"]
    await world.tell(kept.but(status="checked_in"))
    assert await world.rows("SELECT 1 FROM charge WHERE sub = $1", MEMBER) == []


async def erase(world: World) -> None:
    gone = await world.client.delete(f"/internal/subjects/{MEMBER}", headers=service("regiohub-privacy"))
    assert gone.status_code == 204, gone.text


@pytest.mark.parametrize("how", ["expired", "uncalled", "refused"])
async def test_the_buyer_goes_when_a_forgotten_members_payment_ends_without_money(world: World, how: str, monkeypatch):
    story = a_booking(1200)
    await world.tell(story)
    await world.open(story)
    if how != "expired":
        await world.rows("UPDATE payment SET status = 'created', provider_session_id = ''", owner=True)
        called = None if how == "uncalled" else real_now() - timedelta(hours=24)
        await world.rows(
            "UPDATE provider_intent SET state = 'pending', leased_until = NULL, first_called_at = $1",
            called,
            owner=True,
        )
    await erase(world)
    assert await world.rows("SELECT 1 FROM payment WHERE buyer <> '{}'")
    if how == "refused":
        monkeypatch.setattr(world.provider, "find_checkout", AsyncMock(return_value=None))
    else:
        await world.rows("UPDATE charge SET hold_until = $1", real_now() - timedelta(seconds=1), owner=True)
        await intents.end_overdue(world.db)
    await world.work()

    assert [row["status"] for row in await world.rows("SELECT status FROM payment")] == [
        "failed" if how == "refused" else "expired"
    ]
    assert await world.rows("SELECT 1 FROM payment WHERE buyer <> '{}'") == []


async def test_the_buyer_goes_once_the_document_has_it(world: World):
    story = a_booking(1200)
    payment = await world.paid(story)
    await erase(world)
    await tidy(world.db)
    assert await world.rows("SELECT 1 FROM payment WHERE buyer <> '{}'")
    await world.tell(story.confirm(payment["id"]))
    await tidy(world.db)

    assert await world.rows("SELECT 1 FROM payment WHERE buyer <> '{}'") == []
    assert (await world.rows("SELECT buyer ->> 'name' AS name FROM document"))[0]["name"] == BUYER["name"]


async def test_no_fact_names_a_forgotten_member(world: World):
    for cents in (1200, 700):
        await world.paid(a_booking(cents))
    await world.paid(a_booking(500, sub="another"))
    await world.rows(
        "UPDATE outbox_delivery SET delivered_at = $1 WHERE outbox_id = (SELECT id FROM outbox LIMIT 1)", real_now()
    )
    await erase(world)

    subs = sorted(row["sub"] for row in await world.rows("SELECT data ->> 'sub' AS sub FROM outbox"))
    assert subs[0] == "another"
    assert [sub[:7] for sub in subs[1:]] == ["erased:"] * 2
    assert (await world.facts())[0]["paid_cents"] == 1200


async def test_a_late_payment_of_a_forgotten_member_is_invoiced_to_nobody(world: World):
    story = a_booking(1200)
    await world.tell(story)
    payment = await world.open(story)
    await world.press(payment)
    await world.rows("UPDATE payment SET status = 'expired'", owner=True)
    await erase(world)
    await world.webhooks()
    await world.tell(story.confirm(payment["id"]))

    (document,) = await world.rows("SELECT id::text, buyer ->> 'name' AS name FROM document")
    assert document["name"] == ""
    page = await world.client.get(f"/v1/documents/{document['id']}", headers=county())
    assert page.status_code == 200


async def test_facts_carry_no_name(world: World):
    await world.confirmed(a_booking())
    data = await world.rows("SELECT data::text AS data FROM outbox")
    assert data
    assert all("Erika" not in row["data"] for row in data)


async def test_readiness_tells_what_limps_and_stays_ready(world: World):
    assert (await world.client.get("/readyz")).json() == {"status": "ready", "degraded": {}}
    await world.rows(
        "INSERT INTO clearing_item (id, kind, source, operator, amount_cents, currency, detail, created_at) "
        "VALUES ($1, 'refund_failed', 'x', '', 1, 'EUR', '', $2)", new_id(), real_now(),
    )  # fmt: skip
    await world.rows(
        "INSERT INTO stripe_event VALUES ('evt_1', 'x', 'y', $1, '', false, '{}', $1, NULL, 0, NULL, $1, '')",
        real_now() - timedelta(hours=1),
    )
    answer = await world.client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "degraded": {"clearing": 1, "webhooks_waiting": 1}}


async def test_only_booking_may_tell_us_about_bookings(world: World):
    envelope = {
        "specversion": "1.0", "id": str(new_id()), "source": "/x", "type": "regiohub.booking.changed", "subject": "x",
        "time": real_now().isoformat(), "sequence": 1, "data": {},
    }  # fmt: skip
    for headers in (service("regiohub-access"), service("regiohub-gateway"), member()):
        assert (await world.client.post("/internal/events", json=envelope, headers=headers)).status_code == 403
    broken = await world.client.post("/internal/events", json=envelope, headers=service())
    assert broken.status_code == 422
    assert await world.rows("SELECT 1 FROM inbox") == []


async def test_a_fact_with_another_price_or_seller_is_refused_and_changes_nothing(world: World):
    story, dearer = a_booking(1200), a_booking(1300).fact
    await world.tell(story)
    agreed = story.fact
    for changes in ({"lines": dearer.lines, "gross_cents": 1300}, {"operator": "stadt-mayen"}, {"code": "X"}):
        story.fact = agreed
        with pytest.raises(AssertionError, match="terms-changed"):
            await world.tell(story.but(**changes))
    (charge,) = await world.rows("SELECT version, gross_cents, operator, code FROM charge")

    assert tuple(charge) == (1, 1200, "stadt-bendorf", agreed.code)
