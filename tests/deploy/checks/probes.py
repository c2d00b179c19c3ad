"""Probes and scrapes ask paths that the programs serve; whatever opens a port has all three probes, and life never hangs
on a database."""

from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry

from regiohub_booking.main import MIGRATIONS
from regiohub_shared.db.database import Database
from regiohub_shared.web.health import health_router
from tests.deploy.checks.ports import probes
from tests.deploy.manifests import Manifests, Pod, label

_KEYCLOAK = {"/health/started", "/health/live", "/health/ready", "/metrics"}
_KINDS = {"startupProbe", "livenessProbe", "readinessProbe"}


def check(manifests: Manifests) -> list[str]:
    found = [f"{pod.owner}: {text}" for pod in manifests.pods() for text in _of_pod(pod)]
    return [*found, *_scrapes(manifests), *_unseen(manifests)]


def served(pod: Pod) -> set[str]:
    """Return the paths of the router that all four programs have, or Keycloak's."""
    if pod.name == "keycloak":
        return _KEYCLOAK
    router = health_router(Database("postgresql://nobody@nowhere/nothing"), Path(MIGRATIONS), [], CollectorRegistry())
    return {route.path for route in router.routes}


def _of_pod(pod: Pod) -> Iterator[str]:
    asked = dict(probes(pod))
    yield from (
        f"the {kind} asks {p['httpGet']['path']}, which is not served"
        for kind, p in asked.items()
        if p["httpGet"]["path"] not in served(pod)
    )
    if pod.ports and "cnpg.io/cluster" not in pod.labels and asked.keys() != _KINDS:
        yield f"has no {', '.join(sorted(_KINDS - asked.keys()))}"
    if asked.get("livenessProbe", {}).get("httpGet", {}).get("path") in {"/readyz", "/health/ready"}:
        yield "is restarted when its database is away"


def _scrapes(manifests: Manifests) -> Iterator[str]:
    for doc in manifests.kind("PodMonitor"):
        for endpoint in doc["spec"]["podMetricsEndpoints"]:
            for pod in manifests.selected(doc["spec"]["selector"]):
                if "cnpg.io/cluster" not in pod.labels and endpoint.get("path") not in served(pod):
                    yield f"{label(doc)}: {pod.owner} does not serve {endpoint.get('path')}"


def _unseen(manifests: Manifests) -> Iterator[str]:
    """Whatever has metrics is asked for them, once."""
    monitored = [
        pod.owner for doc in manifests.kind("PodMonitor") for pod in manifests.selected(doc["spec"]["selector"])
    ]
    for pod in manifests.pods():
        if pod.ports and monitored.count(pod.owner) != 1:
            yield f"{pod.owner} is scraped by {monitored.count(pod.owner)} PodMonitors"
