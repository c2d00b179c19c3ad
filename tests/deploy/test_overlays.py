"""`make k8s`: both overlays render, and no check finds anything in them."""

import pytest

from regiohub_local.keycloak.distribution import VERSION
from tests.deploy.checks import CHECKS
from tests.deploy.manifests import MEMBERS, OVERLAYS


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("check", CHECKS)
def test_finds_nothing(rendered, overlay, check):
    assert CHECKS[check](rendered[overlay]) == []


def test_every_member_has_all_its_parts(rendered):
    for overlay in OVERLAYS:
        for member in MEMBERS:
            for kind, part in (
                ("Deployment", "api"),
                ("Job", "migration"),
                ("Service", "api"),
                ("ServiceAccount", "account"),
            ):
                assert rendered[overlay].find(kind, f"{member}-{part}"), f"{overlay}: {kind}/{member}-{part}"
        workers = {doc["metadata"]["name"] for doc in rendered[overlay].kind("Deployment")}
        assert {"booking-worker", "access-worker", "billing-worker"} <= workers


def test_keycloak_is_the_version_that_runs_on_one_machine(rendered):
    for overlay in OVERLAYS:
        pod = next(pod for pod in rendered[overlay].pods() if pod.name == "keycloak")
        assert {container["image"] for container in pod.containers} == {f"keycloak/keycloak:{VERSION}"}
