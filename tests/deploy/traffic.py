"""What the network policies let through, computed as Kubernetes defines it: policies add up, and select before they deny."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.deploy.connections_table import Edge
from tests.deploy.manifests import Manifests, Pod, matches

_OUTSIDE = {"regiohub/edge": "outside", "regiohub/monitoring": "monitoring", "kubernetes.io/metadata.name": ""}
"""Namespaces by the label that names them; the operator's and DNS's are no connections of ours."""
_WORLD = {443: "Stripe", 587: "SMTP"}


def allowed(manifests: Manifests, source: Pod, target: Pod, port: int) -> bool:
    return _passes(manifests, "egress", source, target, port) and _passes(manifests, "ingress", target, source, port)


def _passes(manifests: Manifests, way: str, mine: Pod, other: Pod, port: int) -> bool:
    rules = list(_rules(manifests, way, mine))
    return any(
        _takes_port(rule, port)
        and any("podSelector" in p and matches(p["podSelector"], other.labels) for p in _peers(rule))
        for rule in rules
    )


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
            for peer in _peers(rule):
                yield from ((name, pod.name) for name in _namespace(peer) if name)
        for rule in _rules(manifests, "egress", pod):
            if any("ipBlock" in peer for peer in _peers(rule)) and "cnpg.io/cluster" not in pod.labels:
                yield from ((pod.name, _WORLD[port]) for port in _WORLD if _takes_port(rule, port))


def _namespace(peer: Mapping[str, Any]) -> Iterator[str]:
    labels = peer.get("namespaceSelector", {}).get("matchLabels", {})
    yield from (_OUTSIDE[key] for key in labels)
    if "namespaceSelector" in peer and not labels:
        yield "any namespace"
