"""What the bench books: a hub of 200 free desks, a hub to search in, doors to open, and members who are logged in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import httpx

from regiohub_local import registering, seed
from regiohub_local.form_browser import Client, FormBrowser
from regiohub_local.plan import House
from regiohub_local.region import HUBS, DemoHub, DemoResource, resource_id

BOOKED = "bench"
"""Open round the clock, free of charge: a booking is confirmed at once, and nobody runs into the limit of unpaid holds."""
SEARCHED = "hall"
DOORS = "bendorf"
DESKS = 200
MEMBERS = 40
_FREE = tuple(f"Freiplatz {number}" for number in range(1, 11))
_SIDE_BY_SIDE = 8


def desk_id(hub: str, number: int) -> str:
    """The id of a desk, which SQL can compute too."""
    return str(UUID(int=((0xBE if hub == BOOKED else 0xA1) << 120) + (0x4000 << 64) + (0x8000 << 48) + number))


def desks(hub: str) -> list[str]:
    """All desks of a hub."""
    return [desk_id(hub, number) for number in range(DESKS)]


def free_desks() -> list[str]:
    """The desks behind doors, free of charge."""
    return [str(resource_id(DOORS, name)) for name in _FREE]


@dataclass
class Member:
    """Somebody who is logged in: the session's cookie for the gateway, a token for the service."""

    name: str
    browser: FormBrowser
    cookie: str = ""
    access: str = ""
    refresh: str = ""


@dataclass
class Town:
    """The members with the house they live in."""

    house: House
    members: list[Member] = field(default_factory=list)

    @property
    def client(self) -> Client:
        """The gateway's client at Keycloak: the bench asks for tokens in its name, as the gateway does."""
        return Client(
            self.house.issuer, "regiohub-gateway", self.house.secrets["RH_GATEWAY_SECRET"],
            f"{self.house.origin}/auth/callback",
        )  # fmt: skip

    def bearers(self) -> list[dict[str, str]]:
        """Headers of each member who calls a service itself."""
        return [{"Authorization": f"Bearer {member.access}"} for member in self.members]

    def sessions(self) -> list[dict[str, str]]:
        """Headers of each member whose browser calls the gateway."""
        own = {"Origin": self.house.origin, "X-Requested-With": "bench"}
        return [{"Cookie": member.cookie, **own} for member in self.members]

    async def renew(self) -> None:
        """Fresh tokens, which are good for five minutes, before each measurement."""
        url = f"{self.house.issuer}/protocol/openid-connect/token"
        async with httpx.AsyncClient(timeout=20, trust_env=False) as http:
            for member in self.members:
                form = {"grant_type": "refresh_token", "refresh_token": member.refresh}
                answer = await http.post(url, data=form, auth=(self.client.client_id, self.client.secret))
                answer.raise_for_status()
                member.access, member.refresh = answer.json()["access_token"], answer.json()["refresh_token"]

    async def close(self) -> None:
        """Close the browsers."""
        for member in self.members:
            await member.browser.aclose()


async def furnish(house: House) -> Town:
    """Put the hubs, let the members register and log in."""
    always = tuple((day, "00:00", "24:00") for day in range(1, 8))
    free = tuple(DemoResource(name, "desk", 0) for name in _FREE)
    template = next(hub for hub in HUBS if hub.slug == DOORS)
    own = [replace(template, slug=slug, name=slug, hours=always, resources=()) for slug in (BOOKED, SEARCHED)]
    await seed.run(house, (replace(template, hours=always, resources=(*template.resources, *free)), *own))
    async with seed.county(house) as api:
        for hub in own:
            await _put_desks(api, hub)
    town = Town(house)
    await _let_in(town)
    return town


async def _put_desks(api: httpx.AsyncClient, hub: DemoHub) -> None:
    turn = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def put(number: int) -> None:
        async with turn:
            answer = await api.put(f"/api/booking/v1/resources/{desk_id(hub.slug, number)}", json=_desk(hub, number))
            answer.raise_for_status()

    await asyncio.gather(*map(put, range(DESKS)))


def _desk(hub: DemoHub, number: int) -> dict[str, Any]:
    return {
        "hub": hub.slug, "name": f"Platz {number + 1}", "kind": "desk", "position": number, "tax_code": "S19",
        "cents_per_hour": 0 if hub.slug == BOOKED else 200,
    }  # fmt: skip


async def _let_in(town: Town) -> None:
    names = [f"bench-{number}@example.org" for number in range(1, MEMBERS + 1)]
    await registering.register(town.house, names, "Bench")
    town.members = [Member(name, FormBrowser()) for name in names]
    turn = asyncio.Semaphore(2)

    async def one(member: Member) -> None:
        async with turn:
            await _log_in(town, member)

    await asyncio.gather(*map(one, town.members))


async def _log_in(town: Town, member: Member) -> None:
    """Once through the gateway, which gives the cookie; Keycloak then knows the browser and gives a token at once."""
    origin, word = town.house.origin, town.house.secrets["RH_DEMO_PASSWORD"]
    page = await member.browser.get(f"{origin}/auth/login")
    await member.browser.fill_login(page, member.name, word)
    kept = member.browser.cookies(f"{origin}/")
    member.cookie = f"__Host-rh={kept['__Host-rh']}"
    tokens = await member.browser.login(town.client, member.name, word)
    member.access, member.refresh = tokens.access, tokens.refresh
