"""Reads the state of a house: each service's database, the sandbox's books, the readers; and whether it is at rest."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

import asyncpg
import httpx

from regiohub_access.reader.wire import format_time
from regiohub_local import postgres
from regiohub_local.chaos import state
from regiohub_local.plan import HUBS, SERVICES, House

_T = TypeVar("_T")

_BOOKINGS = "SELECT id::text, status, gross_cents, confirmed_at, checked_in_at FROM booking"
_LINES = "SELECT booking_id::text, resource_id::text, starts_at, ends_at FROM line"
_PLACES = """
SELECT b.id::text, coalesce(p.part_id, l.resource_id)::text, l.starts_at, l.ends_at,
       l.starts_at - make_interval(mins => r.buffer_before_minutes), l.ends_at + make_interval(mins => r.buffer_after_minutes)
FROM line l JOIN booking b ON b.id = l.booking_id JOIN resource r ON r.id = l.resource_id
LEFT JOIN resource_part p ON p.resource_id = l.resource_id
WHERE b.status NOT IN ('cancelled', 'expired', 'rejected')
"""
_OCCUPIED = """
SELECT l.booking_id::text, o.resource_id::text, lower(o.span), upper(o.span)
FROM occupancy o JOIN line l ON l.id = o.line_id WHERE lower_inf(o.lane)
"""
_KEYS = "SELECT key FROM idempotency_key WHERE route = 'POST /v1/bookings'"
_CHARGES = "SELECT booking_id::text, gross_cents FROM charge"
_PAYMENTS = "SELECT id::text, booking_id::text, status, paid_cents, refunded_cents FROM payment"
_DOCUMENTS = "SELECT booking_id::text, payment_id::text, kind, gross_cents FROM document"
_REFUNDS = "SELECT payment_id::text, amount_cents, status FROM refund"
_ENTRIES = """
SELECT e.id::text, e.kind, e.payment_id::text, sum(l.debit_cents)::bigint, sum(l.credit_cents)::bigint,
       coalesce(sum(l.debit_cents - l.credit_cents) FILTER (WHERE l.account = s.accounts ->> 'clearing'), 0)::bigint
FROM journal_entry e JOIN journal_line l ON l.entry_id = e.id JOIN seller s ON s.operator = e.operator GROUP BY e.id
"""
_CASES = "SELECT kind || ' ' || source || ': ' || detail FROM clearing_item WHERE resolved_at IS NULL"
_GRANTS = 'SELECT booking_id::text, status FROM "grant"'
_EVENTS = "SELECT hub, reader_log, reader_sequence, door, at, decision FROM door_event"
_FACTS = "SELECT outbox_id::text, subscriber, dead_at IS NOT NULL, last_error FROM outbox_delivery"
_INBOX = "SELECT event_id::text FROM inbox"
_DELIVERED = "SELECT count(*), coalesce(sum(attempts), 0)::bigint FROM outbox_delivery WHERE delivered_at IS NOT NULL"

_TO_CLOSE = """
SELECT count(*) FROM payment p JOIN charge c USING (booking_id)
WHERE p.status IN ('created', 'open', 'processing') AND c.status IN ('cancelled', 'expired')
"""
_WAITING = (
    ("facts", SERVICES, "SELECT count(*) FROM outbox_delivery WHERE delivered_at IS NULL AND dead_at IS NULL"),
    ("provider calls", ("billing",), "SELECT count(*) FROM provider_intent WHERE state = 'pending'"),
    ("webhooks", ("billing",), "SELECT count(*) FROM stripe_event WHERE handled_at IS NULL"),
    ("charges", ("billing",), "SELECT count(*) FROM charge WHERE problem <> ''"),
    ("refunds", ("billing",), "SELECT count(*) FROM refund WHERE status IN ('created', 'pending')"),
    ("payments to close", ("billing",), _TO_CLOSE),
)
_OPEN = "SELECT id::text FROM payment WHERE status IN ('created', 'open', 'processing')"


class Sight:
    """Connections to everything, once no more fault comes."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._admin = postgres.start(house.state_dir, house.ports["postgres"]).admin_url.rpartition("/")[0]

    async def _rows(self, service: str, sql: str) -> list[Any]:
        connection = await asyncpg.connect(f"{self._admin}/regiohub_{service}")
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    async def _all(self, service: str, sql: str, make: Callable[..., _T]) -> tuple[_T, ...]:
        return tuple(make(*row) for row in await self._rows(service, sql))

    async def unrest(self) -> list[str]:
        """What is still under way; empty at rest."""
        waiting = [
            (what, service, (await self._rows(service, sql))[0][0])
            for what, services, sql in _WAITING
            for service in services
        ]
        found = [f"{count} {what} of {service}" for what, service, count in waiting if count]
        if count := self._books("SELECT count(*) FROM delivery WHERE state IN ('waiting', 'urgent')")[0][0]:
            found.append(f"{count} webhooks of the sandbox")
        paid = {money.payment_id for money in self._money()}
        if late := [payment for (payment,) in await self._rows("billing", _OPEN) if payment in paid]:
            found.append(f"{len(late)} payments that billing has not heard of")
        found += [f"{reader.pending} events of {reader.hub}" for reader in await self._readers() if reader.pending]
        return found

    async def delivered(self) -> tuple[int, int]:
        """How many facts arrived, and how many deliveries that took."""
        rows = [(await self._rows(service, _DELIVERED))[0] for service in SERVICES]
        return sum(row[0] for row in rows), sum(row[1] for row in rows)

    async def look(self) -> state.State:
        """Everything as it is now."""
        return state.State(
            bookings=await self._all("booking", _BOOKINGS, state.Booking),
            lines=await self._all("booking", _LINES, state.Line),
            places=await self._all("booking", _PLACES, state.Place),
            occupied=frozenset(await self._rows("booking", _OCCUPIED)),
            keys=frozenset(await self._all("booking", _KEYS, str)),
            charges=await self._all("billing", _CHARGES, state.Charge),
            payments=await self._all("billing", _PAYMENTS, state.Payment),
            documents=await self._all("billing", _DOCUMENTS, state.Document),
            refunds=await self._all("billing", _REFUNDS, state.Refund),
            entries=await self._all("billing", _ENTRIES, state.Entry),
            cases=await self._all("billing", _CASES, str),
            grants=await self._all("access", _GRANTS, state.Grant),
            door_events=await self._all("access", _EVENTS, _event),
            readers=await self._readers(),
            money=self._money(),
            returned=self._returned(),
            facts=await self._facts(),
        )

    async def _facts(self) -> tuple[state.Fact, ...]:
        inboxes = {service: Counter(await self._all(service, _INBOX, str)) for service in SERVICES}
        sent = [(source, row) for source in SERVICES for row in await self._rows(source, _FACTS)]
        return tuple(
            state.Fact(fact, source, subscriber, is_dead, inboxes[subscriber][fact], error)
            for source, (fact, subscriber, is_dead, error) in sent
        )

    async def _readers(self) -> tuple[state.Reader, ...]:
        async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
            told = {hub: (await http.get(f"{self._house.url(f'reader-{hub}')}/status")).json() for hub in HUBS}
        return tuple(
            state.Reader(hub, said["log"][0]["seq"] if said["log"] else 0, said["events_pending"])
            for hub, said in told.items()
        )

    def _money(self) -> tuple[state.Money, ...]:
        intents = [json.loads(body) for (body,) in self._books("SELECT body FROM object WHERE kind = 'payment_intent'")]
        return tuple(
            state.Money(intent["metadata"].get("payment_id", ""), intent["amount_received"])
            for intent in intents
            if intent["status"] == "succeeded"
        )

    def _returned(self) -> tuple[state.Returned, ...]:
        of = {
            intent["id"]: intent["metadata"].get("payment_id", "")
            for (body,) in self._books("SELECT body FROM object WHERE kind = 'payment_intent'")
            for intent in (json.loads(body),)
        }
        refunds = [json.loads(body) for (body,) in self._books("SELECT body FROM object WHERE kind = 'refund'")]
        return tuple(
            state.Returned(of[refund["payment_intent"]], refund["amount"])
            for refund in refunds
            if refund["status"] == "succeeded"
        )

    def _books(self, sql: str) -> list[Any]:
        """The sandbox's own file, which is on the disk before it answers."""
        with closing(sqlite3.connect(self._house.state_dir / "stripe" / "books.sqlite3", timeout=10)) as books:
            return books.execute(sql).fetchall()


def _event(*row: Any) -> state.DoorEvent:
    hub, chain, sequence, door, at, decision = row
    return state.DoorEvent(hub, chain, sequence, door, format_time(at), decision)
