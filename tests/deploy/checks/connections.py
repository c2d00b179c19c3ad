"""All replicas together, during a rollout too, find a connection in their database."""

from tests.deploy.checks.scaling import autoscaler
from tests.deploy.checks.settings import environment
from tests.deploy.manifests import MEMBERS, Manifests

_POOLS = 2
"""SQLAlchemy's and asyncpg's own."""
_KEPT = 20
"""Superuser, replication, metrics, the migration, a person."""


def check(manifests: Manifests) -> list[str]:
    found = []
    for name in MEMBERS:
        cluster = manifests.find("Cluster", f"{name}-db")
        if cluster is None:
            continue
        most = int(cluster["spec"]["postgresql"]["parameters"]["max_connections"])
        needed = _needed(manifests, name)
        if needed > most:
            found.append(f"Cluster/{name}-db takes {most} connections, its programs may open {needed}")
    return found


def _needed(manifests: Manifests, name: str) -> int:
    total = _KEPT
    for pod in manifests.programs():
        scaler = autoscaler(manifests, pod.owner.partition("/")[2])
        if pod.name == name and scaler:
            size = int(environment(manifests, pod).get(f"{name.upper()}_POOL_SIZE", "10"))
            total += (scaler["spec"]["maxReplicas"] + 1) * _POOLS * size
    return total
