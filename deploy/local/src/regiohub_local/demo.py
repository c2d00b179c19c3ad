"""`make demo`: the whole story in a house of its own, without a browser; exit 0 only if every step held."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from regiohub_local import logs, postgres, processes, seed, story, supervise, throwaway
from regiohub_local.person import Person, Refused
from regiohub_local.plan import House
from regiohub_local.story import OPERATOR, StepFailed, Tale, check

Step = Callable[[Tale], Awaitable[str]]
TOLD = ("gateway", "booking", "booking-worker", "access", "billing")
CUT = ("booking", "booking-worker", "access", "access-worker", "billing", "billing-worker", "keycloak")


async def refuse_second_booking(tale: Tale) -> str:
    """The slot is taken: 409 with alternatives."""
    answer = await tale.other.request("POST", "/api/booking/v1/bookings", json=story.order(tale))
    check(answer.status_code == 409, f"a second booking of the slot answered {answer.status_code}")
    problem = answer.json()
    check(problem["type"].endswith("/slot-taken") and problem.get("alternatives"), f"no alternatives in {problem}")
    return f"409 with {len(problem['alternatives'])} alternatives"


async def refuse_foreign_eyes(tale: Tale) -> str:
    """Another member's booking does not exist."""
    answer = await tale.other.request("GET", tale.path)
    check(answer.status_code == 404, f"another member's booking answered {answer.status_code}")
    return "404"


async def refuse_forged_webhook(tale: Tale) -> str:
    """A webhook without Stripe's signature changes nothing."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        body = {"id": "evt_forged", "type": "checkout.session.completed", "object": "event"}
        answer = await http.post(
            f"{tale.house.origin}/api/billing/v1/webhooks/stripe",
            json=body,
            headers={"Stripe-Signature": "t=1,v1=00"},
        )
    check(answer.status_code == 400, f"a forged webhook answered {answer.status_code}")
    return "400"


async def cut_the_line(tale: Tale) -> str:
    """Stop booking, access, billing and Keycloak."""
    await asyncio.to_thread(processes.end, tale.house.state_dir, *CUT)
    return "booking, access, billing and Keycloak are stopped"


async def refuse_replay(tale: Tale) -> str:
    """The same picture does not open twice."""
    decided = await story.at_door(tale, tale.shown)
    check((decided["decision"], decided["reason"]) == ("denied", "replayed"), f"a replay gave {decided}")
    return f"{decided['decision']}, {decided['reason']}"


async def mend_the_line(tale: Tale) -> str:
    """Start them again."""
    await asyncio.to_thread(supervise.start, tale.house.state_dir, prefer={}, say=lambda _line: None)
    return "all programs are back"


async def journal(tale: Tale) -> str:
    """Every entry balances."""
    entries, broken = await _from_ledger(
        tale.house,
        "SELECT count(DISTINCT entry_id), count(*) FILTER (WHERE off) FROM (SELECT entry_id, "
        "sum(debit_cents) OVER e <> sum(credit_cents) OVER e AS off FROM journal_line WINDOW e AS (PARTITION BY entry_id)) x",
    )
    check(entries > 0 and broken == 0, f"{broken} lines of {entries} entries do not balance")
    return f"{entries} entries, all balanced"


async def _from_ledger(house: House, sql: str) -> Any:
    server = postgres.start(house.state_dir, house.ports["postgres"])
    connection = await asyncpg.connect(server.admin_url.rpartition("/")[0] + "/regiohub_billing")
    try:
        return await connection.fetchrow(sql)
    finally:
        await connection.close()


async def follow_one_id(tale: Tale) -> str:
    """The click that made the booking is found in every program's log by one trace id and one request id."""
    trace = logs.trace_of(tale.house.state_dir, tale.booking["id"])
    check(trace, "booking's worker tells of no delivery")
    found = logs.of_trace(tale.house.state_dir, TOLD, trace)
    silent = [name for name, lines in found.items() if not lines]
    check(not silent, f"{', '.join(silent)} do not know the trace {trace}")
    requests = {line["request_id"] for lines in found.values() for line in lines}
    check(len(requests) == 1, f"one trace, {len(requests)} request ids")
    return f"trace {trace} in {len(TOLD)} programs, {sum(map(len, found.values()))} lines"


async def cancel(tale: Tale) -> str:
    """Book tomorrow's slot, pay, and cancel it: Storno and refund."""
    tale.start, tale.end = (moment + timedelta(days=1) for moment in (tale.start, tale.end))
    for step in (story.search, story.book, story.pay, story.invoice):
        await step(tale)
    await tale.member.post(f"{tale.path}/cancel", {}, **{"If-Match": f'"{tale.booking["version"]}"'})
    found = await story.until("Storno", lambda: story.documents(tale, 2))
    storno = next(item for item in found if item["kind"] == "cancellation")
    await story.until("refund", lambda: _refunded(tale))
    return f"{storno['number']} for {storno['refers_number']}, {storno['gross_cents']} ct returned"


async def _refunded(tale: Tale) -> bool | None:
    found = await tale.member.get("/api/billing/v1/payments", booking_id=tale.booking["id"])
    done = any(item["refunded_cents"] == item["paid_cents"] > 0 for item in found["items"])
    return True if done else None


async def export(tale: Tale) -> str:
    """Finance exports; a second reader finds exactly the sandbox's payments and refunds in the file."""
    async with Person(tale.house, "demo-kasse-bendorf") as treasury:
        preview = await treasury.get("/api/billing/v1/exports/preview", operator=OPERATOR, productive="false")
        batch = await treasury.post("/api/billing/v1/exports", {"operator": OPERATOR, "productive": False})
        answer = await treasury.request("GET", f"/api/billing/v1/exports/{batch['id']}/file")
    check(batch["row_count"] == preview["count"], "the batch differs from its preview")
    found = read_hkr(answer.content)
    wanted = await _sandbox_books(tale.house)
    check(found == wanted, f"the file says {found}, the sandbox {wanted}")
    return f"{batch['file_name']}, {batch['row_count']} rows, {sum(found['I'])} ct in, {sum(found['R'])} ct out"


def read_hkr(content: bytes) -> dict[str, list[int]]:
    """Read payments (I) and refunds (R) in cents from an HKR file; knows only the written format.

    Raises :class:`StepFailed` if the trailer's count or sum is wrong.
    """
    rows = list(csv.reader(io.StringIO(content.decode("cp1252"), newline=""), delimiter=";"))
    records = rows[1:]
    amounts = [_cents(row[17]) for row in records[:-1]]
    check(records[-1][0] == "N" and int(records[-1][1]) == len(records), "the trailer's count is wrong")
    check(_cents(records[-1][17]) == sum(amounts), "the trailer's sum is wrong")
    return {kind: sorted(_cents(row[17]) for row in records if row[0] == kind) for kind in ("I", "R")}


def _cents(text: str) -> int:
    return int(Decimal(text.replace(",", ".") or "0") * 100)


async def _sandbox_books(house: House) -> dict[str, list[int]]:
    """What Stripe's own API says of succeeded payments and refunds."""
    headers = {"Authorization": f"Bearer {house.secrets['SANDBOX_API_KEY']}"}
    async with httpx.AsyncClient(base_url=house.stripe_origin, headers=headers, trust_env=False, timeout=10) as http:
        intents = (await http.get("/v1/payment_intents", params={"limit": 100})).json()["data"]
        refunds = (await http.get("/v1/refunds", params={"limit": 100})).json()["data"]
    return {
        "I": sorted(item["amount_received"] for item in intents if item["status"] == "succeeded"),
        "R": sorted(item["amount"] for item in refunds if item["status"] == "succeeded"),
    }


STEPS: Sequence[Step] = (
    story.search, story.book, refuse_second_booking, refuse_foreign_eyes, story.pay, refuse_forged_webhook,
    story.fetch_pass, cut_the_line, story.open_door, refuse_replay, mend_the_line, story.checked_in, story.invoice,
    follow_one_id, cancel, export, journal,
)  # fmt: skip


async def play(house: House, steps: Sequence[Step] = STEPS) -> bool:
    """Play the steps with progress; return whether all held. The first that fails ends the story."""
    await seed.run(house)
    start, end = story.current_slot()
    async with Person(house, "demo-mitglied") as member, Person(house, "demo-mitglied-2") as other:
        tale = Tale(house=house, member=member, other=other, start=start, end=end)
        for number, step in enumerate(steps, 1):
            name = step.__name__.strip("_").replace("_", " ")
            try:
                seen = await step(tale)
            except (StepFailed, Refused, httpx.HTTPError, KeyError) as error:
                print(f"[{number:>2}/{len(steps)}] {name:<24} FAILED: {error!r}", flush=True)
                return False
            print(f"[{number:>2}/{len(steps)}] {name:<24} {seen}", flush=True)
    return True


def main(_state_dir: Path, steps: Sequence[Step] = STEPS) -> int:
    """Make a house in a folder of its own with free ports, play, and take all of it down again."""
    began = time.monotonic()
    with throwaway.running_house("demo") as house:
        set_up = time.monotonic()
        held = asyncio.run(play(house, steps))
        done = "Every step held" if held else "A step did not hold"
        print(f"{done}: set-up {set_up - began:.0f} s, story {time.monotonic() - set_up:.0f} s.")
        return 0 if held else 1
