"""Puts the demo region into a running house, through the public API as the county would; repeating changes nothing."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from regiohub_local.plan import House
from regiohub_local.region import HUBS, MARK, DemoDoor, DemoHub, DemoResource, resource_id

TAX_RULES = [
    {"tax_code": code, "valid_from": "2024-01-01", "rate_percent": rate, "category": category, "note": note}
    for code, rate, category, note in (
        ("S19", "19.00", "S", ""),
        ("S07", "7.00", "S", ""),
        ("E12", "0.00", "E", "Steuerfrei nach § 4 Nr. 12 Buchst. a UStG"),
        ("K19", "0.00", "E", "Kleinunternehmer nach § 19 UStG"),
        ("O2B", "0.00", "O", "Nicht steuerbar nach § 2b UStG"),
    )
]


class SeedError(RuntimeError):
    """The demo region could not be put: a service or Keycloak refused, or is not there."""


async def run(house: House, hubs: Sequence[DemoHub] = HUBS) -> None:
    """Put operators, hubs, resources, doors, readers and sellers."""
    try:
        async with county(house) as api:
            for hub in hubs:
                await _put_hub(api, hub)
    except httpx.TransportError as error:
        raise SeedError(f"no answer at {error.request.url} ({error!r}): `make run` starts the house") from error


@asynccontextmanager
async def county(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the seed account's token (role county-admin), speaking to the gateway; raises SeedError."""
    async with httpx.AsyncClient(base_url=house.origin, timeout=20, trust_env=False) as api:
        api.headers["Authorization"] = f"Bearer {await _token(api, house)}"
        yield api


async def _token(api: httpx.AsyncClient, house: House) -> str:
    """The seed account's; whatever stands in the way of it is a SeedError."""
    form, auth = {"grant_type": "client_credentials"}, ("regiohub-seed", house.secrets["RH_SEED_SECRET"])
    try:
        answer = await api.post(f"{house.issuer}/protocol/openid-connect/token", data=form, auth=auth)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SeedError(f"no answer at {house.issuer} ({error!r}): {_way_out()}") from error
    if answer.is_client_error:
        raise SeedError(
            f"{house.issuer} refuses the demo's client regiohub-seed ({answer.status_code}): "
            "a Keycloak of your own needs the realm that `make realm` writes. `make stop` ends what is running"
        )
    try:
        return str(answer.raise_for_status().json()["access_token"])
    except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
        raise SeedError(f"{house.issuer} gives no token ({answer.status_code}): {_way_out()}") from error


def _way_out() -> str:
    if os.environ.get("REGIOHUB_KEYCLOAK_URL"):
        return "REGIOHUB_KEYCLOAK_URL names this Keycloak; is it up, and is that its origin?"
    return "`make run` starts the house"


async def _put(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    """Put it; what an operator has changed meanwhile (428, 412) stays as they want it."""
    answer = await api.put(path, json=body)
    if not answer.is_success and answer.status_code not in {412, 428}:
        raise SeedError(f"PUT {path}: {answer.status_code} {answer.text[:300]}")


async def _put_hub(api: httpx.AsyncClient, hub: DemoHub) -> None:
    await _put(api, f"/api/booking/v1/operators/{hub.operator}", {"name": hub.operator_name})
    await _put(api, f"/api/booking/v1/hubs/{hub.slug}", hub_body(hub))
    for position, resource in enumerate(hub.resources):
        path = f"/api/booking/v1/resources/{resource_id(hub.slug, resource.name)}"
        await _put(api, path, _resource_body(hub, resource, position))
    await _put(api, f"/api/access/v1/hubs/{hub.slug}/doors", doors_body(hub))
    await _put(api, f"/api/access/v1/readers/reader-{hub.slug}", {"hub": hub.slug})
    await _put(api, f"/api/billing/v1/sellers/{hub.operator}", seller_body(hub))


def hub_body(hub: DemoHub) -> dict[str, Any]:
    """A hub as the county puts it, with its address and hours."""
    hours = [{"weekday": day, "opens": opens, "closes": closes} for day, opens, closes in hub.hours]
    return {
        "operator": hub.operator, "name": hub.name, "street": hub.street, "postcode": hub.postcode, "city": hub.city,
        "door_hint": hub.door_hint, "opening_hours": hours,
    }  # fmt: skip


def _resource_body(hub: DemoHub, resource: DemoResource, position: int) -> dict[str, Any]:
    return {
        "hub": hub.slug, "name": resource.name, "kind": resource.kind, "position": position,
        "description": f"{resource.description}. {MARK}" if resource.description else MARK,
        "cents_per_hour": resource.cents_per_hour, "tax_code": "S19",
        "buffer_before_minutes": resource.buffer_minutes, "buffer_after_minutes": resource.buffer_minutes,
        "parts": [str(resource_id(hub.slug, part)) for part in resource.parts],
    }  # fmt: skip


def doors_body(hub: DemoHub) -> dict[str, Any]:
    """A hub's doors and which rooms they serve."""
    return {"doors": [_door_body(hub, door) for door in hub.doors], "margin_minutes": 10, "address": _address(hub)}


def _address(hub: DemoHub) -> str:
    return f"{hub.street}, {hub.postcode} {hub.city}"


def _door_body(hub: DemoHub, door: DemoDoor) -> dict[str, Any]:
    served = [str(resource_id(hub.slug, name)) for name in door.opens]
    return {"number": door.number, "name": door.name, "outer": door.is_outer, "resource_ids": served}


def seller_body(hub: DemoHub) -> dict[str, Any]:
    """What billing must know of an operator to issue its documents."""
    return {
        "name": hub.operator_name, "street": hub.street, "postcode": hub.postcode, "city": hub.city, "country": "DE",
        "tax_number": "00/000/00000 (Beispiel)", "vat_id": "", "tax_rules": TAX_RULES,
    }  # fmt: skip
