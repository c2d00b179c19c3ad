"""Every ConfigMap, Secret, key, account, volume and program that is named exists."""

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

from tests.deploy.manifests import Manifests, Pod, label, secret_values

_BY_THE_COUNTY = {"regiohub-tls"}
"""The certificate: by cert-manager or by hand."""


def check(manifests: Manifests) -> list[str]:
    secrets = secret_names(manifests)
    found = [f"{pod.owner}: {text}" for pod in manifests.pods() for text in _of_pod(manifests, pod, secrets)]
    found += [f"{label(doc)}: no Secret {name}" for doc, name in _elsewhere(manifests) if name not in secrets]
    return found + [f"{pod.owner}: no module {name}" for pod, name in _modules(manifests) if not _exists(name)]


def secret_names(manifests: Manifests) -> dict[str, set[str]]:
    """Return name → keys: what make_secrets.py makes, what CloudNativePG makes, and the certificate."""
    made = {name: set(values) for name, values in secret_values().items()}
    authorities = {f"{doc['metadata']['name']}-ca": {"ca.crt"} for doc in manifests.kind("Cluster")}
    return made | authorities | {name: {"tls.crt", "tls.key"} for name in _BY_THE_COUNTY}


def _of_pod(manifests: Manifests, pod: Pod, secrets: Mapping[str, set[str]]) -> Iterator[str]:
    for name, key in _secrets(pod):
        if key not in secrets.get(name, ()) and not (key is None and name in secrets):
            yield f"no Secret {name} with key {key}"
    for name in _config_maps(pod):
        if manifests.find("ConfigMap", name) is None:
            yield f"no ConfigMap {name}"
    account = pod.spec.get("serviceAccountName")
    if account and manifests.find("ServiceAccount", account) is None:
        yield f"no ServiceAccount {account}"
    volumes = {volume["name"] for volume in pod.spec.get("volumes", ())}
    mounts = {mount["name"] for container in pod.containers for mount in container.get("volumeMounts", ())}
    if volumes != mounts:
        yield f"volumes and mounts differ: {sorted(volumes ^ mounts)}"


def _secrets(pod: Pod) -> Iterator[tuple[str, str | None]]:
    for container in pod.containers:
        for source in container.get("envFrom", ()):
            if "secretRef" in source:
                yield source["secretRef"]["name"], None
        for env in container.get("env", ()):
            if reference := env.get("valueFrom", {}).get("secretKeyRef"):
                yield reference["name"], reference["key"]
    for volume in pod.spec.get("volumes", ()):
        if "secret" in volume:
            yield from ((volume["secret"]["secretName"], item["key"]) for item in volume["secret"]["items"])


def _config_maps(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        yield from (s["configMapRef"]["name"] for s in container.get("envFrom", ()) if "configMapRef" in s)
    yield from (volume["configMap"]["name"] for volume in pod.spec.get("volumes", ()) if "configMap" in volume)


def _elsewhere(manifests: Manifests) -> Iterator[tuple[dict[str, Any], str]]:
    for doc in manifests.kind("Cluster"):
        yield doc, doc["spec"]["bootstrap"]["initdb"]["secret"]["name"]
        for role in doc["spec"].get("managed", {}).get("roles", ()):
            yield doc, role["passwordSecret"]["name"]
    for doc in manifests.kind("Gateway"):
        for listener in doc["spec"]["listeners"]:
            yield from ((doc, reference["name"]) for reference in listener["tls"]["certificateRefs"])


def _modules(manifests: Manifests) -> Iterator[tuple[Pod, str]]:
    """`python -m NAME`, and what uvicorn is asked to load."""
    for pod in manifests.programs():
        for container in pod.containers:
            for word in container["command"]:
                if word.startswith("regiohub_"):
                    yield pod, word.partition(":")[0]


def _exists(module: str) -> bool:
    """`python -m` of a package runs its `__main__`."""
    try:
        spec = importlib.util.find_spec(module)
        return bool(spec) and (
            not spec.submodule_search_locations or bool(importlib.util.find_spec(f"{module}.__main__"))
        )
    except ModuleNotFoundError:
        return False
