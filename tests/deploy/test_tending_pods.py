"""The pods for a restore: what the script makes of an overlay's Deployments is valid, and can do what the runbook asks."""

import json
import subprocess
import sys

import pytest

from tests.deploy.checks import schemas
from tests.deploy.checks.settings import environment
from tests.deploy.manifests import COMPONENT, K8S, MEMBERS, NAME, OVERLAYS, Manifests, Pod
from tests.deploy.traffic import edges


def made(manifests: Manifests) -> Manifests:
    """Run the script as its first lines say."""
    told = json.dumps({"items": list(manifests.kind("Deployment"))})
    command = [sys.executable, K8S / "tending_pods.py"]
    done = subprocess.run(command, input=told, capture_output=True, text=True, check=True)
    return Manifests(json.loads(done.stdout)["items"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_they_are_valid_and_have_the_owner_s_address(rendered: dict[str, Manifests], overlay: str):
    tending = made(rendered[overlay])
    assert schemas.check(tending) == []
    for name in MEMBERS:
        doc = tending.find("Pod", f"{name}-tending")
        assert doc is not None
        pod = Pod(f"Pod/{name}", doc["metadata"]["labels"], doc["spec"])
        env = environment(Manifests([*rendered[overlay].docs, *tending.docs]), pod)
        assert "_owner:" in env[f"{name.upper()}_MIGRATE_DATABASE_URL"]
        assert "_app:" in env[f"{name.upper()}_DATABASE_URL"]
        assert doc["spec"]["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_service_leads_to_them_and_billing_s_reaches_stripe(rendered: dict[str, Manifests], overlay: str):
    tending = made(rendered[overlay])
    for doc in tending.docs:
        labels = doc["metadata"]["labels"]
        for service in rendered[overlay].kind("Service"):
            selector = service["spec"].get("selector")
            assert selector is None or not selector.items() <= labels.items(), service["metadata"]["name"]
    billing = tending.find("Pod", "billing-tending")
    assert billing is not None
    policies = [
        policy["metadata"]["name"]
        for policy in rendered[overlay].kind("NetworkPolicy")
        if policy["spec"]["podSelector"].get("matchLabels", {}).items() <= billing["metadata"]["labels"].items()
    ]
    assert {"billing-worker", "billing-to-database"} <= set(policies)
    assert ("billing", "Stripe") in {(edge[0], edge[1]) for edge in edges(rendered[overlay])}
    assert billing["metadata"]["labels"][NAME] == "billing"
    assert billing["metadata"]["labels"][COMPONENT] == "worker"
