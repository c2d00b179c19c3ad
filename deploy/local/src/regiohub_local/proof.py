"""The first `make run` plays one booking through the public API and keeps its receipt."""

from __future__ import annotations

from regiohub_local import story
from regiohub_local.person import Person
from regiohub_local.plan import House

STEPS = (story.search, story.book, story.pay, story.fetch_pass, story.open_door, story.checked_in, story.invoice)


async def run(house: House) -> str:
    """Play it; return the receipt. It needs the sandbox, where payments can be made without a person."""
    start, end = story.current_slot()
    lines = ["", "  One booking, played through the public API as proof:"]
    async with Person(house, "demo-mitglied") as member, Person(house, "demo-mitglied-2") as other:
        tale = story.Tale(house=house, member=member, other=other, start=start, end=end)
        seen = [f"    {step.__name__.replace('_', ' '):<12}{await step(tale)}" for step in STEPS]
    return "\n".join([*lines, *seen])
