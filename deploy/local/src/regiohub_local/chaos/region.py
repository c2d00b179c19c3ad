"""The demo region with more desks, open round the clock, and the members who book there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from regiohub_local import registering, seed
from regiohub_local.plan import House
from regiohub_local.region import HUBS, DemoHub, DemoResource, resource_id

_DESKS = 24
_ALWAYS = tuple((day, "00:00", "24:00") for day in range(1, 8))


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be booked, and where."""

    hub: str
    resource_id: str
    cents_per_hour: int


def hubs() -> tuple[DemoHub, ...]:
    """The demo hubs with two dozen desks more each, two of them free of charge."""
    more = tuple(DemoResource(f"Probeplatz {n}", "desk", 0 if n < 3 else 100 + n) for n in range(1, _DESKS + 1))
    return tuple(replace(hub, hours=_ALWAYS, resources=(*hub.resources, *more)) for hub in HUBS)


def offers() -> tuple[Offer, ...]:
    """Everything that can be booked."""
    return tuple(
        Offer(hub.slug, str(resource_id(hub.slug, room.name)), room.cents_per_hour)
        for hub in hubs()
        for room in hub.resources
    )


async def furnish(house: House, members: int) -> list[str]:
    """Seed the region and let members register; return their logins."""
    await seed.run(house, hubs())
    names = [f"chaos-{number}@example.org" for number in range(1, members + 1)]
    await registering.register(house, names, "Chaos")
    return names
