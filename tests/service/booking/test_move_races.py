"""Moves against bookings and against each other, with real parallel connections, 20 rounds each.

The same four questions as in ``test_races``: the right winners, no overlap, no error, no slot that nobody got.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from regiohub_booking.domain.moving import Move
from regiohub_booking.domain.rules import SlotTaken
from regiohub_booking.domain.slot import Slot
from regiohub_booking.usecases.change import cancel_booking
from regiohub_booking.usecases.move import move_booking
from regiohub_shared.clock import now
from regiohub_shared.problem import PreconditionFailed
from tests.service.booking.test_races import BOSS, ROUNDS, Arena, Round, _booker, _closer, arena, hours
from tests.service.booking.world import BUFFERED, DESK, HALL, LEFT, RIGHT, check_invariants

__all__ = ["arena"]
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Held:
    """A confirmed booking of one line."""

    id: UUID
    line: UUID
    resource: UUID
    span: Span


async def confirmed(arena: Arena, resource: UUID, span: Span) -> Held:
    """Book and confirm, so that it may move."""
    found = Round()
    await arena.book(arena.connections[0], [(resource, *span)], found)
    assert found.errors == found.lost == []
    sql = "SELECT l.id, l.booking_id FROM line l WHERE resource_id = $1 AND starts_at = $2 ORDER BY l.id DESC LIMIT 1"
    line, booking = await arena.connections[0].fetchrow(sql, resource, span[0])
    # As a payment leaves it, its fact included.
    await arena.connections[0].execute(
        "UPDATE booking SET status = 'confirmed', confirmed_at = $2 WHERE id = $1", booking, now()
    )
    await arena.connections[0].execute(
        "INSERT INTO outbox SELECT gen_random_uuid(), type, subject, sequence, occurred_at, "
        "data || '{\"status\": \"confirmed\"}', trace FROM outbox WHERE subject = $1", str(booking),
    )  # fmt: skip
    return Held(booking, line, resource, span)


def mover(arena: Arena, held: Held, to: UUID, span: Span, delay_s: float = 0.0) -> Callable[[Round], Awaitable[None]]:
    """Move by the use case in a session of its own, as the route does."""
    moves = [Move(held.line, to, *span)]

    async def work(found: Round) -> None:
        await asyncio.sleep(delay_s)
        try:
            async with arena.db.session() as session:
                await move_booking(
                    session, principal=BOSS, booking_id=held.id, version={1}, moves=moves, now=now()
                )  # fmt: skip
        except SlotTaken:
            found.lost.append([(to, *span)])
        except PreconditionFailed:
            found.refused += 1
        except Exception as error:  # noqa: BLE001 - whatever fails, the work goes on and is noted
            found.errors.append(f"{type(error).__name__}: {error}")
        else:
            found.won.append([(to, *span)])

    return work


async def where(arena: Arena, *held: Held) -> list[tuple[UUID, Span]]:
    """Where the bookings are now."""
    rows = [
        await arena.connections[0].fetchrow("SELECT resource_id, starts_at, ends_at FROM line WHERE id = $1", each.line)
        for each in held
    ]
    return [(row[0], (row[1], row[2])) for row in rows]


async def test_moves_and_bookings_on_one_slot_have_one_winner(arena: Arena) -> None:
    outcomes = set()
    for number in range(ROUNDS):
        target = hours(number + 1, 12)
        movers = [await confirmed(arena, DESK, hours(number + 1, hour)) for hour in range(8)]
        # A move asks more before it locks; a later start of the bookings lets either side come first.
        head_start = number % 5 * 0.01
        works = [mover(arena, held, DESK, target) for held in movers]
        works += [_booker(arena, one, [(DESK, *target)], head_start) for one in arena.connections[1:25]]
        random.Random(number).shuffle(works)

        found = await arena.race(works)

        await arena.check(found)
        assert (len(found.won), len(found.lost)) == (1, 31)
        gone = [held for held, (_, span) in zip(movers, await where(arena, *movers), strict=True) if span == target]
        outcomes.add(len(gone))
        if gone:
            free = Round()
            await arena.book(arena.connections[0], [(DESK, *gone[0].span)], free)
            assert len(free.won) == 1, "the slot that was left is nobody's"
    assert outcomes == {0, 1}, "both sides must have won sometimes, else this was no race"


async def test_two_that_want_each_others_slot_both_stay(arena: Arena) -> None:
    """Neither can go first; whoever moved in spite of it would stand on the other."""
    for number in range(ROUNDS):
        nine, ten = hours(number + 1, 9), hours(number + 1, 10)
        places = [(LEFT, nine), (RIGHT, nine), (LEFT, ten), (RIGHT, ten)]
        one, other, third, fourth = [await confirmed(arena, *place) for place in places]
        works = [mover(arena, one, *places[1]), mover(arena, other, *places[0])]
        works += [mover(arena, third, *places[3]), mover(arena, fourth, *places[2])]

        found = await arena.race(works)

        await arena.check(found)
        assert (len(found.won), len(found.lost)) == (0, 4)
        assert await where(arena, one, other, third, fourth) == places


async def test_a_chain_of_moves_never_overlaps_and_its_free_end_is_always_taken(arena: Arena) -> None:
    """Each wants the next one's slot, with buffers; the last one's target is free, so at least that one moves."""
    outcomes = set()
    for number in range(ROUNDS):
        spans = [hours(number + 1, 2 + 3 * step) for step in range(7)]
        chain = [await confirmed(arena, BUFFERED, span) for span in spans[:6]]
        works = [
            mover(arena, held, BUFFERED, spans[step + 1], 0.004 * (number % 4) * (6 - step))
            for step, held in enumerate(chain)
        ]

        found = await arena.race(works)

        # Who came before the next one had gone has lost a slot that is free now: that is no fault.
        assert found.errors == []
        await check_invariants(arena.connections[0])
        assert len(found.won) + len(found.lost) == 6
        assert [(BUFFERED, *spans[6])] in found.won
        starts = [span[0] for _, span in await where(arena, *chain)]
        moved = [start == spans[step + 1][0] for step, start in enumerate(starts)]
        assert moved == sorted(moved), "nobody moves into a slot whose owner stayed"
        assert sum(moved) == len(found.won)
        outcomes.add(len(found.won))
    assert len(outcomes) > 1, "the order must have differed, else this was no race"


async def test_a_hall_and_its_halves_with_moves(arena: Arena) -> None:
    """Bookings of the halves move to where others book the hall: one hall, or both halves."""
    for number in range(ROUNDS):
        source, target = hours(number + 1, 3), hours(number + 1, 9)
        halves = [await confirmed(arena, side, source) for side in (LEFT, RIGHT)]
        works = [mover(arena, held, held.resource, target) for held in halves]
        works += [
            _booker(arena, one, [(HALL, *target)], number % 4 * 0.01) for one in arena.connections[1:9]
        ]  # fmt: skip

        found = await arena.race(works)

        await arena.check(found)
        assert sorted(lines[0][0] for lines in found.won) in ([HALL], [LEFT, RIGHT])


async def test_a_move_against_a_closure_and_its_own_cancellation(arena: Arena) -> None:
    for number in range(ROUNDS):
        source, target = hours(number + 1, 3), hours(number + 1, 9)
        held = await confirmed(arena, DESK, source)

        async def cancel(found: Round, held: Held = held) -> None:
            try:
                async with arena.db.session() as session:
                    await cancel_booking(session, principal=BOSS, booking_id=held.id, version={1}, now=now())
            except PreconditionFailed:
                found.refused += 1
            except Exception as error:  # noqa: BLE001 - noted
                found.errors.append(f"{type(error).__name__}: {error}")

        works = [mover(arena, held, DESK, target), cancel, _closer(arena, Slot(*target), DESK, cancel=False)]
        random.Random(number).shuffle(works)

        found = await arena.race(works)

        await arena.check(found)
        status, version = await arena.connections[0].fetchrow(
            "SELECT status, version FROM booking WHERE id = $1", held.id
        )
        assert version == 2, "exactly one of both took effect"
        assert status == ("confirmed" if found.won else "cancelled")
        # Either the closure was refused by the moved booking, or it stands and the booking is not there.
        assert not (found.won and found.closed)
