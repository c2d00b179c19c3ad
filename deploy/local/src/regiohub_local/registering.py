"""Members of a throw-away house: registered at its Keycloak, all with the demo password."""

from __future__ import annotations

from collections.abc import Sequence

import httpx

from regiohub_local import keycloak
from regiohub_local.plan import House


async def register(house: House, names: Sequence[str], first_name: str) -> None:
    """Make a member with a verified mail for each name, which is their address too."""
    admin = keycloak.Keycloak(
        house.keycloak_origin, house.issuer, keycloak.ADMIN, house.secrets["RH_KEYCLOAK_ADMIN_PASSWORD"]
    )
    async with httpx.AsyncClient(base_url=admin.origin, timeout=30, trust_env=False) as http:
        http.headers["Authorization"] = f"Bearer {await keycloak.admin_token(http, admin)}"
        for name in names:
            answer = await http.post(f"/admin/realms/{keycloak.REALM}/users", json=_member(house, name, first_name))
            answer.raise_for_status()


def _member(house: House, name: str, first_name: str) -> dict[str, object]:
    password = {"type": "password", "value": house.secrets["RH_DEMO_PASSWORD"], "temporary": False}
    return {
        "username": name, "email": name, "emailVerified": True, "enabled": True, "firstName": first_name,
        "lastName": "Mitglied", "credentials": [password],
    }  # fmt: skip
