"""Tokens for tests without Keycloak: signed here, shaped like Keycloak's. Identity tests use the real one."""

import base64
import json
import os
from collections.abc import Iterable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from jwcrypto import jwk, jwt

from regiohub_shared.auth.verifier import Verifier
from regiohub_shared.clock import real_now

ISSUER = "http://localhost:8080/realms/regiohub"
AUDIENCES = ("regiohub-booking", "regiohub-access", "regiohub-billing")
_ENV = "REGIOHUB_TEST_KEY"


def new_key(kid: str = "test") -> jwk.JWK:
    """A fresh RSA key as Keycloak would use it."""
    return jwk.JWK.generate(kty="RSA", size=2048, kid=kid, use="sig", alg="RS256")


_KEY = jwk.JWK.from_json(os.environ[_ENV]) if _ENV in os.environ else new_key()


def key_for_children() -> dict[str, str]:
    """Environment that makes a child process sign and verify with this process's key."""
    return {_ENV: str(_KEY.export_private())}


def public_key() -> jwk.JWK:
    """The public half of the test key."""
    return jwk.JWK.from_json(_KEY.export_public())


async def fetch_keys() -> dict[str, Any]:
    """The JWKS that Keycloak would answer."""
    return {"keys": [json.loads(_KEY.export_public())]}


def verifier(audience: str) -> Verifier:
    """A real verifier with the test key."""
    return Verifier(issuer=ISSUER, audience=audience, fetch_keys=fetch_keys)


def sign(claims: dict[str, Any], header: dict[str, Any] | None = None, key: jwk.JWK = _KEY) -> str:
    """Sign any claims, also wrong ones."""
    made = jwt.JWT(header={"alg": "RS256", "typ": "at+jwt", "kid": "test"} | (header or {}), claims=claims)
    made.make_signed_token(key)
    return str(made.serialize())


def sign_raw(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Sign with RS256 whatever the header says; libraries refuse to write some of what attackers send."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    text = part(json.dumps(header).encode()) + "." + part(json.dumps(claims).encode())
    return f"{text}.{part(_KEY.get_op_key('sign').sign(text.encode(), PKCS1v15(), SHA256()))}"


def claims_for(
    sub: str,
    *roles: str,
    azp: str = "regiohub-gateway",
    hubs: Iterable[str] = (),
    operators: Iterable[str] = (),
    audiences: Iterable[str] = AUDIENCES,
) -> dict[str, Any]:
    """Claims as Keycloak sends them."""
    now = int(real_now().timestamp())
    return {
        "iss": ISSUER, "aud": list(audiences), "sub": sub, "azp": azp, "typ": "Bearer", "iat": now, "exp": now + 3600,
        "realm_access": {"roles": list(roles)}, "hub_operator": list(hubs), "finance": list(operators),
    }  # fmt: skip


def bearer(
    sub: str,
    *roles: str,
    azp: str = "regiohub-gateway",
    hubs: Iterable[str] = (),
    operators: Iterable[str] = (),
) -> dict[str, str]:
    """Authorization header of a user or service."""
    token = sign(claims_for(sub, *roles, azp=azp, hubs=hubs, operators=operators))
    return {"Authorization": f"Bearer {token}"}
