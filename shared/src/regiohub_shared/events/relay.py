"""The relay delivers facts over HTTP, at least once, one loop per subscriber, so that a dead one delays only itself.

A subscriber (or Keycloak) that is away is asked again for ever, at last every five minutes; what makes a dead letter is
its definite "no", repeated ``max_attempts`` times.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import text

from regiohub_shared.clock import real_now
from regiohub_shared.db.database import Database
from regiohub_shared.events.envelope import Envelope
from regiohub_shared.events.watch import watch_here
from regiohub_shared.log import get_logger
from regiohub_shared.tracing import Hop, bound_trace, trace_headers

_log = get_logger(__name__)

_CLAIM = text(
    """
WITH due AS (
    SELECT outbox_id, subscriber FROM outbox_delivery
    WHERE subscriber = :subscriber AND delivered_at IS NULL AND dead_at IS NULL AND next_at <= :now
      AND (leased_until IS NULL OR leased_until <= :now)
    ORDER BY next_at LIMIT :batch FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE outbox_delivery d SET attempts = d.attempts + 1, leased_until = :until
    FROM due WHERE d.outbox_id = due.outbox_id AND d.subscriber = due.subscriber
    RETURNING d.outbox_id, d.attempts, d.refusals
)
SELECT o.id, o.type, o.subject, o.sequence, o.occurred_at, o.data, o.trace, claimed.attempts, claimed.refusals
FROM claimed JOIN outbox o ON o.id = claimed.outbox_id ORDER BY o.id
"""
)
_DELIVERED = text(
    "UPDATE outbox_delivery SET delivered_at = :now, leased_until = NULL, last_error = '' "
    "WHERE outbox_id = :id AND subscriber = :subscriber AND attempts = :attempts"
)
_FAILED = text(
    "UPDATE outbox_delivery SET leased_until = NULL, next_at = :next_at, last_error = :error, refusals = :refusals, "
    "dead_at = :dead_at WHERE outbox_id = :id AND subscriber = :subscriber AND attempts = :attempts AND delivered_at IS NULL"
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a subscriber listens; the client carries base address, token and timeout."""

    subscriber: str
    client: httpx.AsyncClient


@dataclass(frozen=True, slots=True)
class RelayRules:
    """Seconds, and the number of refusals that make a delivery a dead letter."""

    lease_s: float = 15.0
    max_attempts: int = 40
    max_backoff_s: float = 300.0
    batch: int = 20
    poll_min_s: float = 0.05
    poll_max_s: float = 0.5


def backoff_s(attempts: int, rules: RelayRules, spread: float) -> float:
    """Return the pause after a failed attempt: doubling from a quarter second, capped; ``spread`` in [0, 1)."""
    return float(min(rules.max_backoff_s, 0.25 * 2 ** min(attempts, 20)) * (0.75 + spread / 2))


_LATER = frozenset({408, 425, 429})
"""Statuses of the 400s that say "not now" rather than "no"."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a delivery did not arrive; ``is_refusal``: the subscriber read it and said no."""

    error: str
    is_refusal: bool = False

    @classmethod
    def of(cls, status: int) -> "Failure":
        """Judge an answer that is not a success."""
        return cls(f"HTTP {status}", is_refusal=400 <= status < 500 and status not in _LATER)


class Relay:
    """Claims due deliveries under a lease and posts them; replicas may run side by side."""

    def __init__(self, db: Database, source: str, targets: list[Target], rules: RelayRules | None = None) -> None:
        """``source`` names this service in the envelope, for example ``/booking``."""
        self._db, self._source, self._targets = db, source, targets
        self._rules = rules or RelayRules()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set; a database that is away only pauses the loops."""
        await asyncio.gather(*(self._loop(target, stop) for target in self._targets))

    async def _loop(self, target: Target, stop: asyncio.Event) -> None:
        pause, name, watch = self._rules.poll_min_s, f"relay-{target.subscriber}", watch_here()
        watch.beat(name)
        while not stop.is_set():
            began, failed = time.monotonic(), False
            try:
                busy = await self.deliver_due(target)
            except Exception as error:  # noqa: BLE001 - whatever fails, the work goes on and is tried again
                _log.warning("relay_paused", subscriber=target.subscriber, error=type(error).__name__)
                busy, failed = 0, True
            watch.ended(name, time.monotonic() - began, failed=failed, next_s=self._rules.poll_max_s)
            pause = self._rules.poll_min_s if busy else min(pause * 1.5, self._rules.poll_max_s)
            if not busy:
                await _wait(stop, pause)

    async def deliver_due(self, target: Target) -> int:
        """Deliver one batch; return how many rows were due."""
        now = real_now()
        values = {
            "subscriber": target.subscriber, "now": now, "batch": self._rules.batch,
            "until": now + timedelta(seconds=self._rules.lease_s),
        }  # fmt: skip
        async with self._db.session() as session:
            rows = (await session.execute(_CLAIM, values)).mappings().all()
        # All end before one's failure is raised: nothing may go on behind a stopped relay.
        outcomes = await asyncio.gather(*(self._deliver(target, row) for row in rows), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        return len(rows)

    async def _deliver(self, target: Target, row: Mapping[Any, Any]) -> None:
        hop = watch_here().tracer.begin(row["trace"].get("traceparent", ""), "producer")
        with bound_trace(request_id=row["trace"].get("request_id", ""), traceparent=hop.traceparent):
            await self._attempt(target, row, hop)

    async def _attempt(self, target: Target, row: Mapping[Any, Any], hop: Hop) -> None:
        failure = await self._post(target, row)
        self._note(target, row, failure, hop)
        now = real_now()
        key = {"id": row["id"], "subscriber": target.subscriber, "attempts": row["attempts"]}
        async with self._db.session() as session:
            if failure is None:
                await session.execute(_DELIVERED, key | {"now": now})
            else:
                await session.execute(_FAILED, key | self._outcome(row, failure, now))

    def _outcome(self, row: Mapping[Any, Any], failure: Failure, now: datetime) -> dict[str, Any]:
        pause = backoff_s(row["attempts"], self._rules, random.random())  # noqa: S311 - jitter, not a secret
        refusals = row["refusals"] + failure.is_refusal
        is_dead = failure.is_refusal and refusals >= self._rules.max_attempts
        return {
            "error": failure.error[:500], "refusals": refusals, "next_at": now + timedelta(seconds=pause),
            "dead_at": now if is_dead else None,
        }  # fmt: skip

    async def _post(self, target: Target, row: Mapping[Any, Any]) -> Failure | None:
        """Return None if the subscriber took it, else what went wrong."""
        headers = {"Content-Type": "application/cloudevents+json"} | trace_headers()
        try:
            # httpx's timeouts count per read and wait; only this one is sure to end within the lease.
            async with asyncio.timeout(self._rules.lease_s * 0.8):
                answer = await target.client.post("/internal/events", content=self._body(row), headers=headers)
        except Exception as error:  # noqa: BLE001 - whatever fails, the work goes on and is tried again
            return Failure(type(error).__name__)
        if answer.is_success:
            return None
        return Failure.of(answer.status_code)

    def _note(self, target: Target, row: Mapping[Any, Any], failure: Failure | None, hop: Hop) -> None:
        """Count it, log one line, end the hop. An absent subscriber is tried again and again: no line for each time."""
        told = {"subscriber": target.subscriber, "type": row["type"], "subject": row["subject"]}
        outcome = "delivered" if failure is None else "refused" if failure.is_refusal else "failed"
        watch_here().sent(target.subscriber, outcome)
        if failure is None:
            _log.info("fact_delivered", attempts=row["attempts"], **told)
        elif failure.is_refusal or failure.error.startswith("HTTP"):
            _log.warning("fact_refused", error=failure.error, **told)
        hop.end(
            f"deliver {row['type']}", {"subscriber": target.subscriber, "outcome": outcome}, failed=failure is not None
        )

    def _body(self, row: Mapping[Any, Any]) -> str:
        return Envelope(
            id=row["id"], source=self._source, type=row["type"], subject=row["subject"], time=row["occurred_at"],
            sequence=row["sequence"], data=row["data"],
        ).model_dump_json()  # fmt: skip


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
