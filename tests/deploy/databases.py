"""A real PostgreSQL in CloudNativePG's place, brought up by the manifests' own SQL."""

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tests.deploy.manifests import Manifests, secret_values
from tests.support.pg import Cluster


def here(cluster: Cluster, url: str) -> str:
    """The Secret's address with this server's host instead of CloudNativePG's."""
    parts = urlsplit(url)
    host = urlsplit(cluster.admin_url).netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{host}"))


def _password(reference: Mapping[str, str]) -> str:
    return secret_values()[reference["name"]]["password"]


async def bootstrap(cluster: Cluster, manifests: Manifests, member: str) -> dict[str, str]:
    """Do what CloudNativePG does at the birth of a cluster; return the app role's settings."""
    spec = manifests.find("Cluster", f"{member}-db")["spec"]
    initdb, roles = spec["bootstrap"]["initdb"], spec["managed"]["roles"]
    admin = await asyncpg.connect(cluster.admin_url)
    await admin.execute(f"CREATE ROLE {initdb['owner']} LOGIN PASSWORD '{_password(initdb['secret'])}'")
    await admin.execute(f"CREATE DATABASE {initdb['database']} OWNER {initdb['owner']}")
    await admin.close()
    inside = await asyncpg.connect(urlunsplit(urlsplit(cluster.admin_url)._replace(path=f"/{initdb['database']}")))
    for statement in initdb["postInitApplicationSQL"]:
        await inside.execute(statement)
    for role in roles:
        await inside.execute(f"ALTER ROLE {role['name']} PASSWORD '{_password(role['passwordSecret'])}'")
    found = await inside.fetchval("SELECT rolconfig FROM pg_roles WHERE rolname = $1", f"{member}_app")
    await inside.close()
    return dict(setting.split("=", 1) for setting in found)
