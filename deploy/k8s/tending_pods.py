"""Prints a pod per program that does nothing but wait for `kubectl exec`: for a restore or a doctor (docs/kubernetes.md).

    kubectl get deployment -n regiohub -o json | python3 deploy/k8s/tending_pods.py | kubectl create -n regiohub -f -

Each is its program's worker (the gateway: its API) with the same image, settings, rights and network, plus the address of the
database's owner. No service leads to it.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

SOURCES = {"booking": "worker", "access": "worker", "billing": "worker", "gateway": "api"}
WAIT = ["python", "-c", "import signal; signal.pause()"]
_OF_A_SERVICE = ("ports", "startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "args")


def pod(deployment: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the pod that tends to a program's database."""
    spec = {**deployment["spec"]["template"]["spec"], "restartPolicy": "Never"}
    spec.pop("topologySpreadConstraints", None)
    container = {key: value for key, value in spec["containers"][0].items() if key not in _OF_A_SERVICE}
    owner = {"secretKeyRef": {"name": f"{name}-database-owner", "key": "uri"}}
    container["command"] = WAIT
    container["env"] = [*container.get("env", ()), {"name": f"{name.upper()}_MIGRATE_DATABASE_URL", "valueFrom": owner}]
    # The gateway's service must not find it; a worker's label opens the way to Stripe.
    component = SOURCES[name] if SOURCES[name] == "worker" else "tending"
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/component": component, "regiohub/tending": "true"}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{name}-tending", "labels": labels},
        "spec": spec | {"containers": [container]},
    }  # fmt: skip


def pods(deployments: Mapping[str, Any]) -> dict[str, Any]:
    """Return all of them, as a list that kubectl takes."""
    by_name = {each["metadata"]["name"]: each for each in deployments["items"]}
    made = [pod(by_name[f"{name}-{component}"], name) for name, component in SOURCES.items()]
    return {"apiVersion": "v1", "kind": "List", "items": made}


if __name__ == "__main__":
    json.dump(pods(json.load(sys.stdin)), sys.stdout, indent=2)
