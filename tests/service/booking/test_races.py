"""Real parallel connections: 64 of them, started by a barrier, 20 rounds each. The database decides, exactly.

Each race asks four things: the right winners, no overlap, no deadlock or other error to any client, and no slot that
nobody got although somebody wanted it.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from regiohub_booking.domain.booking import Ask, Booking
from regiohub_booking.domain.rules import SlotTaken
from regiohub_booking.domain.slot import Slot
from regiohub_booking.usecases.change import cancel_booking, expire_lapsed
from regiohub_booking.usecases.closure import ClosureConflicts, create_closure
from regiohub_booking.usecases.create import create_booking
from regiohub_booking.usecases.payment import apply_payment
from regiohub_shared.auth.principal import Principal
from regiohub_shared.clock import now
from regiohub_shared.contracts.billing import PaymentChanged
from regiohub_shared.db.database import Database
from regiohub_shared.idempotency import attempt
from regiohub_shared.problem import PreconditionFailed
from tests.service.booking.world import (
    BUFFERED,
    DESK,
    HALL,
    INVARIANT,
    LEFT,
    RIGHT,
    check_invariants,
    running,
    tomorrow,
)
from tests.support.pg import Cluster

RIVALS = 64
ROUNDS = 20
Lines = list[tuple[UUID, datetime, datetime]]
BOSS = Principal("boss", "test", frozenset({"hub-operator"}), frozenset({"bendorf"}), frozenset())


@dataclass
class Round:
    """What the rivals of one round saw."""

    won: list[Lines] = field(default_factory=list)
    lost: list[Lines] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    closed: int = 0
    refused: int = 0


@dataclass
class Arena:
    """A migrated, seeded database with 64 open connections and a pool for closers."""

    connections: list[asyncpg.Connection]
    db: Database
    owner_url: str

    async def book(self, connection: asyncpg.Connection, lines: Lines, found: Round) -> None:
        asks = [Ask(*line) for line in lines]
        wanted = attempt(sub=f"rival-{uuid4()}", route="POST /v1/bookings", key=uuid4().hex, body={})
        try:
            async with connection.transaction():
                await create_booking(connection, asks=asks, wanted=wanted, render=_render, now=now())
        except SlotTaken:
            found.lost.append(lines)
        except Exception as error:  # noqa: BLE001 - whatever fails, the work goes on and is tried again
            found.errors.append(f"{type(error).__name__}: {error}")
        else:
            found.won.append(lines)

    async def close(self, slot: Slot, resource: UUID, found: Round, *, cancel: bool) -> None:
        try:
            async with self.db.session() as session:
                await create_closure(
                    session, principal=BOSS, hub="bendorf", resource_id=resource, slot=slot, reason="Wasser",
                    cancel_conflicting=cancel, now=now(),
                )  # fmt: skip
        except ClosureConflicts:
            found.refused += 1
        except Exception as error:  # noqa: BLE001 - whatever fails, the work goes on and is tried again
            found.errors.append(f"{type(error).__name__}: {error}")
        else:
            found.closed += 1

    async def quietly(self, found: Round, work: Callable[[AsyncSession], Awaitable[object]]) -> None:
        """Run in a session of its own; whatever goes wrong is noted."""
        try:
            async with self.db.session() as session:
                await work(session)
        except Exception as error:  # noqa: BLE001 - see above
            found.errors.append(f"{type(error).__name__}: {error}")

    async def race(self, works: Sequence[Callable[[Round], Awaitable[None]]]) -> Round:
        """Let all start at the same moment."""
        found, barrier = Round(), asyncio.Barrier(len(works))

        async def start(work: Callable[[Round], Awaitable[None]]) -> None:
            await barrier.wait()
            await work(found)

        await asyncio.gather(*(start(work) for work in works))
        return found

    async def race_bookings(self, wishes: Sequence[Lines]) -> Round:
        pairs = zip(self.connections, wishes, strict=False)
        return await self.race([_booker(self, connection, lines) for connection, lines in pairs])

    async def overlaps(self) -> int:
        return int(await self.connections[0].fetchval(INVARIANT))

    async def check(self, found: Round) -> None:
        """No error, no overlap, and whoever lost would lose again: nothing is left that a loser could have had."""
        assert found.errors == []
        await check_invariants(self.connections[0])
        again = Round()
        for lines in found.lost[:12]:
            await self.book(self.connections[0], lines, again)
        assert again.won == [], "a slot that nobody got"


def _booker(
    arena: Arena, connection: asyncpg.Connection, lines: Lines, delay_s: float = 0.0
) -> Callable[[Round], Awaitable[None]]:
    async def work(found: Round) -> None:
        await asyncio.sleep(delay_s)
        await arena.book(connection, lines, found)

    return work


def _closer(arena: Arena, slot: Slot, resource: UUID, *, cancel: bool) -> Callable[[Round], Awaitable[None]]:
    return lambda found: arena.close(slot, resource, found, cancel=cancel)


def _render(booking: Booking) -> dict[str, object]:
    return {"id": str(booking.id), "version": booking.version}


@pytest.fixture
async def arena(cluster: Cluster) -> AsyncIterator[Arena]:
    with cluster.database("booking") as urls:
        async with AsyncExitStack() as stack:
            world = await stack.enter_async_context(running(urls))
            connections = []
            for _ in range(RIVALS):
                connection = await asyncpg.connect(urls.app)
                stack.push_async_callback(connection.close)
                await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
                connections.append(connection)
            yield Arena(connections, world.db, urls.owner)


def hours(days: int, first: int, length: int = 1) -> tuple[datetime, datetime]:
    start = tomorrow(first, days=days)
    return start, start + timedelta(hours=length)


async def test_one_slot_has_one_winner(arena: Arena) -> None:
    for number in range(ROUNDS):
        found = await arena.race_bookings([[(DESK, *hours(number + 1, 9))]] * RIVALS)
        await arena.check(found)
        assert (len(found.won), len(found.lost)) == (1, RIVALS - 1)


async def test_overlapping_slots_with_buffers_never_meet_and_leave_no_gap_unused(arena: Arena) -> None:
    dice = random.Random(7)
    for number in range(ROUNDS):
        wishes = []
        for _ in range(RIVALS):
            start = tomorrow(6, days=number + 1) + timedelta(minutes=15 * dice.randrange(40))
            wishes.append([(BUFFERED, start, start + timedelta(minutes=15 * dice.randint(1, 8)))])
        found = await arena.race_bookings(wishes)
        await arena.check(found)
        assert found.won
        slots = sorted((start, end) for [(_resource, start, end)] in found.won)
        for (_start, end), (following, _end) in pairwise(slots):
            assert following - end >= timedelta(minutes=30), "a core lies in a foreign buffer"


async def test_a_hall_and_its_halves(arena: Arena) -> None:
    for number in range(ROUNDS):
        slot = hours(number + 1, 9)
        wishes = [[((HALL, LEFT, RIGHT)[rival % 3], *slot)] for rival in range(RIVALS)]
        random.Random(number).shuffle(wishes)
        found = await arena.race_bookings(wishes)
        await arena.check(found)
        assert sorted(lines[0][0] for lines in found.won) in ([HALL], [LEFT, RIGHT])


async def test_twenty_slots_in_one_booking_are_all_or_none(arena: Arena) -> None:
    places = (DESK, BUFFERED, LEFT, RIGHT)
    for number in range(ROUNDS):
        dice = random.Random(number)
        whole = [(places[index % 4], *hours(number + 1, index // 4 * 2 + 3)) for index in range(20)]
        # Everybody wants the same 20, each in another order; 16 rivals want just one of them.
        wishes = [dice.sample(whole, 20) for _ in range(RIVALS - 16)] + [[dice.choice(whole)] for _ in range(16)]
        dice.shuffle(wishes)
        found = await arena.race_bookings(wishes)
        await arena.check(found)
        series = [lines for lines in found.won if len(lines) == 20]
        singles = [lines for lines in found.won if len(lines) == 1]
        assert len(series) == (0 if singles else 1)
        rows = await arena.connections[0].fetchval(
            "SELECT count(*) FROM occupancy WHERE lower_inf(lane) AND span && tstzrange($1, $2)",
            *hours(number + 1, 3, 10),
        )
        assert rows == (20 if series else len(singles))


async def test_a_closure_against_bookings_is_one_or_the_other(arena: Arena) -> None:
    outcomes = set()
    for number in range(ROUNDS):
        start, end = hours(number + 1, 9, 2)
        works = [_closer(arena, Slot(start, end), DESK, cancel=False) for _ in range(8)]
        # A closure asks more before it locks; a later start of the bookings lets either side come first.
        dice = random.Random(number)
        head_start = number % 10 * 0.008
        works += [
            _booker(arena, connection, [(DESK, *hours(number + 1, 9))], head_start + dice.uniform(0, 0.01))
            for connection in arena.connections[8:]
        ]
        dice.shuffle(works)
        found = await arena.race(works)
        await arena.check(found)
        assert (len(found.won), found.closed, found.refused) in ((1, 0, 8), (0, 8, 0))
        outcomes.add(len(found.won))
    assert outcomes == {0, 1}, "both sides must have won sometimes, else this was no race"


async def test_a_closure_that_cancels_leaves_no_booking_inside(arena: Arena) -> None:
    for number in range(ROUNDS):
        start, end = hours(number + 1, 9, 2)
        works = [_closer(arena, Slot(start, end), DESK, cancel=True) for _ in range(4)]
        works += [
            _booker(arena, connection, [(DESK, *hours(number + 1, 9 + index % 2))])
            for index, connection in enumerate(arena.connections[4:])
        ]
        random.Random(number).shuffle(works)
        found = await arena.race(works)
        await arena.check(found)
        assert found.closed == 4
        alive = await arena.connections[0].fetchval(
            "SELECT count(*) FROM booking WHERE starts_at >= $1 AND starts_at < $2 AND status <> 'cancelled'",
            start,
            end,
        )
        assert alive == 0
        assert len(found.won) == await arena.connections[0].fetchval(
            "SELECT count(*) FROM booking WHERE starts_at >= $1 AND starts_at < $2 AND cancelled_by = 'closure'",
            start,
            end,
        )


async def test_sixty_four_rivals_and_a_lapsed_hold_have_one_winner(arena: Arena) -> None:
    for number in range(ROUNDS):
        slot = hours(number + 1, 9)
        first = Round()
        await arena.book(arena.connections[0], [(DESK, *slot)], first)
        past = now() - timedelta(minutes=1)
        await arena.connections[0].execute("UPDATE booking SET hold_until = $1 WHERE starts_at = $2", past, slot[0])
        found = await arena.race_bookings([[(DESK, *slot)]] * RIVALS)
        await arena.check(found)
        assert len(found.won) == 1


def _payer(arena: Arena, booking: UUID) -> Callable[[Round], Awaitable[None]]:
    async def work(found: Round) -> None:
        fact = PaymentChanged(
            payment_id=uuid4(), booking_id=booking, sub="x", operator="stadt-bendorf", version=1, amount_cents=400,
            paid_cents=400, refunded_cents=0, currency="EUR", paid_at=now(),
        )  # fmt: skip
        await arena.quietly(found, lambda session: apply_payment(session, fact, now=now()))

    return work


def _sweeper(arena: Arena) -> Callable[[Round], Awaitable[None]]:
    return lambda found: arena.quietly(found, lambda session: expire_lapsed(session, now=now()))


def _canceller(arena: Arena, booking: UUID) -> Callable[[Round], Awaitable[None]]:
    async def cancel(session: AsyncSession) -> None:
        with contextlib.suppress(PreconditionFailed):
            await cancel_booking(session, principal=BOSS, booking_id=booking, version={1}, now=now())

    return lambda found: arena.quietly(found, cancel)


async def test_a_late_payment_a_sweeper_and_rivals_share_one_lapsed_slot(arena: Arena) -> None:
    """The payment confirms or goes back, exactly as the slot went; nobody deadlocks, the slot is never left unused."""
    outcomes = set()
    for number in range(ROUNDS):
        slot = hours(number + 1, 9)
        await arena.book(arena.connections[0], [(DESK, *slot)], Round())
        past = now() - timedelta(minutes=1)
        sql = "UPDATE booking SET hold_until = $1 WHERE starts_at = $2 RETURNING id"
        held = await arena.connections[0].fetchval(sql, past, slot[0])
        delay = number % 5 * 0.004
        works = [_booker(arena, connection, [(DESK, *slot)], delay) for connection in arena.connections[:16]]
        works += [_payer(arena, held)]
        works += [_sweeper(arena)] * 2

        found = await arena.race(works)

        await arena.check(found)
        status, verdict = await arena.connections[0].fetchrow(
            "SELECT status, verdict FROM booking b JOIN payment_verdict p ON p.booking_id = b.id WHERE b.id = $1", held
        )
        assert (status, verdict, len(found.won)) in {("confirmed", "accepted", 0), ("expired", "refund", 1)}
        outcomes.add(verdict)
    assert outcomes == {"accepted", "refund"}


async def test_a_payment_against_a_cancellation_never_keeps_money_for_nothing(arena: Arena) -> None:
    for number in range(ROUNDS):
        slot = hours(number + 1, 9)
        await arena.book(arena.connections[0], [(DESK, *slot)], Round())
        held = await arena.connections[0].fetchval("SELECT id FROM booking WHERE starts_at = $1", slot[0])

        works = [_payer(arena, held)] * 2
        works += [_canceller(arena, held)] * 2
        found = await arena.race(works)

        assert found.errors == []
        await check_invariants(arena.connections[0])
        status = await arena.connections[0].fetchval("SELECT status FROM booking WHERE id = $1", held)
        rows = await arena.connections[0].fetch("SELECT verdict FROM payment_verdict WHERE booking_id = $1", held)
        assert sorted(row[0] for row in rows) == (["refund"] * 2 if status == "cancelled" else ["accepted", "refund"])


async def test_without_the_constraint_the_same_race_reports_overlaps(cluster: Cluster) -> None:
    """The negative control: the tests above can fail."""
    with cluster.database("booking") as urls:
        async with AsyncExitStack() as stack:
            generator = running(urls)
            world = await generator.__aenter__()
            stack.push_async_callback(world.db.close)
            owner = await asyncpg.connect(urls.owner)
            await owner.execute("ALTER TABLE occupancy DROP CONSTRAINT occupancy_no_overlap")
            await owner.close()
            connections = [await asyncpg.connect(urls.app) for _ in range(RIVALS)]
            for connection in connections:
                stack.push_async_callback(connection.close)
                await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
            arena = Arena(connections, world.db, urls.owner)

            found = await arena.race_bookings([[(DESK, *hours(1, 9))]] * RIVALS)

            assert found.errors == []
            assert len(found.won) > 1
            assert await arena.overlaps() > 0
            with pytest.raises(AssertionError, match="overlaps"):
                await check_invariants(connections[0])
            await owner_cleanup(urls.owner)
            await generator.__aexit__(None, None, None)


async def owner_cleanup(url: str) -> None:
    """Leave nothing that the fixture's own final check would find."""
    owner = await asyncpg.connect(url)
    await owner.execute("TRUNCATE booking, line, occupancy, mail_job, payment_verdict")
    await owner.close()
