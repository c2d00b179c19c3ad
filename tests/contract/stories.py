"""What happens to bookings in these tests, told by the real services, and in which orders letters may arrive."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel

from regiohub_booking.usecases.change import expire_lapsed
from regiohub_shared.clock import now
from regiohub_shared.contracts.booking import BookingChanged
from regiohub_shared.events.envelope import Envelope
from tests.service.booking.world import ACCESS
from tests.support.world_street import Street

_F = TypeVar("_F", bound=BaseModel)

ORDERS = {
    "in order": (0, 1, 2),
    "reversed": (2, 1, 0),
    "the last one first": (2, 0, 1),
    "each one twice": (0, 0, 1, 1, 2, 2),
    "the middle lost": (0, 2),
    "only the last one": (2,),
    "all again afterwards": (0, 1, 2, 0, 1, 2),
}
Story = Callable[[Street, dict[str, Any]], Awaitable[None]]


async def used(town: Street, booking: dict[str, Any]) -> None:
    """Held, paid, checked in."""
    await town.pay(booking)
    await town.deliver()
    await town.check_in(booking)
    await town.deliver()


async def cancelled(town: Street, booking: dict[str, Any]) -> None:
    """Held, paid, cancelled."""
    await town.pay(booking)
    await town.deliver()
    await town.cancel(booking)
    await town.deliver()


async def paid_late(town: Street, booking: dict[str, Any]) -> None:
    """Held, lapsed, paid while the slot was still free."""
    opened = await town.open_payment(booking)
    await lapse(town)
    await town.billing.press(opened)
    await town.billing.webhooks()
    await town.deliver()


async def moved(town: Street, booking: dict[str, Any]) -> None:
    """Held, paid, moved to the next day."""
    await town.pay(booking)
    await town.deliver()
    await move(town, booking)


async def move(town: Street, booking: dict[str, Any], days: int = 1) -> None:
    """To the same hour so many days later."""
    fresh, later = await town.read(booking), timedelta(days=days)
    line = fresh["lines"][0]
    wish = {
        "line_id": line["id"], "resource_id": line["resource_id"],
        "start": (datetime.fromisoformat(line["start"]) + later).isoformat(),
        "end": (datetime.fromisoformat(line["end"]) + later).isoformat(),
    }  # fmt: skip
    path = f"/v1/bookings/{booking['id']}/move"
    answer = await town.booking.post(path, {"lines": [wish]}, by=town.by[booking["id"]], version=fresh["version"])
    assert answer.status_code == 200, answer.text
    await town.deliver()


async def lost(town: Street, booking: dict[str, Any]) -> None:
    """Held, lapsed, paid after somebody else took the slot."""
    opened = await town.open_payment(booking)
    await lapse(town)
    await town.hold(start=(await snapshot(town, booking)).lines[0].start, by="quicker")
    await town.billing.press(opened)
    await town.billing.webhooks()
    await town.deliver()


async def lapse(town: Street) -> None:
    """The sweeper runs 36 minutes later."""
    async with town.booking.db.session() as session:
        await expire_lapsed(session, now=now() + timedelta(minutes=36))
    await town.deliver()


async def snapshot(town: Street, booking: dict[str, Any]) -> BookingChanged:
    """The booking as booking itself has it now."""
    answer = await town.booking.client.get(f"/internal/bookings/{booking['id']}", headers=ACCESS)
    assert answer.status_code == 200, answer.text
    return BookingChanged.model_validate_json(answer.content)


def read_fact(model: type[_F], letter: httpx.Request, source: str) -> _F:
    """Return the fact in a letter; the envelope must say the same as the fact itself."""
    envelope = Envelope.model_validate_json(letter.content)
    fact = model.model_validate(envelope.data)
    assert fact.model_dump(mode="json") == envelope.data, "nothing is lost and nothing is added on the way"
    said = (envelope.source, envelope.type, envelope.subject, envelope.sequence)
    assert said == (source, fact.type, fact.subject, fact.sequence)  # type: ignore[attr-defined]
    assert letter.headers["content-type"] == "application/cloudevents+json"
    return fact
