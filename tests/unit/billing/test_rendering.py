"""Large exports are made beside the event loop, in bounded number, and a dead process is replaced."""

import asyncio
import gc
import multiprocessing
import time
from datetime import date

import pytest

from regiohub_billing.domain.hkr import Booked
from regiohub_billing.domain.journal import EntryKind
from regiohub_billing.render import batch
from regiohub_billing.usecases import rendering
from regiohub_billing.usecases.rendering import Renderer, RenderingBusy
from tests.unit.billing.test_hkr import BUYER, DAY, LINES


def an_order(entries: int) -> batch.Order:
    booked = tuple(
        Booked(
            entry_id=str(n), kind=EntryKind.INVOICE, posted_on=DAY, amount_cents=3677, payment_reference="pi_1",
            document_number="R-2026-000001", invoice_number="R-2026-000001", buyer=BUYER, lines=LINES,
        )
        for n in range(entries)
    )  # fmt: skip
    return batch.Order(booked, {"debtor": "10001"}, "Stadt Bendorf", "default", date(2026, 11, 25), test=True, rows=3)


async def test_another_process_makes_the_same_file_while_the_loop_goes_on():
    order, renderer, busy = an_order(5000), Renderer(), 0.0

    async def beat() -> None:
        nonlocal busy
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.005)
            busy = max(busy, time.thread_time() - before)

    gc.freeze()
    beating = asyncio.create_task(beat())
    made = await renderer.make(order)
    beating.cancel()
    gc.unfreeze()
    renderer.close()

    assert busy < 0.2
    assert made == batch.make(order)
    assert (made.row_count, len(made.rows), len(made.places)) == (10_000, 3, 10_000)


def test_five_thousand_entries_take_a_moment():
    order = an_order(5000)
    before = time.process_time()
    batch.make(order)
    assert time.process_time() - before < 3


async def test_a_small_order_needs_no_process():
    renderer = Renderer()
    made = await renderer.make(an_order(1))

    assert renderer._pool is None
    assert made.row_count == 2
    renderer.close()


async def test_only_so_many_wait(monkeypatch):
    monkeypatch.setattr(rendering, "_INLINE", 0)
    renderer = Renderer()
    found = await asyncio.gather(*(renderer.make(an_order(1)) for _ in range(6)), return_exceptions=True)
    renderer.close()

    assert [type(item) for item in found] == [batch.Made] * 4 + [RenderingBusy] * 2


async def test_a_process_that_died_or_hangs_is_replaced(monkeypatch):
    monkeypatch.setattr(rendering, "_INLINE", 0)
    renderer = Renderer()
    await renderer.make(an_order(1))
    for child in multiprocessing.active_children():
        child.kill()
        child.join()
    with pytest.raises(RenderingBusy):
        await renderer.make(an_order(1))
    assert (await renderer.make(an_order(1))).row_count == 2

    monkeypatch.setattr(rendering, "_TIMEOUT_S", 0.0)
    with pytest.raises(RenderingBusy):
        await renderer.make(an_order(1))
    monkeypatch.setattr(rendering, "_TIMEOUT_S", 30.0)
    assert (await renderer.make(an_order(1))).row_count == 2
    renderer.close()
    for child in multiprocessing.active_children():
        child.join(5)
    assert multiprocessing.active_children() == []
