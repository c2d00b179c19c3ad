"""Access's facts at booking: the first opening checks in, the earliest report wins."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from regiohub_shared import clock
from regiohub_shared.contracts.access import DoorOpened
from tests.contract.stories import ORDERS, read_fact, snapshot
from tests.service.access.world import FakeReader
from tests.support.world_street import Street

LINE = "access>booking"


async def opens(town: Street, reader: FakeReader, pin_id: str, *at: datetime) -> None:
    """The reader tells of openings, one exchange each; a later one can be of an earlier moment (it was offline)."""
    for moment in at:
        await town.access.syncs(reader, reader.event(kind="pin", pin_id=pin_id, at=moment))


async def pin_ids(town: Street, reader: FakeReader) -> dict[str, str]:
    """What the reader was told: PIN id by grant."""
    answer = await town.access.syncs(reader)
    assert answer is not None
    assert answer.pins is not None
    return {entry.pin_id.partition(".")[0]: entry.pin_id for entry in answer.pins.entries}


async def paid_booking(town: Street) -> tuple[dict[str, Any], str, datetime]:
    """A paid booking, its grant and its begin: an opening counts only within its window, so the tests go there."""
    booking = await town.hold()
    await town.pay(booking)
    await town.deliver()
    rows = await town.access.rows('SELECT id FROM "grant" WHERE booking_id = :id', id=booking["id"])
    return booking, str(rows[0].id), datetime.fromisoformat(booking["lines"][0]["start"])


@pytest.fixture
def travel(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Let business time stand at this moment."""
    return lambda moment: monkeypatch.setattr(clock, "now", lambda: moment)


async def test_any_order_gives_the_same_end(town: Street, travel: Callable[[datetime], None]):
    reader = FakeReader()
    town.posts[LINE].keeps = True
    for name, order in ORDERS.items():
        booking, grant, first = await paid_booking(town)
        pin_id = (await pin_ids(town, reader))[grant]
        travel(first + timedelta(minutes=3))
        await opens(town, reader, pin_id, *(first + timedelta(minutes=later) for later in (2, 1, 0)))
        await opens(town, reader, pin_id, first + timedelta(minutes=1))
        await town.deliver()
        letters = town.letters(LINE, booking)
        facts = [read_fact(DoorOpened, letter, "/access") for letter in letters]
        assert [(f.version, str(f.grant_id)) for f in facts] == [(1, grant), (2, grant), (3, grant)]
        for place in order:
            await town.posts[LINE].hand_over(letters[place])
        await town.deliver()

        seen = await snapshot(town, booking)
        assert (seen.status, seen.checked_in_at) == ("checked_in", first), name


async def test_an_opening_of_a_booking_cancelled_meanwhile_changes_nothing(
    town: Street, travel: Callable[[datetime], None]
):
    """The door was offline and tells later; booking stays cancelled and the fact is taken, not repeated for ever."""
    booking, grant, begins = await paid_booking(town)
    reader = FakeReader()
    pin_id = (await pin_ids(town, reader))[grant]
    travel(begins - timedelta(minutes=5))
    await town.cancel(booking)
    await opens(town, reader, pin_id, begins - timedelta(minutes=6))
    await town.deliver()

    seen = await snapshot(town, booking)
    assert (seen.status, seen.checked_in_at) == ("cancelled", None)
    assert len(town.letters(LINE, booking)) == 1
