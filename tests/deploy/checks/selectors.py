"""Whatever selects pods selects some, and a controller selects its own alone."""

from collections.abc import Iterator
from typing import Any

from tests.deploy.manifests import Manifests, label, matches

_BY_HAND = {"privacy"}
"""Policies for pods that a person starts (docs/kubernetes.md)."""


def check(manifests: Manifests) -> list[str]:
    found = [
        f"{label(doc)} selects no pod"
        for doc, selector in _selectors(manifests)
        if doc["metadata"]["name"] not in _BY_HAND and not manifests.selected(selector)
    ]
    return found + list(_foreign(manifests))


def _selectors(manifests: Manifests) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for doc in manifests.kind("Service"):
        yield doc, {"matchLabels": doc["spec"]["selector"]}
    for doc in manifests.kind("PodDisruptionBudget", "PodMonitor"):
        yield doc, doc["spec"]["selector"]
    for doc in manifests.kind("NetworkPolicy"):
        yield doc, doc["spec"]["podSelector"]


def _foreign(manifests: Manifests) -> Iterator[str]:
    """Two controllers that select each other's pods fight over them; a Service or budget mixes no programs."""
    for doc in manifests.kind("Deployment", "StatefulSet"):
        selector, template = doc["spec"]["selector"], doc["spec"]["template"]["metadata"]["labels"]
        if not matches(selector, template):
            yield f"{label(doc)} does not select its own pods"
        if any(pod.owner != label(doc) for pod in manifests.selected(selector)):
            yield f"{label(doc)} selects pods of others"
    for doc, selector in _selectors(manifests):
        if doc["kind"] in {"Service", "PodDisruptionBudget"} and len(manifests.selected(selector)) > 1:
            yield f"{label(doc)} selects pods of several programs"
