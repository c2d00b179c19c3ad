"""Prints every Secret that the manifests ask for, with fresh random values, for `kubectl create -f -`.

    python3 deploy/k8s/make_secrets.py > /dev/shm/secrets.json     look at it, keep a sealed copy, then
    kubectl create -n regiohub -f /dev/shm/secrets.json       create, not apply: a second run must not replace keys

What only the county knows (Stripe, the mail server) is read from the environment: STRIPE_API_KEY,
STRIPE_WEBHOOK_SECRET, MAIL_USER, MAIL_PASSWORD; missing ones stay empty. DATABASE_HOST holds a `{name}`, for a
PostgreSQL that is not CloudNativePG's.
"""

import base64
import json
import os
import secrets
import sys
from collections.abc import Mapping

MEMBERS = ("booking", "access", "billing", "gateway")
DATABASE_HOST = "{name}-db-rw"
"""CloudNativePG's service for reading and writing."""


def _key() -> str:
    """32 random bytes as URL-safe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _login(name: str, user: str, host: str) -> dict[str, str]:
    password = secrets.token_hex(24)  # letters and digits only: it also stands in an address
    uri = f"postgresql://{user}:{password}@{host.format(name=name)}:5432/{name}"
    return {"username": user, "password": password, "uri": uri}


def _databases(host: str) -> dict[str, dict[str, str]]:
    made = {f"{name}-database": _login(name, f"{name}_app", host) for name in MEMBERS}
    owners = {f"{name}-database-owner": _login(name, f"{name}_owner", host) for name in (*MEMBERS, "keycloak")}
    return made | owners


def _programs(known: Mapping[str, str], clients: Mapping[str, str]) -> dict[str, dict[str, str]]:
    values = {f"{name}-secrets": {f"{name.upper()}_CLIENT_SECRET": clients[name]} for name in MEMBERS}
    values["booking-secrets"] |= {f"BOOKING_{key}": known.get(key, "") for key in ("MAIL_USER", "MAIL_PASSWORD")}
    stripe = ("STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET")
    values["billing-secrets"] |= {f"BILLING_{key}": known.get(key, "") for key in stripe}
    values["access-secrets"]["ACCESS_SECRET_KEY"] = _key()
    values["gateway-secrets"]["GATEWAY_SESSION_KEY"] = _key()
    return values


def _keycloak(known: Mapping[str, str], clients: Mapping[str, str]) -> dict[str, str]:
    """The realm's placeholders are the same client secrets that the programs hold."""
    return {
        "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
        "KC_BOOTSTRAP_ADMIN_PASSWORD": secrets.token_hex(24),
        "RH_SMTP_USER": known.get("MAIL_USER", ""),
        "RH_SMTP_PASSWORD": known.get("MAIL_PASSWORD", ""),
        **{f"RH_{name.upper()}_SECRET": secret for name, secret in clients.items()},
    }


def make(known: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return name → key → value of every Secret but the certificate `regiohub-tls`."""
    clients = {name: secrets.token_hex(32) for name in (*MEMBERS, "privacy")}
    made = _databases(known.get("DATABASE_HOST", DATABASE_HOST)) | _programs(known, clients)
    return made | {"keycloak-secrets": _keycloak(known, clients)}


def manifest(values: Mapping[str, Mapping[str, str]]) -> dict[str, object]:
    """Return one List; logins have the type that CloudNativePG asks for."""
    items = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "regiohub"}},
            "type": "kubernetes.io/basic-auth" if "password" in keys else "Opaque",
            "stringData": dict(keys),
        }
        for name, keys in values.items()
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


if __name__ == "__main__":
    json.dump(manifest(make(os.environ)), sys.stdout, indent=1)
