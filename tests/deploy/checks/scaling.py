"""Replicas, budgets and grace fit together, so that a rollout or a drained node drops no request."""

from collections.abc import Iterator
from typing import Any

from tests.deploy.manifests import Manifests, Pod, label

_END_S = 5
"""What a program needs after its last request to close its pools."""


def check(manifests: Manifests) -> list[str]:
    return [
        *_autoscalers(manifests),
        *_budgets(manifests),
        *_rollouts(manifests),
        *_grace(manifests),
        *_pauses(manifests),
    ]


def autoscaler(manifests: Manifests, deployment: str) -> dict[str, Any] | None:
    found = (
        doc for doc in manifests.kind("HorizontalPodAutoscaler") if doc["spec"]["scaleTargetRef"]["name"] == deployment
    )
    return next(found, None)


def _autoscalers(manifests: Manifests) -> Iterator[str]:
    for doc in manifests.kind("HorizontalPodAutoscaler"):
        target = doc["spec"]["scaleTargetRef"]
        if manifests.find(target["kind"], target["name"]) is None:
            yield f"{label(doc)} scales nothing"
        if not 1 <= doc["spec"]["minReplicas"] <= doc["spec"]["maxReplicas"]:
            yield f"{label(doc)} has more replicas at least than at most"
    for doc in manifests.kind("Deployment"):
        if autoscaler(manifests, doc["metadata"]["name"]) is None:
            yield f"{label(doc)} has no autoscaler"
        elif "replicas" in doc["spec"]:
            yield f"{label(doc)} sets replicas that its autoscaler also sets"


def _budgets(manifests: Manifests) -> Iterator[str]:
    budgets = list(manifests.kind("PodDisruptionBudget"))
    covered = [pod.owner for doc in budgets for pod in manifests.selected(doc["spec"]["selector"])]
    for doc in manifests.kind("Deployment", "StatefulSet"):
        if covered.count(label(doc)) != 1:
            yield f"{label(doc)} has {covered.count(label(doc))} disruption budgets"
    # By maxUnavailable: a minimum would forbid draining a node wherever one replica runs.
    yield from (f"{label(doc)} lets no node be drained" for doc in budgets if not doc["spec"].get("maxUnavailable"))


def _rollouts(manifests: Manifests) -> Iterator[str]:
    for doc in manifests.kind("Deployment"):
        rolling = doc["spec"].get("strategy", {}).get("rollingUpdate", {})
        if rolling.get("maxUnavailable") != 0 or not rolling.get("maxSurge"):
            yield f"{label(doc)} ends old pods before new ones are ready"


def _grace(manifests: Manifests) -> Iterator[str]:
    for pod in manifests.programs():
        needed = _needed(pod)
        if pod.spec.get("terminationGracePeriodSeconds", 30) < needed:
            yield f"{pod.owner} is killed before the {needed} s that it may need to end"


def _pauses(manifests: Manifests) -> Iterator[str]:
    """A proxy goes on sending for a moment to a pod that is told to end."""
    for pod in manifests.programs():
        if pod.component == "api" and not _pause(pod):
            yield f"{pod.owner} ends before every proxy knows"


def _pause(pod: Pod) -> int:
    return int(pod.containers[-1].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0))


def _needed(pod: Pod) -> int:
    container = pod.containers[-1]
    graceful = [
        arg.partition("=")[2] for arg in container.get("args", ()) if arg.startswith("--timeout-graceful-shutdown=")
    ]
    return _pause(pod) + sum(map(int, graceful)) + _END_S if graceful else 0
