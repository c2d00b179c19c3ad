"""The load client, a process of its own: `python -m regiohub_local.bench.client`, a job on stdin, its findings on stdout.

A closed loop: each connection sends its next request when it has the answer to the one before. Bare asyncio on uvloop,
because the client shares the cores with what it measures.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

import uvloop

from regiohub_local.bench.requests import Slots, booking, head, length

_PATIENCE_S = 60


class Work:
    """What all connections share: whose turn it is, until when, and what was found."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.heads = [head(job["method"], job["path"], job["host"], headers) for headers in job["callers"]]
        self.slots = Slots(
            job["resources"], datetime.fromisoformat(job["first"]), job["start"], job["step"]
        ) if job["resources"] else None  # fmt: skip
        self.numbers: Iterator[int] = itertools.count()
        self.statuses: Counter[str] = Counter()
        self.ms: list[float] = []
        self.begin = self.end = 0.0
        self.in_time = 0
        self.sample = ""

    def next_request(self, connection: int, turn: int) -> bytes | None:
        """The bytes to send, or None when it is over."""
        times = self.job["times"]
        if (times and turn >= times) or (not times and time.perf_counter() >= self.end):
            return None
        prefix = self.heads[(connection + turn * self.job["connections"]) % len(self.heads)]
        if self.slots is None:
            return f"{prefix}\r\n".encode()
        return booking(prefix, self.slots, self.job["key"], next(self.numbers))

    def note(self, status: str, began: float, body: bytes) -> None:
        """Count an answer; its time counts when it was asked for within the measured time, however late it came."""
        now = time.perf_counter()
        self.statuses[status] += 1
        if status not in self.job["expected"] and not self.sample:
            self.sample = body[-600:].decode("latin-1")
        if self.job["times"] or began >= self.begin:
            self.ms.append((now - began) * 1000)
        self.in_time += self.begin <= now <= self.end


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, work: Work, number: int) -> None:
        self._work, self._number, self._turn = work, number, 0
        self._buffer, self._began = b"", 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own is no subclass

    def send(self) -> None:
        """Send the next request, or end."""
        request = self._work.next_request(self._number, self._turn)
        if request is None or self._transport is None:
            self._finish()
            return
        self._turn += 1
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Collect an answer."""
        self._buffer += data
        size = length(self._buffer)
        if size is not None:
            self._work.note(self._buffer[9:12].decode("latin-1"), self._began, self._buffer[:size])
            self._buffer = self._buffer[size:]
            self.send()

    def connection_lost(self, _error: Exception | None) -> None:
        """Not by us: an error."""
        if not self.done.done():
            self._work.statuses["lost"] += 1
            self.done.set_result(None)

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
        if self._transport is not None:
            self._transport.close()


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Do the job: connect all, then all at once."""
    work, loop = Work(job), asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda n=n: Connection(work, n), "127.0.0.1", job["port"]))[1]  # type: ignore[misc]
        for n in range(job["connections"])
    ]
    began, cpu = time.perf_counter(), time.process_time()
    work.begin, work.end = began + job["warm_s"], began + job["warm_s"] + job["seconds"]
    for connection in made:
        connection.send()
    async with asyncio.timeout(job["warm_s"] + job["seconds"] + _PATIENCE_S):
        await asyncio.gather(*(connection.done for connection in made))
    wall = time.perf_counter() - began
    return {
        "statuses": work.statuses, "ms": work.ms, "wall_s": wall, "cpu_s": time.process_time() - cpu,
        "sent": next(work.numbers), "in_time": work.in_time, "sample": work.sample,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.load(sys.stdin)))))
