"""What pages read from services, and the few shapes that they make of it."""

import asyncio
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from regiohub_gateway.web.api import Api, Refused
from regiohub_shared.problem import Problem, Unavailable

Json = dict[str, Any]


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


async def remote_openings(api: Api, grant: Json | None) -> list[Json]:
    """Return which doors of a grant an operator opened; nothing while access is away."""
    if grant is None:
        return []
    try:
        return await api.items("access", f"/v1/grants/{grant['id']}/remote-openings")
    except (Refused, Unavailable):
        return []


async def find_feed(api: Api) -> Json | None:
    """Return the visitor's calendar feed, or None when there is none."""
    found: Json | None = await api.find("booking", "/v1/calendar-feed")
    return found


async def active_grants(api: Api) -> list[Json]:
    """Return the visitor's door rights that open something now or later, the next one first."""
    found = [grant for grant in await api.items("access", "/v1/grants") if grant["status"] == "active"]
    return sorted(found, key=lambda grant: grant["starts_at"] or "")


async def _optional(api: Api, service: str, path: str, booking_id: str) -> list[Json] | None:
    try:
        return await api.items(service, path, booking_id=booking_id)
    except (Refused, Unavailable):
        return None


def days_from(first: date, count: int) -> list[date]:
    """Return consecutive days."""
    return [first + timedelta(days=offset) for offset in range(count)]
