"""What a resource consists of changes beside holds, payments, closures and other changes: nothing is booked twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.domain.slot import Slot
from regiohub_booking.usecases.change import expire_lapsed
from regiohub_booking.usecases.closure import create_closure, delete_closure
from regiohub_booking.usecases.payment import apply_payment
from regiohub_booking.usecases.setup import put_resource
from regiohub_shared.auth.principal import Principal
from regiohub_shared.clock import now
from regiohub_shared.contracts.billing import PaymentChanged
from tests.service.booking.world import COUNTY, OPERATOR, OTHER, World, resource, tomorrow

T = TypeVar("T")
_OPERATOR = Principal("operator-1", "", frozenset({"hub-operator"}), frozenset({"bendorf"}), frozenset())
_BLOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted"


async def put(world: World, key: UUID, *, version: int | None = None, **more: Any) -> httpx.Response:
    match = {} if version is None else {"If-Match": f'"{version}"'}
    return await world.client.put(f"/v1/resources/{key}", json=resource(str(key)[-4:], **more), headers=COUNTY | match)


async def rooms(world: World, count: int) -> list[UUID]:
    made = [uuid4() for _ in range(count)]
    for one in made:
        assert (await put(world, one)).status_code == 200
    return made


async def parts_of(world: World, session: AsyncSession, key: UUID, parts: list[UUID], version: int | None) -> None:
    """Change the parts in a transaction that the caller ends."""
    row = dict((await world.sql("SELECT * FROM resource ORDER BY id LIMIT 1"))[0])
    values = {name: value for name, value in row.items() if name not in {"id", "version"}} | {"hub": "bendorf"}
    match = None if version is None else (version,)
    await put_resource(
        session, resource_id=key, values=values | {"name": "W"}, parts=parts, week=[], version=match, now=now()
    )


@asynccontextmanager
async def beside(world: World, rival: Awaitable[T]) -> AsyncIterator[asyncio.Future[T]]:
    """Start a rival that meets the lock which the caller's transaction holds; the caller commits meanwhile."""
    task = asyncio.ensure_future(rival)
    while not (task.done() or await world.value(_BLOCKED)):
        await asyncio.sleep(0.01)
    yield task


async def test_a_lapsed_hold_ends_before_the_parts_change_so_that_no_late_payment_revives_it(world: World):
    room, left, right = await rooms(world, 3)
    booking = (await world.book((room, tomorrow(9), tomorrow(10)))).json()
    await world.lapse(booking)

    assert (await put(world, room, version=1, parts=[str(left), str(right)])).status_code == 200
    assert (await world.read(booking))["status"] == "expired"
    assert (await world.pay(booking)).status_code == 200
    assert (await world.book((room, tomorrow(9), tomorrow(10)), by=OTHER)).status_code == 409


async def test_a_hold_that_runs_keeps_the_parts_as_they_are(world: World):
    room, left, right = await rooms(world, 3)
    assert (await world.book((room, tomorrow(9), tomorrow(10)))).status_code == 201

    refused = await put(world, room, version=1, parts=[str(left), str(right)])
    assert (refused.status_code, refused.json()["type"].rsplit("/")[-1]) == (409, "parts-in-use")


async def test_a_late_payment_beside_a_change_of_parts_claims_the_new_parts(world: World):
    room, left, right = await rooms(world, 3)
    booking, payment = (await world.book((room, tomorrow(9), tomorrow(10)))).json(), uuid4()
    await world.lapse(booking)
    async with world.db.session() as session:
        await expire_lapsed(session, now=now())

    async with world.db.session() as session:
        await parts_of(world, session, room, [left, right], version=1)
        async with beside(world, world.pay(booking, payment=payment)) as paying:
            await session.commit()
    assert (await paying).status_code == 503
    assert (await world.pay(booking, payment=payment)).status_code == 200

    assert (await world.read(booking))["status"] == "confirmed"
    for taken in (room, left, right):
        assert (await world.book((taken, tomorrow(9), tomorrow(10)), by=OTHER)).status_code == 409


async def test_a_booking_beside_a_change_of_parts_is_refused_and_tried_again(world: World):
    room, left, right = await rooms(world, 3)
    async with world.db.session() as session:
        await parts_of(world, session, room, [left, right], version=1)
        async with beside(world, world.book((room, tomorrow(9), tomorrow(10)))) as booking:
            await session.commit()

    refused = await booking
    assert (refused.status_code, refused.json()["type"].rsplit("/")[-1]) == (409, "resource-changed")
    assert (await world.book((room, tomorrow(9), tomorrow(10)))).status_code == 201
    assert (await world.book((left, tomorrow(9), tomorrow(10)), by=OTHER)).status_code == 409


async def test_a_late_payment_for_rooms_that_share_a_part_by_now_goes_back(world: World):
    one, other, third = await rooms(world, 3)
    times = tomorrow(9), tomorrow(10)
    booking = (await world.book((one, *times), (other, *times))).json()
    await world.lapse(booking)
    async with world.db.session() as session:
        await expire_lapsed(session, now=now())
    assert (await put(world, other, version=1, parts=[str(one), str(third)])).status_code == 200

    assert (await world.pay(booking)).status_code == 200
    assert await world.value("SELECT verdict FROM payment_verdict") == "refund"


async def test_a_late_payment_for_a_room_that_was_switched_off_goes_back(world: World):
    [room] = await rooms(world, 1)
    booking = (await world.book((room, tomorrow(9), tomorrow(10)))).json()
    await world.lapse(booking)
    async with world.db.session() as session:
        await expire_lapsed(session, now=now())
    assert (await put(world, room, version=1, is_active=False)).status_code == 200

    assert (await world.pay(booking)).status_code == 200
    assert await world.value("SELECT verdict FROM payment_verdict") == "refund"


async def test_a_closure_waits_for_a_late_payment_and_then_cancels_what_it_confirmed(world: World):
    [room] = await rooms(world, 1)
    booking = (await world.book((room, tomorrow(9), tomorrow(10)))).json()
    await world.lapse(booking)
    async with world.db.session() as session:
        await expire_lapsed(session, now=now())
    fact = PaymentChanged(
        payment_id=uuid4(), booking_id=UUID(booking["id"]), sub="member-1", operator=booking["operator"], version=1,
        amount_cents=400, paid_cents=400, refunded_cents=0, currency="EUR", paid_at=now(),
    )  # fmt: skip
    wish = {
        "resource_id": str(room), "start": tomorrow(8).isoformat(), "end": tomorrow(12).isoformat(), "reason": "x",
        "cancel_conflicting": True,
    }  # fmt: skip

    async with world.db.session() as session:
        await apply_payment(session, fact, now=now())
        async with beside(world, world.post("/v1/hubs/bendorf/closures", wish, by=OPERATOR)) as closing:
            await session.commit()

    assert (await closing).status_code == 201, closing.result().text
    assert (await world.read(booking))["status"] == "cancelled"


async def test_a_room_that_is_made_beside_a_closure_of_the_hub_is_closed_too(world: World):
    new = uuid4()
    async with world.db.session() as session:
        await create_closure(
            session, principal=_OPERATOR, hub="bendorf", resource_id=None, slot=Slot(tomorrow(8), tomorrow(20)),
            reason="x", cancel_conflicting=False, now=now(),
        )  # fmt: skip
        async with beside(world, put(world, new)) as making:
            await session.commit()

    assert (await making).status_code == 200
    assert (await world.book((new, tomorrow(9), tomorrow(10)))).status_code == 409


async def test_a_room_that_is_made_while_the_hub_opens_again_is_open(world: World):
    new = uuid4()
    wish = {"all": True, "start": tomorrow(8).isoformat(), "end": tomorrow(20).isoformat(), "reason": "x"}
    closed = (await world.post("/v1/hubs/bendorf/closures", wish, by=OPERATOR)).json()
    async with world.db.session() as session:
        await delete_closure(session, principal=_OPERATOR, closure_id=UUID(closed["id"]))
        async with beside(world, put(world, new)) as making:
            await session.commit()

    assert (await making).status_code == 200
    assert (await world.book((new, tomorrow(9), tomorrow(10)))).status_code == 201


async def test_two_changes_at_once_make_no_parts_of_parts(world: World):
    part, leaf = await rooms(world, 2)
    async with world.db.session() as session:
        await parts_of(world, session, uuid4(), [part], version=None)
        async with beside(world, put(world, part, version=1, parts=[str(leaf)])) as nesting:
            await session.commit()

    refused = await nesting
    assert (refused.status_code, refused.json()["type"].rsplit("/")[-1]) == (409, "invalid-parts")


async def test_a_part_of_another_hub_is_refused(world: World):
    [part] = await rooms(world, 1)
    refused = await put(world, uuid4(), hub="mayen", parts=[str(part)])

    assert (refused.status_code, refused.json()["type"].rsplit("/")[-1]) == (409, "invalid-parts")
    abroad = uuid4()
    assert (await put(world, abroad, hub="mayen")).status_code == 200
    with pytest.raises(asyncpg.CheckViolationError):
        await world.sql("INSERT INTO resource_part (resource_id, part_id) VALUES ($1, $2)", abroad, part)


@pytest.mark.parametrize("order", ["part first", "whole first"])
async def test_the_database_refuses_parts_of_parts(world: World, order: str):
    whole, part, leaf = await rooms(world, 3)
    pairs = [(whole, part), (part, leaf)]
    first, second = pairs if order == "whole first" else reversed(pairs)
    insert = "INSERT INTO resource_part (resource_id, part_id) VALUES ($1, $2)"

    await world.sql(insert, *first)
    with pytest.raises(asyncpg.CheckViolationError):
        await world.sql(insert, *second)
