"""Rendering beside the event loop: large exports are made in a process of their own, one at a time."""

import asyncio
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from regiohub_billing.render import batch
from regiohub_shared.log import get_logger
from regiohub_shared.problem import Unavailable

_log = get_logger(__name__)
_INLINE = 50
"""An order of so few entries takes a few milliseconds: less than the way to another process."""
_WAITING = 4
_TIMEOUT_S = 30.0


class RenderingBusy(Unavailable):
    """Other exports are being made, or this one takes too long."""

    type = "rendering-busy"
    title = "Other exports are being made right now"


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(0)


def _begin() -> None:
    """In the child: Ctrl-C is the parent's business, and a parent that was killed takes the child along."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


class Renderer:
    """Makes exports; its process starts with the first large one."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self._pool: ProcessPoolExecutor | None = None
        self._wanted = 0

    async def make(self, order: batch.Order) -> batch.Made:
        """Return the file of an order; raises :class:`RenderingBusy`."""
        if len(order.booked) <= _INLINE:
            return batch.make(order)
        if self._wanted >= _WAITING:
            raise RenderingBusy(retry_after_s=5)
        self._wanted += 1
        try:
            return await self._elsewhere(order)
        finally:
            self._wanted -= 1

    async def _elsewhere(self, order: batch.Order) -> batch.Made:
        # Spawned, not forked: a fork would copy the loop's sockets and locks.
        pool = self._pool = self._pool or ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin
        )
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await asyncio.get_running_loop().run_in_executor(pool, batch.make, order)
        except (BrokenProcessPool, TimeoutError) as error:
            _log.warning("rendering_failed", error=type(error).__name__, entries=len(order.booked))
            self._end(pool)
            raise RenderingBusy(retry_after_s=5) from error

    def _end(self, pool: ProcessPoolExecutor) -> None:
        """The process hangs or is gone: the next order gets a new one."""
        if self._pool is pool:
            self._pool = None
        for process in (getattr(pool, "_processes", None) or {}).values():
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._pool is not None:
            self._end(self._pool)
