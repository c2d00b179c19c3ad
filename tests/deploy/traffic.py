"""What the network policies let through, computed as Kubernetes defines it: policies add up, and select before they deny."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.deploy.connections_table import Edge
from tests.deploy.manifests import Manifests, Pod, matches

_OUTSIDE = {
    ("regiohub/edge", "true"): "outside", ("regiohub/monitoring", "true"): "monitoring",
    ("kubernetes.io/metadata.name", "kube-system"): "", ("kubernetes.io/metadata.name", "cnpg-system"): "",
}  # fmt: skip
"""Namespaces by the label that names them; the operator's and DNS's are no connections of ours."""
_WORLD = {443: "Stripe", 25: "SMTP", 465: "SMTP", 587: "SMTP"}


def allowed(manifests: Manifests, source: Pod, target: Pod, port: int) -> bool:
    return _passes(manifests, "egress", source, target, port) and _passes(manifests, "ingress", target, source, port)


def _passes(manifests: Manifests, way: str, mine: Pod, other: Pod, port: int) -> bool:
    rules = list(_rules(manifests, way, mine))
    return any(
        _takes_port(rule, port) and (not _peers(rule) or any(_takes(peer, other) for peer in _peers(rule)))
        for rule in rules
    )


def _takes(peer: Mapping[str, Any], other: Pod) -> bool:
    """Whether a peer of our own namespace is meant."""
    mine = "podSelector" in peer and "namespaceSelector" not in peer
    return mine and matches(peer["podSelector"], other.labels)


def _rules(manifests: Manifests, way: str, pod: Pod) -> Iterator[Mapping[str, Any]]:
    for doc in manifests.kind("NetworkPolicy"):
        if way.capitalize() in doc["spec"]["policyTypes"] and matches(doc["spec"]["podSelector"], pod.labels):
            yield from doc["spec"].get(way, ())


def _peers(rule: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*rule.get("from", ()), *rule.get("to", ())]


def _takes_port(rule: Mapping[str, Any], port: int) -> bool:
    return not rule.get("ports") or any(entry["port"] == port for entry in rule["ports"])


def _half_open(manifests: Manifests, source: Pod, target: Pod, port: int) -> bool:
    return _passes(manifests, "egress", source, target, port) or _passes(manifests, "ingress", target, source, port)


def edges(manifests: Manifests) -> set[Edge]:
    """Return every connection that is possible, by program: among pods, from other namespaces, to the world."""
    return _inside(manifests, allowed) | set(_across(manifests))


def half_open(manifests: Manifests) -> set[Edge]:
    """The same with what only one side allows: nothing passes yet, but one policy less and it would."""
    return _inside(manifests, _half_open) | set(_across(manifests))


def _inside(manifests: Manifests, may: Callable[[Manifests, Pod, Pod, int], bool]) -> set[Edge]:
    # The data protection officer's pod stands in no manifest.
    pods = [*manifests.pods(), Pod("Pod/privacy", {"app.kubernetes.io/name": "privacy"}, {"containers": []})]
    return {
        (source.name, target.name)
        for source in pods
        for target in pods
        for port in target.ports.values()
        if source.name != target.name and may(manifests, source, target, port)
    }


def _across(manifests: Manifests) -> Iterator[Edge]:
    for pod in manifests.pods():
        for rule in _rules(manifests, "ingress", pod):
            yield from ((name, pod.name) for name in [*_namespaces(rule), *_callers(rule)])
        for rule in _rules(manifests, "egress", pod):
            yield from ((pod.name, name) for name in _namespaces(rule))
            if "cnpg.io/cluster" not in pod.labels:
                yield from ((pod.name, name) for name in _world(rule))


def reached_world(manifests: Manifests, pod: Pod) -> set[str]:
    """Return the services of the world that this very pod may call."""
    return {name for rule in _rules(manifests, "egress", pod) for name in _world(rule)}


def looks_up(manifests: Manifests, pod: Pod) -> bool:
    """Whether the pod may ask Kubernetes' own DNS, by both protocols."""
    system = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    ports = [
        entry["protocol"]
        for rule in _rules(manifests, "egress", pod)
        if system in _peers(rule)
        for entry in rule["ports"]
        if entry["port"] == 53
    ]
    return set(ports) == {"UDP", "TCP"}


def _namespaces(rule: Mapping[str, Any]) -> Iterator[str]:
    for peer in _peers(rule):
        if "namespaceSelector" in peer:
            labels = peer["namespaceSelector"].get("matchLabels", {}).items()
            name = next((_OUTSIDE[label] for label in labels if label in _OUTSIDE), "any namespace")
            yield from [name] if name else []


def _callers(rule: Mapping[str, Any]) -> list[str]:
    return ["the world"] if _is_everywhere(rule) else []


def _world(rule: Mapping[str, Any]) -> list[str]:
    """Which services of the world are meant, by their ports; without ports all are."""
    if not _is_everywhere(rule):
        return []
    ports = [entry["port"] for entry in rule.get("ports", ())]
    return [_WORLD.get(port, f"port {port} of the world") for port in ports] or ["the world"]


def _is_everywhere(rule: Mapping[str, Any]) -> bool:
    return not _peers(rule) or any("ipBlock" in peer for peer in _peers(rule))
