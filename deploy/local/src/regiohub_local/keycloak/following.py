"""Changed origins, secrets, mail settings and passkey policy, carried over to a realm that was imported before."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from regiohub_local.keycloak.names import REALM, Keycloak, KeycloakError
from regiohub_local.keycloak.realm_file import filled, realm

FOLLOWED = ("secret", "rootUrl", "redirectUris")
PASSKEYS = "webAuthnPolicyPasswordless"


async def follow(keycloak: Keycloak, env: Mapping[str, str], realm_json: Mapping[str, Any] | None = None) -> int:
    """Bring what the running realm says to `env` and to the committed realm; answers how many things changed.

    Needed when a kept port was taken meanwhile, secrets were made anew or the house was updated: a realm is
    imported only once.
    """
    wanted = filled(realm_json or realm(), env)
    async with httpx.AsyncClient(base_url=keycloak.origin, timeout=20, trust_env=False) as http:
        http.headers["Authorization"] = f"Bearer {await admin_token(http, keycloak)}"
        changes = await asyncio.gather(*[_follow_client(http, client) for client in wanted["clients"]])
        return sum(changes) + await _follow_realm(http, wanted)


async def admin_token(http: httpx.AsyncClient, keycloak: Keycloak) -> str:
    """A token for the admin API."""
    answer = await http.post(
        "/realms/master/protocol/openid-connect/token",
        data={
            "grant_type": "password", "client_id": "admin-cli",
            "username": keycloak.admin_user, "password": keycloak.admin_password,
        },
    )  # fmt: skip
    if answer.status_code != 200:
        raise KeycloakError(
            "Keycloak: its administrator cannot log in: the state folder's keycloak/ and secrets.env do not belong together"
        )
    return str(answer.json()["access_token"])


async def _follow_client(http: httpx.AsyncClient, wanted: Mapping[str, Any]) -> bool:
    base = f"/admin/realms/{REALM}/clients"
    rows = (await http.get(base, params={"clientId": wanted["clientId"]})).raise_for_status().json()
    if not rows:
        (await http.post(base, json=wanted)).raise_for_status()
        return True
    now = rows[0]
    new = {**now, **{key: wanted[key] for key in FOLLOWED if key in wanted}}
    new["attributes"] = {**now.get("attributes", {}), **wanted.get("attributes", {})}
    if new == now:
        return False
    (await http.put(f"{base}/{now['id']}", json=new)).raise_for_status()
    return True


async def _follow_realm(http: httpx.AsyncClient, wanted: Mapping[str, Any]) -> int:
    now = (await http.get(f"/admin/realms/{REALM}")).raise_for_status().json()
    changes = {key: value for key, value in wanted.items() if key.startswith(PASSKEYS) and now.get(key) != value}
    mail = now.get("smtpServer", {})
    if any(mail.get(key, "") != wanted["smtpServer"][key] for key in ("host", "port", "from")):
        changes["smtpServer"] = wanted["smtpServer"]
    if changes:
        # All of it: of a part, Keycloak takes the mail settings but not the passkeys'.
        (await http.put(f"/admin/realms/{REALM}", json=now | changes)).raise_for_status()
    return len(changes)
