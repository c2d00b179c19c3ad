"""What pages read from services, and the few shapes that they make of it."""

import asyncio
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from regiohub_gateway.web import moments
from regiohub_gateway.web.api import Api, Refused
from regiohub_shared.problem import Problem, Unavailable

Json = dict[str, Any]
_SHORTEST = 5
"""Minutes: booking takes the shortest that each room allows."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A free resource for a slot with its price."""

    resource_id: str
    name: str
    hub: str
    kind: str
    gross_cents: int
    tax_code: str
    derivation: list[Json]


@dataclass(frozen=True, slots=True)
class HubOffers:
    """A hub and what is free there; ``offers`` is None when booking did not tell, ``refusal`` why nothing is."""

    hub: Json
    offers: list[Offer] | None
    refusal: str = ""

    @property
    def desks(self) -> list[Offer]:
        """The desks among them."""
        return [offer for offer in self.offers or [] if offer.kind == "desk"]


@dataclass(frozen=True, slots=True)
class HubFree:
    """The first slot in which a hub has something free; ``are_desks`` tells whether only desks are meant."""

    hub: Json
    start: datetime | None = None
    end: datetime | None = None
    offers: tuple[Offer, ...] = ()
    are_desks: bool = False


async def list_hubs(api: Api) -> list[Json]:
    """Return all hubs."""
    return await api.items("booking", "/v1/hubs")


async def operator_names(api: Api) -> dict[str, str]:
    """Return the operators' names by slug."""
    return {hub["operator"]: hub["operator_name"] for hub in await list_hubs(api)}


async def find_operator_names(api: Api) -> dict[str, str]:
    """The same; nothing while booking is away, since the slug does as well."""
    try:
        return await operator_names(api)
    except (Refused, Problem):
        return {}


async def list_verdicts(api: Api, start: datetime, end: datetime, hub: str = "") -> list[Json]:
    """Return each resource of one hub (or of all) with its price for a slot or the rule that refuses it."""
    return await api.items("booking", "/v1/availability", hub=hub, start=start.isoformat(), end=end.isoformat())


async def list_kinds(api: Api, hubs: list[Json]) -> dict[str, str]:
    """Return the kind of each resource by its id."""
    lists = await asyncio.gather(*(api.items("booking", f"/v1/hubs/{hub['slug']}/resources") for hub in hubs))
    return {resource["id"]: resource["kind"] for resources in lists for resource in resources}


async def offers_by_hub(api: Api, hubs: list[Json], start: datetime, end: datetime) -> list[HubOffers]:
    """Return what is free in these hubs for a slot, the cheapest first."""
    only = hubs[0]["slug"] if len(hubs) == 1 else ""
    verdicts, kinds = await asyncio.gather(list_verdicts(api, start, end, only), list_kinds(api, hubs))
    return [_of_hub(hub, verdicts, kinds) for hub in hubs]


async def desks_first(api: Api, hubs: list[Json], minutes: int = 120) -> list[HubFree]:
    """Return where each hub has its first desks, cut to what is left; without a desk the first of anything."""
    asked: Json = {"minutes": minutes, "at_least": _SHORTEST}
    desks = await _first_free(api, hubs, kind="desk", **asked)
    rest = [hub for hub in hubs if hub["slug"] not in desks]
    others = await _first_free(api, rest, **asked) if rest else {}
    return [desks.get(hub["slug"]) or others.get(hub["slug"]) or HubFree(hub) for hub in hubs]


async def next_by_hub(api: Api, hubs: list[Json], after: datetime, minutes: int) -> dict[str, HubFree]:
    """Return where these hubs are free next for that long; where they are not, at least for a while."""
    asked: Json = {"after": after.isoformat(), "minutes": minutes}
    found = await _first_free(api, hubs, **asked)
    rest = [hub for hub in hubs if hub["slug"] not in found]
    return found | (await _first_free(api, rest, at_least=_SHORTEST, **asked) if rest else {})


async def _first_free(api: Api, hubs: list[Json], **asked: Any) -> dict[str, HubFree]:
    by_slug = {hub["slug"]: hub for hub in hubs}
    only = hubs[0]["slug"] if len(hubs) == 1 else ""
    items = await api.items("booking", "/v1/next-free", hub=only, **asked)
    found = [item for item in items if item["hub"] in by_slug and item["offers"]]
    return {item["hub"]: _hub_free(by_slug[item["hub"]], item, asked.get("kind", "")) for item in found}


def _hub_free(hub: Json, item: Json, kind: str) -> HubFree:
    offers = [_offer(slot | {"hub": hub["slug"]}, kind) for slot in item["offers"]]
    cheapest = tuple(sorted(offers, key=lambda offer: offer.gross_cents))
    return HubFree(hub, moments.parse(item["start"]), moments.parse(item["end"]), cheapest, kind == "desk")


def _of_hub(hub: Json, verdicts: list[Json], kinds: dict[str, str]) -> HubOffers:
    own = [verdict for verdict in verdicts if verdict["hub"] == hub["slug"]]
    free = [_offer(verdict, kinds.get(verdict["resource_id"], "")) for verdict in own if verdict["is_free"]]
    refusals = [verdict["refusal"] for verdict in own if verdict["refusal"]]
    same = refusals[0] if len(set(refusals)) == 1 else ""
    return HubOffers(hub, sorted(free, key=lambda offer: (offer.kind != "desk", offer.gross_cents)), same)


def _offer(verdict: Json, kind: str) -> Offer:
    price = verdict["price"]
    return Offer(
        verdict["resource_id"], verdict["resource_name"], verdict["hub"], kind,
        price["gross_cents"], price["tax_code"], price["derivation"],
    )  # fmt: skip


async def documents_of(api: Api, booking_id: str) -> list[Json] | None:
    """Return a booking's documents, or None while billing is away: the page goes on without them."""
    return await _optional(api, "billing", "/v1/documents", booking_id)


async def payments_of(api: Api, booking_id: str) -> list[Json] | None:
    """Return a booking's payments, or None while billing is away."""
    return await _optional(api, "billing", "/v1/payments", booking_id)


async def grant_of(api: Api, booking_id: str) -> Json | None:
    """Return the door rights of a booking, or None when there are none yet (or access is away)."""
    found = await _optional(api, "access", "/v1/grants", booking_id)
    return found[0] if found else None


async def find_grant(api: Api, booking_id: str) -> Json | None:
    """Return the door rights of a booking, or None when there are none yet; raises while access is away."""
    found = await api.items("access", "/v1/grants", booking_id=booking_id)
    return found[0] if found else None


async def active_grants(api: Api) -> list[Json]:
    """Return the visitor's door rights that open something now or later, the next one first."""
    found = [grant for grant in await api.items("access", "/v1/grants") if grant["status"] == "active"]
    return sorted(found, key=lambda grant: grant["starts_at"] or "")


async def bookings_of_pins(api: Api, hub: str, pins: list[Json]) -> dict[str, Json]:
    """Return the bookings that these PINs belong to by id, from the day lists; nothing while booking is away."""
    # The middle of a PIN's window lies within the booking, its edges need not.
    days = {_middle(pin).date().isoformat() for pin in pins}
    try:
        lists = await asyncio.gather(*(api.items("booking", f"/v1/hubs/{hub}/bookings", date=day) for day in days))
    except (Refused, Unavailable):
        return {}
    return {booking["id"]: booking for bookings in lists for booking in bookings}


def _middle(pin: Json) -> datetime:
    start, end = moments.parse(pin["starts_at"]), moments.parse(pin["ends_at"])
    return start + (end - start) / 2


async def _optional(api: Api, service: str, path: str, booking_id: str) -> list[Json] | None:
    try:
        return await api.items(service, path, booking_id=booking_id)
    except (Refused, Unavailable):
        return None


def days_from(first: date, count: int) -> list[date]:
    """Return consecutive days."""
    return [first + timedelta(days=offset) for offset in range(count)]
