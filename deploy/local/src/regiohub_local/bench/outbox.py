"""What is left to tell after the bookings: how old the oldest fact is, and how long until all is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import asyncpg

from regiohub_local import processes
from regiohub_local.bench.load import Failed
from regiohub_local.bench.rounds import Course, database_url, wait_ready
from regiohub_local.processes import Process
from regiohub_shared.clock import real_now

_WAITING = """
SELECT count(*) AS waiting, count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead, min(o.occurred_at) AS oldest
FROM outbox_delivery d JOIN outbox o ON o.id = d.outbox_id WHERE d.delivered_at IS NULL
"""
_PATIENCE_S = 300


def rest(course: Course) -> Process:
    """Let booking's worker rest, so that the way in has the machine to itself as pgbench has; return how it starts."""
    row = processes.recorded(course.house.state_dir)["booking-worker"]
    processes.end(course.house.state_dir, "booking-worker")
    return row


async def wake(course: Course, row: Process) -> None:
    """Start the worker again."""
    processes.spawn(course.house.state_dir, "booking-worker", row.command, row.env)
    await wait_ready(course.house.ports["booking-worker"])


async def drain(course: Course, say: Callable[[str], None]) -> dict[str, Any]:
    """Wait until every fact is told; raises Failed for a dead letter or when it takes too long."""
    connection = await asyncpg.connect(database_url(course.server))
    try:
        began, first = time.monotonic(), await connection.fetchrow(_WAITING)
        oldest_s, left = 0.0, first
        while left["waiting"]:
            oldest_s = max(oldest_s, (real_now() - left["oldest"]).total_seconds())
            if left["dead"] or time.monotonic() - began > _PATIENCE_S:
                raise Failed(f"the outbox: {left['waiting']} deliveries wait, {left['dead']} are dead")
            await asyncio.sleep(0.25)
            left = await connection.fetchrow(_WAITING)
        seconds = time.monotonic() - began
        say(f"  {first['waiting']} deliveries in {seconds:.1f} s, the oldest was {oldest_s:.1f} s old")
        return {"deliveries": first["waiting"], "seconds": seconds, "oldest_s": oldest_s}
    finally:
        await connection.close()


async def set_aside(course: Course) -> None:
    """Take what waits for told, facts and mails, so that the next lag is that of what comes next."""
    connection = await asyncpg.connect(database_url(course.server))
    try:
        await connection.execute("UPDATE outbox_delivery SET delivered_at = next_at WHERE delivered_at IS NULL")
        await connection.execute("DELETE FROM mail_job WHERE sent_at IS NULL")
    finally:
        await connection.close()
