"""Whoever names a port names one that is there: nothing else, not even an API server, finds a wrong targetPort."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.deploy.manifests import Manifests, Pod, label, matches


def check(manifests: Manifests) -> list[str]:
    return [
        *_services(manifests),
        *_routes(manifests),
        *_probes(manifests),
        *_monitors(manifests),
        *_policies(manifests),
    ]


def has_port(pod: Pod, port: str | int) -> bool:
    return port in pod.ports or port in pod.ports.values()


def _services(manifests: Manifests) -> Iterator[str]:
    for doc in manifests.kind("Service"):
        for port in doc["spec"]["ports"]:
            target = port.get("targetPort", port["port"])
            for pod in manifests.selected({"matchLabels": doc["spec"]["selector"]}):
                if not has_port(pod, target):
                    yield f"{label(doc)}: {pod.owner} has no port {target}"


def _routes(manifests: Manifests) -> Iterator[str]:
    for doc in manifests.kind("HTTPRoute"):
        for backend in (backend for rule in doc["spec"]["rules"] for backend in rule["backendRefs"]):
            service = manifests.find("Service", backend["name"])
            if service is None or backend["port"] not in {port["port"] for port in service["spec"]["ports"]}:
                yield f"{label(doc)}: there is no Service {backend['name']} with port {backend['port']}"


def _probes(manifests: Manifests) -> Iterator[str]:
    for pod in manifests.pods():
        for kind, probe in probes(pod):
            if not has_port(pod, probe["httpGet"]["port"]):
                yield f"{pod.owner}: the {kind} asks port {probe['httpGet']['port']}, which is not there"


def probes(pod: Pod) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for container in pod.containers:
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            if kind in container:
                yield kind, container[kind]


def _monitors(manifests: Manifests) -> Iterator[str]:
    for doc in manifests.kind("PodMonitor"):
        for endpoint in doc["spec"]["podMetricsEndpoints"]:
            for pod in manifests.selected(doc["spec"]["selector"]):
                if endpoint["port"] not in pod.ports:
                    yield f"{label(doc)}: {pod.owner} has no port {endpoint['port']}"


def _policies(manifests: Manifests) -> Iterator[str]:
    """A policy sees the pod's port, not the Service's."""
    for doc in manifests.kind("NetworkPolicy"):
        for rule in doc["spec"].get("ingress", ()):
            for port in rule.get("ports", ()):
                pods = manifests.selected(doc["spec"]["podSelector"])
                if pods and not any(has_port(pod, port["port"]) for pod in pods):
                    yield f"{label(doc)}: no selected pod has port {port['port']}"
        for rule in doc["spec"].get("egress", ()):
            yield from (f"{label(doc)}: {text}" for text in _egress(manifests, rule))


def _egress(manifests: Manifests, rule: Mapping[str, Any]) -> Iterator[str]:
    selectors = [peer["podSelector"] for peer in rule.get("to", ()) if "podSelector" in peer]
    pods = [pod for pod in manifests.pods() if any(matches(selector, pod.labels) for selector in selectors)]
    for port in rule.get("ports", ()):
        if pods and not any(has_port(pod, port["port"]) for pod in pods):
            yield f"nobody there has port {port['port']}"
