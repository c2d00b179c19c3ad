"""A worker process: endless loops that end together, on SIGTERM or when one of them fails for good."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from regiohub_shared.db.database import Database
from regiohub_shared.db.errors import describe, is_database_error
from regiohub_shared.events.operations import Address, operations_app, operations_server
from regiohub_shared.events.watch import in_loop, make_watch, watch_here, watched_by
from regiohub_shared.log import get_logger
from regiohub_shared.tracing import bound_trace, make_tracer

_log = get_logger(__name__)

Loop = Callable[[asyncio.Event], Awaitable[None]]


def every(seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> Loop:
    """Return a loop that calls ``work`` each ``seconds``; an error is logged and the next round tries again.

    What a round logs, sends and emits has one trace of its own.
    """

    async def loop(stop: asyncio.Event) -> None:
        in_loop(name)
        watch = watch_here()
        watch.beat(name)
        while not stop.is_set():
            began = time.monotonic()
            with bound_trace():
                failed = await _fails(name, work)
            watch.ended(name, time.monotonic() - began, failed=failed, next_s=seconds)
            try:
                await asyncio.wait_for(stop.wait(), seconds)
            except TimeoutError:
                continue

    return loop


async def _fails(name: str, work: Callable[[], Awaitable[object]]) -> bool:
    try:
        await work()
    except Exception as error:  # noqa: BLE001 - whatever fails, the work goes on and is tried again
        _log.warning("round_failed", loop=name, **{"error": type(error).__name__} | _told(error))
        return True
    return False


def _told(error: Exception) -> dict[str, Any]:
    """What the log says of a failure: a database error's text quotes rows; a server that is away needs no trace."""
    if is_database_error(error):
        return describe(error)
    return {"reason": str(error)} if isinstance(error, OSError) else {"exc_info": error}


@asynccontextmanager
async def seen(name: str, db: Database, migrations: Path, address: Address) -> AsyncIterator[None]:
    """Let probes and Prometheus see the loops that are run inside; ``name`` is the program's in traces."""
    tracer = make_tracer(name)
    watch = make_watch(tracer)
    watched_by(watch)
    server = operations_server(operations_app(watch, db, migrations), address)
    serving = asyncio.create_task(server.serve()) if address.port else None
    try:
        yield
    finally:
        # After the loops: while they end what they have begun, they are asked whether they live.
        server.should_exit = True
        if serving:
            await serving
        await asyncio.to_thread(tracer.close)


async def run_loops(*loops: Loop) -> None:
    """Run until SIGTERM or SIGINT; each loop finishes what it has begun."""
    stop = asyncio.Event()
    running = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, stop.set)
    _log.info("worker_started", loops=len(loops))
    async with asyncio.TaskGroup() as group:
        for loop in loops:
            group.create_task(_run(loop, stop))
    _log.info("worker_stopped")


async def _run(loop: Loop, stop: asyncio.Event) -> None:
    await loop(stop)
