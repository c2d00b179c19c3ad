"""The clearing list can be emptied: by the town's finance office, once per case, and what was done stays."""

from dataclasses import replace
from typing import Any

import asyncpg
import httpx
import pytest

from regiohub_billing.domain.payment import RefundStatus
from regiohub_billing.providers.port import RefundSeen
from regiohub_billing.usecases.outcomes import apply_refund
from regiohub_shared.clock import real_now
from regiohub_shared.ids import new_id
from tests.service.billing.test_documents import without_rule
from tests.service.billing.world import SELLER, World, a_booking, county, finance, member

BENDORF, MAYEN = finance("stadt-bendorf"), finance("stadt-mayen")


async def a_case(world: World, operator: str = "stadt-bendorf", kind: str = "payment_unmatched") -> str:
    case = new_id()
    await world.rows(
        "INSERT INTO clearing_item (id, kind, source, operator, amount_cents, currency, detail, created_at) "
        "VALUES ($1, $2, $3, $4, 1200, 'EUR', '', $5)", case, kind, str(case), operator, real_now(),
    )  # fmt: skip
    return str(case)


async def resolve(world: World, case: str, headers: dict[str, str] = BENDORF, **body: Any) -> httpx.Response:
    return await world.client.post(
        f"/v1/clearing/{case}/resolve", json={"note": "Mit der Kasse geklärt"} | body, headers=headers
    )


async def open_ids(world: World, **params: Any) -> list[str]:
    answer = await world.client.get("/v1/clearing", params=params, headers=county())
    return [item["id"] for item in answer.json()["items"]]


async def test_a_closed_case_leaves_the_list_and_readiness_and_says_who_and_when(world: World):
    case, other = await a_case(world), await a_case(world)
    assert (await world.client.get("/readyz")).json()["degraded"] == {"clearing": 2}
    answer = await resolve(world, case, note=" Erstattet\r\nam Schalter ")

    assert answer.status_code == 200, answer.text
    assert (answer.json()["resolved_by"], answer.json()["note"]) == ("finance-1", "Erstattet am Schalter")
    assert answer.json()["resolved_at"] is not None
    assert await open_ids(world) == [other]
    assert await open_ids(world, resolved=True) == [case]
    assert (await world.client.get("/readyz")).json()["degraded"] == {"clearing": 1}
    await resolve(world, other)
    assert (await world.client.get("/readyz")).json() == {"status": "ready", "degraded": {}}


async def test_the_same_again_changes_nothing_and_another_is_refused(world: World):
    case = await a_case(world)
    first, again = await resolve(world, case), await resolve(world, case)
    other = await resolve(world, case, note="anders")

    assert (again.status_code, again.json()) == (200, first.json())
    assert (other.status_code, other.json()["type"]) == (409, "/problems/case-closed")
    assert (await resolve(world, case, county())).status_code == 409


async def test_only_the_offices_concerned_may_close(world: World):
    case, nobodys = await a_case(world), await a_case(world, "")
    for headers, status in (
        (MAYEN, 404), (member(), 403), (county("county-admin"), 403), ({}, 401), (county(), 200),
    ):  # fmt: skip
        assert (await resolve(world, case, headers)).status_code == status
    unknown, foreign = await resolve(world, str(new_id())), await resolve(world, nobodys)
    assert (unknown.status_code, foreign.status_code) == (404, 404)
    assert unknown.json()["detail"] == foreign.json()["detail"]
    assert (await resolve(world, nobodys, county())).status_code == 200


@pytest.mark.parametrize("body", [{"note": " "}, {"note": "x" * 501}, {"note": "a\x00b"}, {"who": "x"}])
async def test_a_case_is_closed_with_a_note(world: World, body: dict[str, Any]):
    case = await a_case(world)
    assert (await resolve(world, case, **body)).status_code == 422
    assert await open_ids(world) == [case]


async def test_what_was_closed_stays_as_it_is(world: World):
    case = await a_case(world)
    open_case = await a_case(world)
    await resolve(world, case)
    for statement in ("UPDATE clearing_item SET note = 'x' WHERE id = $1", "DELETE FROM clearing_item WHERE id = $1"):
        with pytest.raises(asyncpg.RestrictViolationError):
            await world.rows(statement, case, owner=True)
    with pytest.raises(asyncpg.RestrictViolationError):
        await world.rows("UPDATE clearing_item SET note = 'x' WHERE id = $1", case)
    for statement in ("DELETE FROM clearing_item", "UPDATE clearing_item SET amount_cents = 1"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.rows(statement)
    with pytest.raises(asyncpg.CheckViolationError):
        await world.rows("UPDATE clearing_item SET resolved_at = created_at WHERE id = $1", open_case)


async def a_failed_refund(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """A cancelled booking whose refund failed: its payment and its case."""
    await world.switch(refund="pending", refund_delay_s=3600)
    story = a_booking(1200)
    payment = await world.confirmed(story)
    await world.tell(story.cancel())
    await world.work()
    (refund,) = await world.refunds_at_stripe(payment)
    await world.sandbox.post(f"/sandbox/refunds/{refund['id']}", json={"status": "failed"})
    await world.webhooks()
    (case,) = await world.clearing()
    return payment, case


async def test_a_failed_refund_can_be_tried_again(world: World):
    payment, case = await a_failed_refund(world)
    await world.switch(refund="succeeded", refund_delay_s=0)
    assert (await resolve(world, case["id"], retry_refund=True)).status_code == 200
    assert (await resolve(world, case["id"], retry_refund=True)).status_code == 200
    await world.work()
    await world.webhooks()

    found = await world.refunds_at_stripe(payment)
    assert sorted(refund["status"] for refund in found) == ["failed", "succeeded"]
    assert await world.balances() == {}
    assert (await world.facts())[-1]["refunded_cents"] == 1200
    assert await world.clearing() == []


async def test_no_more_goes_back_than_came_in_however_often_one_tries(world: World):
    payment, case = await a_failed_refund(world)
    await world.switch(refund="succeeded", refund_delay_s=0)
    await resolve(world, case["id"], retry_refund=True)
    await world.work()
    # The same refund is on the list once more, as if by another hand.
    twin = new_id()
    await world.rows(
        "INSERT INTO clearing_item SELECT $1, kind, 'x', operator, payment_id, amount_cents, currency, detail, "
        "created_at FROM clearing_item", twin,
    )  # fmt: skip
    await world.rows("UPDATE clearing_item SET source = 'y' WHERE id <> $1", twin, unguarded=True)
    await world.rows("UPDATE clearing_item SET source = $2 WHERE id = $1", twin, case["source"], owner=True)
    again = await resolve(world, str(twin), retry_refund=True)

    assert (again.status_code, again.json()["type"]) == (409, "/problems/no-refund-to-retry")
    assert await open_ids(world) == [str(twin)]
    await world.work()
    assert sum(r["amount"] for r in await world.refunds_at_stripe(payment) if r["status"] != "failed") == 1200


async def test_what_is_no_failed_refund_cannot_be_tried_again(world: World):
    case = await a_case(world)
    answer = await resolve(world, case, retry_refund=True)

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/no-refund-to-retry")
    assert await open_ids(world) == [case]


async def test_a_booking_that_gets_stuck_again_is_listed_again(world: World):
    story = a_booking(1200)
    payment = await world.paid(story)
    back = await without_rule(world)
    await world.tell(story.confirm(payment["id"]))
    await world.client.put("/v1/sellers/stadt-bendorf", json=SELLER, headers=back)
    await world.tell(story.but())
    assert await world.clearing() == []
    # Once invoiced it cannot get stuck; the row says so for another reason.
    await world.rows("UPDATE charge SET problem = 'x'", owner=True)
    await world.rows(
        "INSERT INTO clearing_item SELECT $1, kind, source, operator, payment_id, amount_cents, currency, detail, "
        "created_at FROM clearing_item", new_id(),
    )  # fmt: skip
    assert len(await world.clearing()) == 1
    await world.tell(story.but())
    assert await world.clearing() == []


async def test_the_list_is_paged_and_ends_with_its_last_full_page(world: World):
    ids = [await a_case(world) for _ in range(4)]
    seen: list[str] = []
    query = "?operator=stadt-bendorf&limit=2"
    while query:
        answer = await world.client.get("/v1/clearing" + query, headers=BENDORF)
        seen += [item["id"] for item in answer.json()["items"]]
        query = answer.headers.get("link", "").removeprefix("<").removesuffix('>; rel="next"')
        assert bool(query) == bool(answer.json()["next"])

    assert seen == ids[::-1]
    assert not query


@pytest.mark.parametrize("changes", [{"amount_cents": 1199}, {"currency": "USD"}, {"provider_payment_id": "pi_other"}])
async def test_a_refund_that_differs_from_ours_is_a_case_and_is_not_booked(world: World, changes: dict[str, Any]):
    story = a_booking(1200)
    await world.confirmed(story)
    await world.tell(story.cancel())
    (row,) = await world.rows(
        "SELECT r.id, p.provider_payment_id AS payment FROM refund r JOIN payment p ON p.id = r.payment_id"
    )
    fits = RefundSeen("re_1", row["payment"], str(row["id"]), RefundStatus.SUCCEEDED, 1200, "EUR", "")
    state = "SELECT r.status, p.refunded_cents FROM refund r JOIN payment p ON p.id = r.payment_id"
    async with world.db.session() as session:
        assert await apply_refund(session, row["id"], replace(fits, **changes), now=real_now())
    assert [tuple(found) for found in await world.rows(state)] == [("created", 0)]
    assert [case["kind"] for case in await world.clearing()] == ["refund_unmatched"]
    async with world.db.session() as session:
        assert await apply_refund(session, row["id"], fits, now=real_now())

    assert [tuple(found) for found in await world.rows(state)] == [("succeeded", 1200)]


async def test_a_refund_that_failed_is_not_made_again_by_itself(world: World):
    await world.switch(refund="pending", refund_delay_s=3600)
    story = a_booking(1200)
    payment = await world.confirmed(story)
    await world.tell(story.cancel())
    await world.work()
    (refund,) = await world.refunds_at_stripe(payment)
    await world.sandbox.post(f"/sandbox/refunds/{refund['id']}", json={"status": "failed"})
    await world.webhooks()
    for _ in range(3):
        await world.tell(story.but())

    assert len(await world.rows("SELECT 1 FROM refund")) == 1
    assert len(await world.rows("SELECT 1 FROM provider_intent WHERE kind = 'refund'")) == 1
