"""Invoice, Stornorechnung, refund: each once, in any order of facts, balanced, unchangeable."""

import asyncio
import itertools
from uuid import UUID

import asyncpg
import pytest

from regiohub_billing.repo import ledger
from regiohub_billing.usecases import audit
from regiohub_billing.usecases.audit import broken_chains
from regiohub_billing.worker import settle_stuck
from regiohub_shared.clock import real_now
from regiohub_shared.ids import new_id
from tests.service.billing.world import SELLER, World, a_booking, county, finance, member

ZERO: dict[str, int] = {}


async def test_paid_and_confirmed_gets_an_invoice(world: World):
    story = a_booking(999, 999, 107, codes=("S19", "S19", "S07"))
    payment = await world.confirmed(story)

    (invoice,) = await world.documents(story)
    assert invoice["number"] == "TEST-R-" + invoice["issue_date"][:4] + "-000001"
    assert (invoice["kind"], invoice["gross_cents"], invoice["test"]) == ("invoice", 2105, True)
    assert [line["gross_cents"] for line in invoice["lines"]] == [999, 999, 107]
    assert invoice["tax_cents"] == 319 + 7
    assert invoice["payment_id"] == payment["id"]
    assert await world.balances() == {"1361": 2105, "44110000": -(1998 - 319) - 100, "1776": -319, "1771": -7}


async def test_the_printed_document_is_for_its_member_and_the_finance_offices(world: World):
    story = a_booking()
    await world.confirmed(story)
    (invoice,) = await world.documents(story)
    path = f"/v1/documents/{invoice['id']}"

    page = await world.client.get(path, headers=member())
    assert page.status_code == 200
    assert invoice["number"] in page.text
    assert "Erika Beispiel" in page.text
    assert "Testbeleg" in page.text
    assert "'unsafe-inline'" not in page.headers["content-security-policy"]
    for headers, status in (
        (member("another"), 404), (finance("stadt-bendorf"), 200), (finance("stadt-mayen"), 404), (county(), 200),
        ({}, 401),
    ):  # fmt: skip
        assert (await world.client.get(path, headers=headers)).status_code == status
    foreign = await world.client.get(path, headers=member("another"))
    unknown = await world.client.get(f"/v1/documents/{new_id()}", headers=member("another"))
    assert foreign.json()["detail"] == unknown.json()["detail"] == "There is no such document."


async def test_the_way_back_is_for_the_member_and_in_their_language(world: World):
    story = a_booking()
    await world.confirmed(story)
    (invoice,) = await world.documents(story)
    path, back = f"/v1/documents/{invoice['id']}", f"/bookings/{invoice['booking_id']}"

    german = (await world.client.get(path, headers=member())).text
    english = (await world.client.get(path, params={"lang": "en"}, headers=member())).text
    assert f'href="{back}"' in german
    assert f'href="/en{back}"' in english
    assert "Number" in english
    assert "href=" not in (await world.client.get(path, headers=finance("stadt-bendorf"))).text
    assert (await world.client.get(path, params={"lang": "fr"}, headers=member())).status_code == 422


async def test_a_cancelled_booking_gets_its_storno_before_its_money(world: World):
    story = a_booking(1200)
    payment = await world.confirmed(story)
    await world.tell(story.cancel())

    invoice, credit = await world.documents(story)
    assert (credit["kind"], credit["gross_cents"], credit["refers_number"]) == ("cancellation", 1200, invoice["number"])
    assert [(line["net_cents"], line["tax_cents"]) for line in credit["lines"]] == [(1008, 192)]
    assert (await world.payments(story))[0]["refunds"][0]["status"] == "created"
    await world.work()
    await world.webhooks()
    found = (await world.payments(story))[0]
    assert (found["refunded_cents"], found["refunds"][0]["status"]) == (1200, "succeeded")
    assert [r["amount"] for r in await world.refunds_at_stripe(payment)] == [1200]
    assert await world.balances() == ZERO
    assert [(f["version"], f["refunded_cents"]) for f in await world.facts()] == [(1, 0), (2, 1200)]


async def test_a_cancellation_fee_is_kept(world: World):
    story = a_booking(1000, 500)
    payment = await world.confirmed(story)
    await world.tell(story.cancel(fee_cents=300))
    await world.work()

    _, credit = await world.documents(story)
    assert credit["gross_cents"] == 1200
    assert [r["amount"] for r in await world.refunds_at_stripe(payment)] == [1200]
    left = await world.balances()
    assert left["1361"] == 300
    assert -left["44110000"] - left["1776"] == 300


async def test_a_fee_of_the_whole_price_leaves_nothing_to_take_back(world: World):
    story = a_booking(1000)
    payment = await world.confirmed(story)
    await world.tell(story.cancel(fee_cents=1000))
    await world.work()

    assert [d["kind"] for d in await world.documents(story)] == ["invoice"]
    assert await world.refunds_at_stripe(payment) == []


async def test_money_for_a_lost_slot_goes_back_without_an_invoice(world: World):
    story = a_booking(1200)
    payment = await world.paid(story)
    await world.tell(story.expire().judge(payment["id"], "refund"))
    await world.work()
    await world.webhooks()

    assert await world.documents(story) == []
    found = (await world.payments(story))[0]
    assert (found["refunded_cents"], found["refunds"][0]["reason"]) == (1200, "lost_slot")
    assert [r["amount"] for r in await world.refunds_at_stripe(payment)] == [1200]
    assert await world.balances() == ZERO
    kinds = await world.rows("SELECT kind FROM journal_entry ORDER BY id")
    assert [row["kind"] for row in kinds] == ["payment", "refund"]


async def test_of_two_payments_only_the_refused_one_goes_back(world: World):
    """The first page was written off here, yet both are paid at the provider."""
    story = a_booking(1200)
    await world.tell(story)
    first = await world.open(story)
    await world.rows("UPDATE payment SET status = 'expired'", owner=True)
    second = await world.open(story)
    await world.press(first)
    await world.press(second)
    await world.webhooks()
    await world.tell(story.judge(second["id"], "refund").confirm(first["id"]))
    await world.work()

    by_id = {p["id"]: p for p in await world.payments(story)}
    assert (by_id[first["id"]]["refunded_cents"], by_id[second["id"]]["refunded_cents"]) == (0, 1200)
    assert [d["payment_id"] for d in await world.documents(story)] == [first["id"]]


@pytest.mark.parametrize("first", range(4))
async def test_facts_in_any_order_give_the_same_end(world: World, first: int):
    for order in (order for order in itertools.permutations(range(4)) if order[0] == first):
        story = a_booking(1200)
        held = story.fact
        payment = await world.paid(story)
        judged = story.judge(payment["id"], "accepted").fact
        confirmed = story.confirm(payment["id"]).fact
        facts = [held, judged, confirmed, story.cancel().fact]
        for index in (*order, *order):
            story.fact = facts[index]
            await world.tell(story)
            await world.work()

        assert [d["kind"] for d in await world.documents(story)] == ["invoice", "cancellation"]
        assert [r["amount"] for r in await world.refunds_at_stripe(payment)] == [1200]
        assert await world.balances() == ZERO
        # The newest snapshot stays, whichever came last.
        charge = await world.rows("SELECT status, version FROM charge WHERE booking_id = $1", story.fact.booking_id)
        assert [tuple(row) for row in charge] == [("cancelled", facts[-1].version)]
        refused = await world.ask(story)
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/nothing-to-pay")
        assert refused.json()["status_of_booking"] == "cancelled"


async def test_an_older_fact_opens_no_payment_page(world: World):
    """Never paid: only the snapshot says that there is nothing to pay any more."""
    story = a_booking(1200)
    held = story.fact
    await world.tell(story.expire())
    story.fact = held
    await world.tell(story)

    assert (await world.ask(story)).json()["type"] == "/problems/nothing-to-pay"
    assert await world.rows("SELECT 1 FROM payment") == []


async def test_a_refund_never_exceeds_what_is_left_of_its_payment(world: World):
    story = a_booking(1200)
    payment = await world.confirmed(story)
    await world.rows(
        "INSERT INTO refund (id, payment_id, reason, amount_cents, status, provider_refund_id, failure, created_at, "
        "checked_at) VALUES ($1, $2, 'goodwill', 1000, 'pending', '', '', $3, $3)",
        new_id(), UUID(payment["id"]), real_now(),
    )  # fmt: skip
    await world.tell(story.cancel())
    await world.work()

    assert [r["amount"] for r in await world.refunds_at_stripe(payment)] == [200]


async def test_the_cancellation_alone_still_yields_charge_and_credit(world: World):
    """The middle was lost: only the last snapshot arrives, and the money after it."""
    story = a_booking(1200)
    await world.tell(story)
    payment = await world.open(story)
    story.confirm(payment["id"]).cancel()
    await world.tell(story)
    assert await world.documents(story) == []
    await world.press(payment)
    await world.webhooks()
    await world.work()

    assert [d["kind"] for d in await world.documents(story)] == ["invoice", "cancellation"]
    assert await world.balances() == ZERO


async def test_a_repeated_event_is_applied_once(world: World):
    story = a_booking()
    event_id = new_id()
    assert (await world.tell(story, event_id)).json() == {"applied": True}
    assert (await world.tell(story, event_id)).json() == {"applied": False}


async def test_lines_that_do_not_add_up_are_refused(world: World):
    story = a_booking(1200)
    story.fact = story.fact.model_copy(update={"gross_cents": 1300})
    with pytest.raises(AssertionError, match="amounts-differ"):
        await world.tell(story)
    assert await world.rows("SELECT 1 FROM charge") == []
    assert await world.rows("SELECT 1 FROM inbox") == []


async def test_what_cannot_be_invoiced_yet_is_listed_and_done_later(world: World):
    story = a_booking(1200)
    payment = await world.paid(story)
    rules = [{"tax_code": "S07", "valid_from": "2020-01-01", "rate_percent": "7", "category": "S"}]
    answer = await world.client.get("/v1/sellers/stadt-bendorf", headers=county("county-admin"))
    body = {k: v for k, v in answer.json().items() if k not in {"operator", "version"}}
    headers = county("county-admin") | {"If-Match": answer.headers["ETag"]}
    changed = await world.client.put("/v1/sellers/stadt-bendorf", json=body | {"tax_rules": rules}, headers=headers)
    assert changed.status_code == 200, changed.text
    await world.tell(story.confirm(payment["id"]))
    assert await world.documents(story) == []
    (case,) = await world.clearing()
    assert (case["kind"], case["detail"], case["booking_code"]) == ("not_invoiced", "no-tax-rule", "ABCD2345")

    headers["If-Match"] = changed.headers["ETag"]
    await world.client.put("/v1/sellers/stadt-bendorf", json=body, headers=headers)
    assert await settle_stuck(world.db) == 1
    assert len(await world.documents(story)) == 1
    assert await world.clearing() == []
    assert await settle_stuck(world.db) == 0


async def without_rule(world: World) -> dict[str, str]:
    """Take the S19 rule away; return the headers that put the seller back."""
    rules = [{"tax_code": "S07", "valid_from": "2020-01-01", "rate_percent": "7", "category": "S"}]
    headers = county("county-admin") | {"If-Match": '"1"'}
    changed = await world.client.put("/v1/sellers/stadt-bendorf", json=SELLER | {"tax_rules": rules}, headers=headers)
    assert changed.status_code == 200, changed.text
    return headers | {"If-Match": changed.headers["ETag"]}


async def test_one_booking_that_fails_does_not_hold_back_the_others(world: World):
    stories = [a_booking(1200), a_booking(1200)]
    payments = [await world.paid(story) for story in stories]
    back = await without_rule(world)
    for story, payment in zip(stories, payments, strict=True):
        await world.tell(story.confirm(payment["id"]))
    await world.client.put("/v1/sellers/stadt-bendorf", json=SELLER, headers=back)
    first = min(stories, key=lambda story: story.fact.booking_id)
    body = f"BEGIN IF NEW.booking_id = '{first.fact.booking_id}' THEN RAISE 'broken'; END IF; RETURN NEW; END"
    await world.rows(f"CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$", owner=True)
    await world.rows(
        "CREATE TRIGGER broken BEFORE INSERT ON document FOR EACH ROW EXECUTE FUNCTION broken()", owner=True
    )

    assert await settle_stuck(world.db) == 2

    assert [len(await world.documents(story)) for story in stories] == [int(story is not first) for story in stories]


async def test_what_cannot_be_invoiced_and_is_cancelled_goes_back_as_a_prepayment(world: World):
    story = a_booking(1200)
    payment = await world.paid(story)
    back = await without_rule(world)
    await world.tell(story.confirm(payment["id"]))
    assert [c["kind"] for c in await world.clearing()] == ["not_invoiced"]
    await world.tell(story.cancel())
    await world.work()

    assert [r["amount"] for r in await world.refunds_at_stripe(payment)] == [1200]
    assert await world.clearing() == []
    assert await world.balances() == ZERO
    # The rule comes back too late: what was given back is not billed any more.
    await world.client.put("/v1/sellers/stadt-bendorf", json=SELLER, headers=back)
    await world.tell(story.but())
    await settle_stuck(world.db)
    assert await world.documents(story) == []
    assert await world.balances() == ZERO


async def test_a_fee_waits_for_its_document(world: World):
    story = a_booking(1200)
    payment = await world.paid(story)
    back = await without_rule(world)
    await world.tell(story.confirm(payment["id"]).cancel(fee_cents=300))
    await world.work()
    assert await world.refunds_at_stripe(payment) == []
    assert [c["kind"] for c in await world.clearing()] == ["not_invoiced"]

    await world.client.put("/v1/sellers/stadt-bendorf", json=SELLER, headers=back)
    await settle_stuck(world.db)
    await world.work()
    assert [d["gross_cents"] for d in await world.documents(story)] == [1200, 900]
    assert [r["amount"] for r in await world.refunds_at_stripe(payment)] == [900]


async def test_a_payment_that_cannot_be_invoiced_does_not_hold_back_anothers_money(world: World):
    story = a_booking(1200)
    await world.tell(story)
    first = await world.open(story)
    await world.rows("UPDATE payment SET status = 'expired'", owner=True)
    second = await world.open(story)
    await world.press(first)
    await world.press(second)
    await world.webhooks()
    await without_rule(world)
    await world.tell(story.judge(second["id"], "refund").confirm(first["id"]))
    await world.work()

    assert [r["amount"] for r in await world.refunds_at_stripe(second)] == [1200]
    assert await world.refunds_at_stripe(first) == []
    assert [c["detail"] for c in await world.clearing()] == ["no-tax-rule"]


async def test_numbers_have_no_gaps_and_no_twins_under_rivals(world: World):
    stories = [a_booking(1200 + n) for n in range(12)]
    payments = [await world.paid(story) for story in stories]
    for story, payment in zip(stories, payments, strict=True):
        story.confirm(payment["id"])
    broken = a_booking(1200)
    broken.fact = broken.fact.model_copy(update={"gross_cents": 1})

    async def fail() -> None:
        with pytest.raises(AssertionError):
            await world.tell(broken)

    await asyncio.gather(*(world.tell(story) for story in stories), *(fail() for _ in range(3)))
    serials = await world.rows("SELECT serial FROM document WHERE kind = 'invoice' ORDER BY serial")
    assert [row["serial"] for row in serials] == list(range(1, 13))
    entries = await world.rows("SELECT serial FROM journal_entry ORDER BY serial")
    assert [row["serial"] for row in entries] == list(range(1, 25))


async def test_a_rollback_gives_its_number_back(world: World):
    async def take_and_fail() -> None:
        async with world.db.session() as session:
            assert (await ledger.take_number(session, "stadt-bendorf", "R-2026-")).number == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await take_and_fail()
    with pytest.raises(ZeroDivisionError):
        await take_and_fail()


TABLES = ("document", "document_line", "journal_entry", "journal_line", "export_batch", "export_row")


async def test_the_app_may_not_and_the_owner_cannot_change_what_was_issued(world: World):
    story = a_booking()
    await world.confirmed(story)
    body = {"operator": "stadt-bendorf", "productive": False}
    made = await world.client.post(
        "/v1/exports", json=body, headers=finance("stadt-bendorf") | {"Idempotency-Key": "k"}
    )
    assert made.status_code == 201
    for table in TABLES:
        name = next(iter((await world.rows(f"SELECT * FROM {table} LIMIT 1"))[0].keys()))
        for statement in (f"UPDATE {table} SET {name} = {name}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await world.rows(statement)
            with pytest.raises(asyncpg.RestrictViolationError):
                await world.rows(statement, owner=True)


async def write_entry(world: World, lines: tuple[tuple[str, int, int], ...], **changes: int) -> None:
    """Write an entry by hand, as the app role, with the given lines."""
    known = (await world.rows("SELECT * FROM journal_entry LIMIT 1"))[0]
    values = dict(known) | {"id": new_id(), "source_id": new_id(), "serial": 99} | changes
    slots = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    connection = await asyncpg.connect(world.urls.app)
    try:
        async with connection.transaction():
            await connection.execute(
                f"INSERT INTO journal_entry ({', '.join(values)}) VALUES ({slots})", *values.values()
            )
            for n, line in enumerate(lines, 1):
                await connection.execute(
                    "INSERT INTO journal_line VALUES ($1, $2, $3, $4, $5, '')", values["id"], n, *line
                )
    finally:
        await connection.close()


async def test_the_database_refuses_an_unbalanced_entry_and_a_late_line(world: World):
    await world.paid(a_booking())
    with pytest.raises(asyncpg.CheckViolationError, match="not balanced"):
        await write_entry(world, (("1", 100, 0), ("2", 0, 99)))
    with pytest.raises(asyncpg.CheckViolationError, match="not balanced"):
        await write_entry(world, (("1", 100, 0),), line_count=1)
    with pytest.raises(asyncpg.CheckViolationError, match="one_side"):
        await write_entry(world, (("1", 100, 100), ("2", 0, 0)))
    known = (await world.rows("SELECT id FROM journal_entry"))[0]["id"]
    late = "INSERT INTO journal_line VALUES ($1, 3, '1', 5, 0, ''), ($1, 4, '2', 0, 5, '')"
    with pytest.raises(asyncpg.CheckViolationError, match="not balanced"):
        await world.rows(late, known)
    assert len(await world.rows("SELECT 1 FROM journal_line")) == 2


async def test_a_late_line_on_a_document_is_refused(world: World):
    story = a_booking()
    await world.confirmed(story)
    with pytest.raises(asyncpg.CheckViolationError, match="does not add up"):
        await world.rows(
            "INSERT INTO document_line SELECT document_id, 2, text, supply_from, supply_to, 0, 0, 0, tax_code, "
            "rate_percent, category, note, revenue_account FROM document_line"
        )


async def test_a_change_behind_our_back_breaks_the_chain(world: World):
    for _ in range(2):
        await world.confirmed(a_booking())
    change = "UPDATE document SET gross_cents = gross_cents + 1, net_cents = net_cents + 1 WHERE serial = 1"
    await world.rows(change, unguarded=True)
    async with world.db.session() as session:
        found = await broken_chains(session)
    assert [row["serial"] for row in found] == [1]
    await world.rows(change.replace("+ 1", "- 1"), unguarded=True)


async def broken(world: World) -> set[tuple[str, int]]:
    async with world.db.session() as session:
        return {(str(row["series"])[:6], int(row["serial"])) for row in await broken_chains(session)}


@pytest.mark.parametrize("page", [1, 2, 500])
async def test_a_cut_tail_and_a_lost_counter_show_whatever_the_page(world: World, monkeypatch, page: int):
    for _ in range(3):
        await world.confirmed(a_booking())
    monkeypatch.setattr(audit, "_PAGE", page)
    assert await broken(world) == set()

    async def cut(*statements: str) -> set[tuple[str, int]]:
        """What is found when that is gone; everything is back afterwards."""
        tables = ("export_row", "journal_line", "journal_entry", "document_line", "document", "number_series")
        for table in tables:
            await world.rows(f"CREATE TABLE kept_{table} AS TABLE {table}", owner=True)
        for statement in statements:
            await world.rows(statement, unguarded=True)
        found = await broken(world)
        for table in reversed(tables):
            await world.rows(f"INSERT INTO {table} TABLE kept_{table} ON CONFLICT DO NOTHING", unguarded=True)
            await world.rows(f"DROP TABLE kept_{table}", owner=True)
        return found

    last = "(SELECT id FROM journal_entry ORDER BY serial DESC LIMIT 2)"
    assert await cut(
        f"DELETE FROM journal_line WHERE entry_id IN {last}", f"DELETE FROM journal_entry WHERE id IN {last}"
    ) == {("TEST-J", 5)}
    everything = ("journal_line", "journal_entry", "document_line", "document")
    assert await cut(*(f"DELETE FROM {table}" for table in everything)) == {("TEST-J", 1), ("TEST-R", 1)}
    assert await cut("DELETE FROM number_series WHERE series = 'TEST-J'") == {("TEST-J", 1)}
    first = "(SELECT id FROM document WHERE serial = 2)"
    assert await cut(
        f"DELETE FROM journal_line WHERE entry_id IN (SELECT id FROM journal_entry WHERE document_id IN {first})",
        f"DELETE FROM journal_entry WHERE document_id IN {first}",
        f"DELETE FROM document_line WHERE document_id IN {first}", f"DELETE FROM document WHERE id IN {first}",
    ) == {("TEST-J", 5), ("TEST-R", 3)}  # fmt: skip
    assert await broken(world) == set()


async def test_a_failed_refund_is_mirrored_and_listed(world: World):
    await world.switch(refund="pending", refund_delay_s=3600)
    story = a_booking(1200)
    payment = await world.confirmed(story)
    await world.tell(story.cancel())
    await world.work()
    (refund,) = await world.refunds_at_stripe(payment)
    assert (await world.payments(story))[0]["refunds"][0]["status"] == "pending"
    assert (await world.balances())["1361"] == 1200

    await world.sandbox.post(f"/sandbox/refunds/{refund['id']}", json={"status": "succeeded"})
    await world.webhooks()
    assert await world.balances() == ZERO
    await world.sandbox.post(f"/sandbox/refunds/{refund['id']}", json={"status": "failed"})
    await world.webhooks()

    found = (await world.payments(story))[0]
    assert (found["refunded_cents"], found["refunds"][0]["status"]) == (0, "failed")
    assert await world.balances() == {"1361": 1200, "10001": -1200}


async def test_a_refund_that_fails_after_success_is_taken_back_in_the_books(world: World):
    await world.switch(refund="failed", refund_delay_s=0.2)
    story = a_booking(1200)
    payment = await world.confirmed(story)
    await world.tell(story.cancel())
    await world.work()
    assert (await world.payments(story))[0]["refunds"][0]["status"] == "succeeded"
    for _ in range(100):
        if [r["status"] for r in await world.refunds_at_stripe(payment)] == ["failed"]:
            break
        await asyncio.sleep(0.05)
    await world.webhooks()

    found = (await world.payments(story))[0]
    assert (found["refunded_cents"], found["refunds"][0]["status"]) == (0, "failed")
    assert await world.balances() == {"1361": 1200, "10001": -1200}
    case = (await world.clearing())[0]
    assert (case["kind"], case["amount_cents"], case["operator"]) == ("refund_failed", 1200, "stadt-bendorf")
    assert [(f["version"], f["refunded_cents"]) for f in await world.facts()] == [(1, 0), (2, 1200), (3, 0)]


async def test_a_refund_that_stripe_refuses_is_listed(world: World):
    story = a_booking(1200)
    payment = await world.confirmed(story)
    found = await world.rows("SELECT provider_payment_id AS id FROM payment")
    by_hand = await world.sandbox.post("/v1/refunds", data={"payment_intent": found[0]["id"]})
    assert by_hand.status_code == 200
    await world.tell(story.cancel())
    await world.work()

    refund = (await world.payments(story))[0]["refunds"][0]
    assert refund["status"] == "failed"
    assert [(c["kind"], c["payment_id"]) for c in await world.clearing()] == [("refund_failed", payment["id"])]


async def test_a_refund_whose_answer_was_lost_is_found_and_not_made_twice(world: World):
    story = a_booking(1200)
    payment = await world.confirmed(story)
    await world.tell(story.cancel())
    await world.work()
    await world.rows("ALTER TABLE journal_entry DISABLE TRIGGER USER", owner=True)
    await world.rows("ALTER TABLE journal_line DISABLE TRIGGER USER", owner=True)
    await world.rows(
        "UPDATE provider_intent SET state = 'pending', idempotency_key = 'other', leased_until = NULL, next_at = $1 "
        "WHERE kind = 'refund'", real_now(), owner=True,
    )  # fmt: skip
    await world.work()

    assert [r["amount"] for r in await world.refunds_at_stripe(payment)] == [1200]
    assert (await world.payments(story))[0]["refunds"][0]["status"] == "succeeded"
    assert await world.clearing() == []


async def test_a_gap_in_the_numbers_shows_although_every_hash_fits(world: World):
    await world.confirmed(a_booking())
    await world.rows("UPDATE number_series SET last_number = last_number + 1", owner=True)
    await world.confirmed(a_booking())
    found = await broken(world)
    await world.rows(
        "TRUNCATE document, document_line, journal_entry, journal_line, number_series CASCADE", unguarded=True
    )

    assert found == {("TEST-R", 3), ("TEST-J", 4)}
