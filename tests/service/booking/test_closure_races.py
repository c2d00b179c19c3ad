"""A closure meets a change that is not committed yet: it waits, and then goes by what the change left."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.domain.slot import Slot
from regiohub_booking.usecases.change import cancel_booking, expire_lapsed
from regiohub_booking.usecases.closure import create_closure
from regiohub_booking.usecases.payment import apply_payment
from regiohub_shared.auth.principal import Principal
from regiohub_shared.clock import now
from regiohub_shared.contracts.billing import PaymentChanged
from tests.service.booking.world import DESK, World, tomorrow

BOSS = Principal("boss", "test", frozenset({"hub-operator"}), frozenset({"bendorf"}), frozenset())
Change = Callable[[AsyncSession], Awaitable[object]]
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


async def close(world: World, *, cancel: bool) -> None:
    async with world.db.session() as session:
        await create_closure(
            session, principal=BOSS, hub="bendorf", resource_id=DESK, slot=Slot(tomorrow(8), tomorrow(12)),
            reason="Wasser", cancel_conflicting=cancel, now=now(),
        )  # fmt: skip


async def close_during(world: World, change: Change, *, cancel: bool) -> None:
    """Let ``change`` do its work, start the closure, see it wait, then commit the change."""
    async with world.db.session() as session:
        await change(session)
        closing = asyncio.create_task(close(world, cancel=cancel))
        while not await world.value(WAITING):
            assert not closing.done(), "the closure did not wait for the change"
            await asyncio.sleep(0.01)
    await closing


def cancelling(booking: dict[str, Any], version: int) -> Change:
    async def change(session: AsyncSession) -> None:
        await cancel_booking(
            session, principal=BOSS, booking_id=UUID(booking["id"]), version={version}, now=now()
        )  # fmt: skip

    return change


@pytest.mark.parametrize("cancel", [False, True])
async def test_a_booking_that_is_cancelled_meanwhile_is_in_nobodys_way(world: World, cancel: bool) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.pay(booking)

    await close_during(world, cancelling(booking, 2), cancel=cancel)

    found = await world.read(booking)
    assert (found["status"], found["cancelled_by"], found["version"]) == ("cancelled", "operator", 3)
    assert await world.value("SELECT count(*) FROM closure") == 1


async def test_a_hold_that_the_sweeper_ends_meanwhile_is_in_nobodys_way(world: World) -> None:
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.lapse(booking)

    await close_during(world, lambda session: expire_lapsed(session, now=now()), cancel=False)

    found = await world.read(booking)
    assert (found["status"], found["version"]) == ("expired", 2)


async def test_a_late_payment_that_comes_in_meanwhile_is_cancelled_by_the_closure(world: World) -> None:
    """The payment holds the leaves while it tries the slot again; else the closure would not see its booking.

    Without that lock the closure finds nothing to cancel, runs into the payment's rows and is refused over no booking.
    """
    booking = (await world.book((DESK, tomorrow(9), tomorrow(10)))).json()
    await world.lapse(booking)
    async with world.db.session() as session:
        await expire_lapsed(session, now=now())
    fact = PaymentChanged(
        payment_id=uuid4(), booking_id=UUID(booking["id"]), sub="member-1", operator="stadt-bendorf", version=1,
        amount_cents=400, paid_cents=400, refunded_cents=0, currency="EUR", paid_at=now(),
    )  # fmt: skip

    await close_during(world, lambda session: apply_payment(session, fact, now=now()), cancel=True)

    found = await world.read(booking)
    assert (found["status"], found["cancelled_by"]) == ("cancelled", "closure")
    assert found["confirmed_at"] is not None
    assert await world.value("SELECT verdict FROM payment_verdict") == "accepted"
