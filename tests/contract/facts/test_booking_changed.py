"""Booking's facts at access and billing: whatever order the post brings them in, the end is the same."""

import json
from typing import Any

import pytest

from regiohub_shared.contracts.booking import BookingChanged
from tests.contract.stories import ORDERS, Story, cancelled, lost, moved, paid_late, read_fact, snapshot, used
from tests.support.world_street import Street


async def at_access(town: Street, booking: dict[str, Any]) -> dict[str, Any]:
    """All that access holds of a booking, without what differs by chance or by the hour booked."""
    rows = await town.access.rows(
        "SELECT g.version, g.status, g.hub, g.sub IS NOT NULL AS owned, g.revoked_at IS NOT NULL AS revoked, "
        "(SELECT count(*) FROM grant_line l WHERE l.grant_id = g.id) AS lines, "
        "(SELECT min(l.starts_at) FROM grant_line l WHERE l.grant_id = g.id) AS starts_at, "
        '(SELECT count(*) FROM pin p WHERE p.grant_id = g.id) AS pins FROM "grant" g WHERE g.booking_id = :id',
        id=booking["id"],
    )
    found = dict(rows[0]._mapping) if rows else {}
    if found:
        assert found.pop("starts_at") == (await snapshot(town, booking)).lines[0].start
    return found


async def at_billing(town: Street, booking: dict[str, Any]) -> dict[str, Any]:
    """All that billing holds of a booking: charge, documents, payments, refunds."""
    await town.billing.webhooks()
    params, headers = {"booking_id": booking["id"]}, town.by[booking["id"]]
    answers = [
        await town.billing.client.get(path, params=params, headers=headers)
        for path in ("/v1/documents", "/v1/payments")
    ]
    documents, payments = (answer.json()["items"] for answer in answers)
    charge = await town.billing.rows(
        "SELECT version, status, verdicts::text, problem, confirmed_at IS NOT NULL AS confirmed, "
        "cancelled_at IS NOT NULL AS cancelled FROM charge WHERE booking_id = $1", booking["id"],
    )  # fmt: skip
    found = dict(charge[0])
    verdicts = {str(item.payment_id): item.verdict for item in (await snapshot(town, booking)).payments}
    assert json.loads(found.pop("verdicts")) == verdicts
    return found | {
        "documents": [(d["kind"], d["gross_cents"], bool(d["refers_number"])) for d in documents],
        "payments": [(p["status"], p["paid_cents"], p["refunded_cents"]) for p in payments],
        "refunds": [(r["reason"], r["status"], r["amount_cents"]) for p in payments for r in p["refunds"]],
    }


GRANT = {"hub": "bendorf", "owned": True, "lines": 1}
ACTIVE = GRANT | {"status": "active", "revoked": False, "pins": 1}
REVOKED = GRANT | {"status": "revoked", "revoked": True, "pins": 0}
PREPAYMENT = "1593"
PAID = [("succeeded", 400, 0)]
REFUNDED = [("succeeded", 400, 400)]
INVOICE = ("invoice", 400, False)
STORNO = ("cancellation", 400, True)
CHARGE = {"version": 3, "problem": "", "refunds": []}
ENDS: list[tuple[Story, dict[str, Any], dict[str, Any]]] = [
    (used, ACTIVE | {"version": 3}, CHARGE | {
        "status": "checked_in", "confirmed": True, "cancelled": False, "documents": [INVOICE], "payments": PAID,
    }),
    (cancelled, REVOKED | {"version": 3}, CHARGE | {
        "status": "cancelled", "confirmed": True, "cancelled": True, "documents": [INVOICE, STORNO],
        "payments": REFUNDED, "refunds": [("cancelled", "succeeded", 400)],
    }),
    (paid_late, ACTIVE | {"version": 3}, CHARGE | {
        "status": "confirmed", "confirmed": True, "cancelled": False, "documents": [INVOICE], "payments": PAID,
    }),
    (moved, ACTIVE | {"version": 3}, CHARGE | {
        "status": "confirmed", "confirmed": True, "cancelled": False, "documents": [INVOICE], "payments": PAID,
    }),
    (lost, REVOKED | {"version": 3}, CHARGE | {
        "status": "expired", "confirmed": False, "cancelled": False, "documents": [], "payments": REFUNDED,
        "refunds": [("lost_slot", "succeeded", 400)],
    }),
]  # fmt: skip


@pytest.mark.parametrize(("story", "at_door", "in_books"), ENDS, ids=lambda value: getattr(value, "__name__", ""))
async def test_any_order_gives_the_same_end(town: Street, story: Story, at_door, in_books):
    """Billing asks for the held booking by itself, since no letter has come when the member wants to pay."""
    for line in ("booking>access", "booking>billing"):
        town.posts[line].keeps = True
    for name, order in ORDERS.items():
        booking = await town.hold()
        await story(town, booking)
        for line in ("booking>access", "booking>billing"):
            letters = town.letters(line, booking)
            versions = [read_fact(BookingChanged, letter, "/booking").version for letter in letters]
            assert versions == [1, 2, 3], (name, line)
            for place in order:
                await town.posts[line].hand_over(letters[place])
        await town.deliver()
        await town.billing.webhooks()
        await town.deliver()

        assert await at_access(town, booking) == at_door, name
        assert await at_billing(town, booking) == in_books, name
    balances = await town.billing.balances()
    assert sum(balances.values()) == 0
    assert PREPAYMENT not in balances, "every payment became an invoice or went back"
