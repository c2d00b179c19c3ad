"""The rendered objects of one overlay, and how Kubernetes would look at them."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "deploy" / "k8s"
OVERLAYS = ("dev", "prod")
MEMBERS = ("booking", "access", "billing", "gateway")
NAME, COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"

_DATABASE_PORTS = {"postgresql": 5432, "status": 8000, "metrics": 9187}
"""What an instance of CloudNativePG opens; its pods stand in no manifest, the operator makes them."""


def render(overlay: str) -> str:
    """Return what `kubectl apply -k` would send."""
    kubectl = Path(sys.executable).parent / "kubectl"
    return subprocess.run(
        [kubectl, "kustomize", K8S / "overlays" / overlay], check=True, capture_output=True, text=True
    ).stdout


@cache
def secret_values() -> dict[str, dict[str, str]]:
    """Secrets as make_secrets.py makes them, with everything that the county would tell it."""
    spec = importlib.util.spec_from_file_location("make_secrets", K8S / "make_secrets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    told = ("STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET", "MAIL_USER", "MAIL_PASSWORD")
    return module.make(dict.fromkeys(told, "told-by-the-county"))


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes these labels; an empty one takes all."""
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(rule, labels) for rule in selector.get("matchExpressions") or ()
    )


def _holds(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(rule["key"])
    return {
        "In": lambda: value in rule["values"],
        "NotIn": lambda: value not in rule["values"],
        "Exists": lambda: value is not None,
        "DoesNotExist": lambda: value is None,
    }[rule["operator"]]()


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod template, by what makes its pods: `Deployment/booking-api`."""

    owner: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.labels.get(NAME, self.labels.get("cnpg.io/cluster", self.owner))

    @property
    def component(self) -> str:
        return self.labels.get(COMPONENT, "")

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def ports(self) -> dict[str, int]:
        found = {}
        for container in self.containers:
            found |= {port["name"]: port["containerPort"] for port in container.get("ports", ())}
        return found


class Manifests:
    """Objects by kind and name; pods with those that operators make."""

    def __init__(self, docs: list[dict[str, Any]]) -> None:
        self.docs = docs

    @classmethod
    def of(cls, text: str) -> "Manifests":
        return cls([doc for doc in yaml.safe_load_all(text) if doc])

    def kind(self, *kinds: str) -> Iterator[dict[str, Any]]:
        return (doc for doc in self.docs if doc["kind"] in kinds)

    def find(self, kind: str, name: str) -> dict[str, Any] | None:
        return next((doc for doc in self.kind(kind) if doc["metadata"]["name"] == name), None)

    def pods(self) -> list[Pod]:
        made = [
            Pod(label(doc), doc["spec"]["template"]["metadata"]["labels"], doc["spec"]["template"]["spec"])
            for doc in self.kind("Deployment", "StatefulSet", "Job")
        ]
        return made + [_database(doc) for doc in self.kind("Cluster")]

    def programs(self) -> list[Pod]:
        """Pods of our four images."""
        return [pod for pod in self.pods() if pod.name in MEMBERS]

    def selected(self, selector: Mapping[str, Any]) -> list[Pod]:
        return [pod for pod in self.pods() if matches(selector, pod.labels)]


def label(doc: Mapping[str, Any]) -> str:
    return f"{doc['kind']}/{doc['metadata']['name']}"


def _database(doc: Mapping[str, Any]) -> Pod:
    ports = [{"name": name, "containerPort": port} for name, port in _DATABASE_PORTS.items()]
    return Pod(
        label(doc), {"cnpg.io/cluster": doc["metadata"]["name"]}, {"containers": [{"name": "postgres", "ports": ports}]}
    )
