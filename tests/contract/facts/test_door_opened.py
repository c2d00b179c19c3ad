"""Access's facts at booking: the first opening checks in, the earliest report wins."""

from datetime import datetime, timedelta
from typing import Any

from regiohub_shared.clock import now
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


async def paid_booking(town: Street) -> tuple[dict[str, Any], str]:
    booking = await town.hold()
    await town.pay(booking)
    await town.deliver()
    rows = await town.access.rows('SELECT id FROM "grant" WHERE booking_id = :id', id=booking["id"])
    return booking, str(rows[0].id)


async def test_any_order_gives_the_same_end(town: Street):
    reader = FakeReader()
    town.posts[LINE].keeps = True
    for name, order in ORDERS.items():
        booking, grant = await paid_booking(town)
        first = now().replace(microsecond=0) - timedelta(minutes=3)
        pin_id = (await pin_ids(town, reader))[grant]
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


async def test_an_opening_of_a_booking_cancelled_meanwhile_changes_nothing(town: Street):
    """The door was offline and did not know; booking stays cancelled and the fact is taken, not repeated for ever."""
    booking, grant = await paid_booking(town)
    reader = FakeReader()
    pin_id = (await pin_ids(town, reader))[grant]
    await town.cancel(booking)
    await opens(town, reader, pin_id, now().replace(microsecond=0))
    await town.deliver()

    seen = await snapshot(town, booking)
    assert (seen.status, seen.checked_in_at) == ("cancelled", None)
    assert len(town.letters(LINE, booking)) == 1
