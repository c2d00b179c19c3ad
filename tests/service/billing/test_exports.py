"""The treasury's file: preview, immutable batch, byte for byte again, each row once, each town its own."""

import asyncio
import csv
import gc
import hashlib
import io
import time
from collections.abc import Awaitable, Callable

import pytest
from httpx import URL

from regiohub_billing.render.batch import Made, Order
from regiohub_billing.usecases import rendering
from regiohub_billing.usecases.rendering import Renderer
from tests.service.billing.world import SELLER, World, a_booking, county, finance, member

BENDORF, MAYEN = finance("stadt-bendorf"), finance("stadt-mayen")


async def make(
    world: World, key: str = "k", *, productive: bool = False, headers=BENDORF, operator="stadt-bendorf", **seen: str
):
    body = {"operator": operator, "productive": productive} | seen
    return await world.client.post("/v1/exports", json=body, headers=headers | {"Idempotency-Key": key})


async def preview(world: World, *, productive: bool = False, headers=BENDORF):
    params: dict[str, str | bool] = {"operator": "stadt-bendorf", "productive": productive}
    return await world.client.get("/v1/exports/preview", params=params, headers=headers)


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("cp1252"), newline=""), delimiter=";"))


async def test_a_batch_holds_every_receivable_receipt_reduction_and_pay_back(world: World):
    kept, cancelled, lost = a_booking(1200), a_booking(999, 107, codes=("S19", "S07")), a_booking(500)
    await world.confirmed(kept)
    await world.confirmed(cancelled)
    payment = await world.paid(lost)
    await world.tell(cancelled.cancel())
    await world.tell(lost.expire().judge(payment["id"], "refund"))
    await world.work()
    shown = (await preview(world)).json()
    made = await make(world)

    assert made.status_code == 201, made.text
    batch = made.json()
    assert (
        (shown["count"], shown["sum_cents"])
        == (batch["row_count"], batch["sum_cents"])
        == (10, 2 * 1200 + 4 * 1106 + 2 * 500)
    )
    # Soll: what was kept; the cancelled invoice and its Storno are even.
    assert shown["totals"] == {"claim_cents": 1200, "receipt_cents": 1200 + 1106 + 500, "pay_back_cents": 1106 + 500}
    assert {entry["booking_code"] for entry in shown["entries"]} == {"ABCD2345"}
    assert {(entry["kind"], entry["document"][:7]) for entry in shown["entries"]} == {
        ("payment", "TEST-R-"), ("invoice", "TEST-R-"), ("cancellation", "TEST-S-"), ("refund", "TEST-S-"),
        ("payment", ""), ("refund", ""),
    }  # fmt: skip
    file = await world.client.get(f"/v1/exports/{batch['id']}/file", headers=BENDORF)
    assert hashlib.sha256(file.content).hexdigest() == batch["sha256"]
    assert batch["file_name"] in file.headers["content-disposition"]
    rows = read(file.content)
    assert [list(row.values()) for row in rows[1:-1]] == shown["rows"][1:-1]
    types = [row["Satzart"] for row in rows]
    assert {kind: types.count(kind) for kind in "VSAIRN"} == {"V": 1, "S": 3, "A": 2, "I": 3, "R": 2, "N": 1}
    by_sign: dict[str, str] = {}
    for row in rows[1:-1]:
        by_sign[row["Kassenzeichen"]] = by_sign.get(row["Kassenzeichen"], "") + row["Satzart"]
    assert sorted(by_sign.values()) == ["IR", "SI", "SSIAAR"], "no money before the order it is about"
    papers = [row["BelegNr"] for row in rows[1:-1]]
    assert [entry["document"] for entry in shown["entries"]] == [
        paper for n, paper in enumerate(papers) if n == 0 or (paper, types[n + 1]) != (papers[n - 1], types[n])
    ], "the page's table follows the file"
    assert rows[-1]["LfdNr"] == str(len(rows)) == str(batch["row_count"] + 2), "the pages say how the two figures agree"
    assert rows[-1]["Betrag brutto"] == f"{batch['sum_cents'] // 100},{batch['sum_cents'] % 100:02d}"
    receipts = {row["Zahlungsreferenz"]: row["Betrag brutto"] for row in rows if row["Satzart"] == "I"}
    listed = (await world.sandbox.get("/v1/payment_intents", params={"limit": 3})).json()["data"]
    assert receipts == {pi["id"]: f"{pi['amount'] // 100},{pi['amount'] % 100:02d}" for pi in listed}


async def test_each_row_is_exported_once(world: World):
    await world.confirmed(a_booking(1200))
    first = (await make(world)).json()
    nothing = await make(world, "k2")
    await world.confirmed(a_booking(700))
    second = (await make(world, "k3")).json()

    assert (nothing.status_code, nothing.json()["type"]) == (409, "/problems/nothing-to-export")
    assert (first["row_count"], second["row_count"]) == (2, 2)
    assert (first["number"], second["number"]) == (1, 2)
    twice = await world.rows("SELECT entry_id, part FROM export_row GROUP BY 1, 2 HAVING count(*) > 1")
    assert twice == []


async def show(world: World) -> str:
    return (await preview(world)).json()["preview"]


async def test_an_order_with_its_preview_hands_over_that_or_nothing(world: World):
    await world.confirmed(a_booking(1200))
    seen = await show(world)
    assert await show(world) == seen
    await world.confirmed(a_booking(700))
    refused = await make(world, preview=seen)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/export-overtaken")
    assert await world.rows("SELECT 1 FROM export_batch") == []

    shown = (await preview(world)).json()
    assert shown["preview"] != seen
    made = await make(world, preview=shown["preview"])
    assert (made.json()["row_count"], made.json()["sum_cents"]) == (shown["count"], shown["sum_cents"]) == (4, 3800)
    await world.confirmed(a_booking(500))
    again = await make(world, preview=shown["preview"])
    assert (again.status_code, again.json()) == (201, made.json()), "a repeat gets the batch that it made"


async def test_a_preview_of_the_same_entries_under_other_accounts_is_another(world: World):
    await world.confirmed(a_booking(1200))
    seen = await show(world)
    body = SELLER | {"accounts": {"debtor": "99999"}}
    headers = county("county-admin") | {"If-Match": '"1"'}
    assert (await world.client.put("/v1/sellers/stadt-bendorf", json=body, headers=headers)).status_code == 200

    assert (await make(world, preview=seen)).json()["type"] == "/problems/export-overtaken"


async def test_an_order_with_its_preview_is_not_made_anew_from_what_came_meanwhile(world: World):
    await world.confirmed(a_booking(1200))
    seen = await show(world)

    async def rival() -> None:
        await make(world, "rival")
        await world.confirmed(a_booking(700))

    world.app.state.renderer = Meanwhile(world.app.state.renderer, rival)
    refused = await make(world, preview=seen)

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/export-overtaken")
    assert [row["sum_cents"] for row in await world.rows("SELECT sum_cents FROM export_batch")] == [2400]


async def test_rivals_make_one_batch(world: World):
    await world.confirmed(a_booking(1200))
    answers = await asyncio.gather(*(make(world, f"k{n}") for n in range(5)))

    assert sorted(a.status_code for a in answers) == [201, 409, 409, 409, 409]
    assert [row["number"] for row in await world.rows("SELECT number FROM export_batch")] == [1]


async def test_a_key_replays_its_batch(world: World):
    await world.confirmed(a_booking(1200))
    first, again, other = await make(world), await make(world), await make(world, productive=True)

    assert (first.json(), first.status_code) == (again.json(), again.status_code)
    assert other.status_code == 422
    # Relative to the address that was asked, which is another one behind the gateway.
    asked, made = URL("http://gateway.test/api/billing/v1/exports"), again.headers["location"]
    assert asked.join(made).path == f"/api/billing/v1/exports/{first.json()['id']}"
    assert (await world.client.get(again.request.url.join(made), headers=BENDORF)).json() == first.json()


async def test_a_file_stays_the_same_byte_for_byte(world: World):
    await world.confirmed(a_booking(1200))
    batch = (await make(world)).json()
    first = await world.client.get(f"/v1/exports/{batch['id']}/file", headers=BENDORF)
    await world.confirmed(a_booking(100))
    again = await world.client.get(f"/v1/exports/{batch['id']}/file", headers=county())

    assert first.content == again.content
    assert first.headers["etag"] == f'"{batch["sha256"]}"'


async def test_a_productive_export_refuses_sandbox_documents(world: World):
    story = a_booking(1200)
    await world.confirmed(story)
    (invoice,) = await world.documents(story)
    refused = await make(world, productive=True)

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/sandbox-documents")
    assert invoice["number"] in refused.json()["numbers"]
    assert invoice["number"] in (await preview(world, productive=True)).json()["blocking"]
    assert await world.rows("SELECT 1 FROM export_batch") == []
    assert (await make(world, "k2")).status_code == 201
    empty = await make(world, "k3", productive=True)
    assert empty.json()["type"] == "/problems/nothing-to-export"


class Meanwhile:
    """Renders, and lets something happen between reading and writing."""

    def __init__(self, renderer: Renderer, deed: Callable[[], Awaitable[object]]) -> None:
        self._renderer, self._deeds = renderer, [deed]

    async def make(self, order: Order) -> Made:
        made = await self._renderer.make(order)
        while self._deeds:
            await self._deeds.pop()()
        return made

    def close(self) -> None:
        self._renderer.close()


async def test_sandbox_documents_that_come_while_the_file_is_made_stop_it_too(world: World):
    story = a_booking(1200)
    payment = await world.paid(story)
    await make(world)
    await world.rows("UPDATE payment SET livemode = true", owner=True)
    await world.tell(story.confirm(payment["id"]))
    world.app.state.renderer = Meanwhile(world.app.state.renderer, lambda: world.confirmed(a_booking(700)))
    refused = await make(world, "k2", productive=True)

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/sandbox-documents")
    assert await world.rows("SELECT 1 FROM export_batch WHERE productive") == []


async def test_a_productive_export_takes_the_real_ones_and_a_trial_does_not_use_them_up(world: World):
    story = a_booking(1200)
    payment = await world.paid(story)
    await make(world)
    await world.rows("UPDATE payment SET livemode = true", owner=True)
    await world.tell(story.confirm(payment["id"]))
    trial = await make(world, "k2")
    real = await make(world, "k3", productive=True)

    assert trial.json()["type"] == "/problems/nothing-to-export"
    assert real.status_code == 201, real.text
    file = await world.client.get(f"/v1/exports/{real.json()['id']}/file", headers=BENDORF)
    assert [row["BelegNr"][:2] for row in read(file.content) if row["Satzart"] == "S"] == ["R-"]


async def test_one_town_can_neither_list_nor_load_anothers(world: World):
    await world.confirmed(a_booking(1200))
    batch = (await make(world)).json()
    paths = [
        "/v1/exports?operator=stadt-bendorf", "/v1/exports/preview?operator=stadt-bendorf",
        f"/v1/exports/{batch['id']}", f"/v1/exports/{batch['id']}/file", "/v1/clearing?operator=stadt-bendorf",
    ]  # fmt: skip
    for path in paths:
        for headers, status in (
            (BENDORF, 200), (MAYEN, 404), (county(), 200), (member(), 403), (county("county-admin"), 403), ({}, 401),
        ):  # fmt: skip
            answer = await world.client.get(path, headers=headers)
            assert (path, answer.status_code) == (path, status)
    assert (await make(world, headers=MAYEN)).status_code == 404
    assert (await make(world, headers=member())).status_code == 403


async def test_lists_are_paged_by_cursor(world: World):
    for n in range(3):
        await world.confirmed(a_booking(1000 + n))
        await make(world, f"k{n}")
    for limit, pages in ((2, [[3, 2], [1]]), (3, [[3, 2, 1]]), (1, [[3], [2], [1]])):
        seen, query = [], f"?operator=stadt-bendorf&limit={limit}"
        while query:
            answer = await world.client.get("/v1/exports" + query, headers=BENDORF)
            seen.append([item["number"] for item in answer.json()["items"]])
            link = answer.headers.get("link", "")
            assert bool(link) == bool(answer.json()["next"])
            # Relative to the address that was asked, which is another one behind the gateway.
            query = link.removeprefix("<").removesuffix('>; rel="next"')
            assert query == "" or query.startswith("?")

        assert seen == pages


async def test_replaced_and_neutralised_texts_are_listed(world: World):
    story = a_booking(1200)
    await world.tell(story)
    buyer = {"name": "=Łukasz", "street": "Hauptstraße 1", "postcode": "56170", "city": "Bendorf", "country": "DE"}
    payment = (await world.ask(story, buyer=buyer)).json()
    await world.press(payment)
    await world.webhooks()
    await world.tell(story.confirm(payment["id"]))
    batch = (await make(world)).json()
    file = await world.client.get(f"/v1/exports/{batch['id']}/file", headers=BENDORF)

    assert batch["replaced"] == [
        {"position": 2, "column": "Name1", "original": "=Łukasz", "written": "=Lukasz", "reason": "encoding"}
    ]
    assert "'=Lukasz" in [row["Name1"] for row in read(file.content)]


async def test_an_operator_without_books_is_not_there(world: World):
    answer = await make(world, headers=county(), operator="stadt-mayen")
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"operator": "stadt-bendorf"},
        {"operator": "Ä", "productive": True},
        {"operator": "stadt-bendorf", "productive": False, "preview": "x"},
    ],
)
async def test_a_malformed_order_is_refused(world: World, body):
    answer = await world.client.post("/v1/exports", json=body, headers=BENDORF | {"Idempotency-Key": "k"})
    assert answer.status_code == 422


async def test_a_batch_that_was_overtaken_is_made_anew(world: World, monkeypatch):
    """Between reading and writing, a rival exports one entry and the seller changes."""
    await world.confirmed(a_booking(1200))
    renders = 0
    render = Renderer.make

    async def overtaken(self: Renderer, order: Order) -> Made:
        nonlocal renders
        renders += 1
        made = await render(self, order)
        if renders == 1:
            rival = finance("stadt-bendorf") | {"Idempotency-Key": "rival"}
            body = {"operator": "stadt-bendorf", "productive": False}
            assert (await world.client.post("/v1/exports", json=body, headers=rival)).status_code == 201
            await world.confirmed(a_booking(700))
        return made

    monkeypatch.setattr(Renderer, "make", overtaken)
    batch = (await make(world)).json()

    assert (batch["number"], batch["row_count"], batch["sum_cents"], renders) == (2, 2, 1400, 3)
    twice = await world.rows("SELECT entry_id, part FROM export_row GROUP BY 1, 2 HAVING count(*) > 1")
    assert twice == []


async def test_another_process_makes_the_same_file(world: World, monkeypatch):
    await world.confirmed(a_booking(1200))
    here = (await preview(world)).json()
    monkeypatch.setattr(rendering, "_INLINE", 0)

    assert (await preview(world)).json() == here
    batch = (await make(world)).json()
    file = await world.client.get(f"/v1/exports/{batch['id']}/file", headers=BENDORF)
    assert [list(row.values()) for row in read(file.content)] == here["rows"]


async def test_five_thousand_entries_leave_the_loop_free_and_are_cut_off_in_the_preview(world: World):
    story = a_booking(700)
    await world.confirmed(a_booking(1200))
    payment = await world.paid(story)
    await add_entries(world, 5100)
    await world.tell(story.confirm(payment["id"]))
    await invoice_behind_them(world)
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.005)
            # The loop's own work, not the machine's other business.
            longest = max(longest, time.thread_time() - before)

    # What the whole run has piled up is no part of the measure.
    gc.freeze()
    beating = asyncio.create_task(beat())
    shown = (await preview(world)).json()
    batch = (await make(world)).json()
    beating.cancel()
    gc.unfreeze()

    assert longest < 0.3
    assert (shown["count"], len(shown["rows"]), shown["truncated"]) == (4999, 200, True), "not the payment"
    assert len(shown["entries"]) == 200
    assert (batch["row_count"], batch["sum_cents"]) == (4999, shown["sum_cents"])
    rest = (await preview(world)).json()
    assert rest["count"] == 5104 - 4999
    (invoice,) = await world.documents(story)
    kinds = [entry["kind"] for entry in rest["entries"] if entry["document"] == invoice["number"]]
    assert kinds == ["invoice", "payment"], "no money in a file before the one with its order"
    await drop_entries(world)


async def add_entries(world: World, count: int) -> None:
    """Repeat the invoice's entry, outside of its chain."""
    await world.rows(
        "WITH one AS (SELECT * FROM journal_entry WHERE kind = 'invoice') "
        "INSERT INTO journal_entry SELECT (jsonb_populate_record(one::journal_entry, jsonb_build_object("
        "'id', gen_random_uuid(), 'source_id', gen_random_uuid(), 'serial', 1000 + n))).* "
        "FROM one, generate_series(1, CAST($1 AS int)) n", count, unguarded=True,
    )  # fmt: skip


async def invoice_behind_them(world: World) -> None:
    """As if all of them had been booked between the last payment and its invoice."""
    await world.rows("UPDATE journal_entry SET serial = 10000 WHERE serial = 4", unguarded=True)


async def drop_entries(world: World) -> None:
    await world.rows("UPDATE journal_entry SET serial = 4 WHERE serial = 10000", unguarded=True)
    for table in ("export_row", "journal_entry"):
        await world.rows(f"DELETE FROM {table}" + " WHERE serial > 1000" * (table != "export_row"), unguarded=True)
