"""A worker process: endless loops that end together, on SIGTERM or when one of them fails for good."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

from regiohub_shared.db.errors import describe, is_database_error
from regiohub_shared.log import get_logger

_log = get_logger(__name__)

Loop = Callable[[asyncio.Event], Awaitable[None]]


def every(seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> Loop:
    """Return a loop that calls ``work`` each ``seconds``; an error is logged and the next round tries again."""

    async def loop(stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - whatever fails, the work goes on and is tried again
                # A database error's text quotes rows; any other comes with its trace.
                told = describe(error) if is_database_error(error) else {"exc_info": error}
                _log.warning("round_failed", loop=name, **{"error": type(error).__name__} | told)
            try:
                await asyncio.wait_for(stop.wait(), seconds)
            except TimeoutError:
                continue

    return loop


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
