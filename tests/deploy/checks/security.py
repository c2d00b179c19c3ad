"""Every container is locked down as the admission level "restricted" asks, and more: read-only, bounded, pinned."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.deploy.manifests import Manifests, Pod

_UNITS = {"m": 0.001, "Mi": 2**20, "Gi": 2**30, "": 1}


def check(manifests: Manifests) -> list[str]:
    return [
        f"{pod.owner}: {text}"
        for pod in manifests.pods()
        if "cnpg.io/cluster" not in pod.labels
        for text in _of_pod(pod)
    ]


def _of_pod(pod: Pod) -> Iterator[str]:
    context = pod.spec.get("securityContext", {})
    if not context.get("runAsNonRoot") or not context.get("runAsUser"):
        yield "may run as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    if pod.spec.get("automountServiceAccountToken") is not False:
        yield "gets a token for Kubernetes"
    if (
        pod.spec.get("hostNetwork")
        or pod.spec.get("hostPID")
        or any("hostPath" in v for v in pod.spec.get("volumes", ()))
    ):
        yield "touches its node"
    for container in pod.containers:
        yield from (f"{container['name']} {text}" for text in _of_container(container))


def _of_container(container: Mapping[str, Any]) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False or "ALL" not in context.get("capabilities", {}).get(
        "drop", ()
    ):
        yield "may gain privileges"
    if context.get("privileged") or context.get("runAsUser") == 0 or context.get("runAsNonRoot") is False:
        yield "loosens what its pod says"
    if context.get("capabilities", {}).get("add"):
        yield "gets capabilities back"
    if not context.get("readOnlyRootFilesystem"):
        yield "may write to its image"
    if container["image"].rpartition(":")[2] in {container["image"], "latest"}:
        yield f"has an image that moves: {container['image']}"
    yield from _bounds(container.get("resources", {}))


def _bounds(resources: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for name in ("cpu", "memory", "ephemeral-storage"):
        asked, limit = (resources.get(part, {}).get(name) for part in ("requests", "limits"))
        if asked is None or limit is None:
            yield f"has no request or limit for {name}"
        elif amount(asked) > amount(limit):
            yield f"asks for more {name} than its limit"


def amount(text: str) -> float:
    number = text.rstrip("mMiG")
    return float(number) * _UNITS[text[len(number) :]]
