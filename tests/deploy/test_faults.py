"""Each planted fault is found by the check that is made for it, and by no other."""

from copy import deepcopy

import pytest

from tests.deploy.checks import CHECKS
from tests.deploy.faults import FAULTS
from tests.deploy.manifests import Manifests


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.name} → {fault.found_by}")
def test_the_named_check_finds(rendered, fault):
    manifests = Manifests(deepcopy(rendered["prod"].docs))

    fault.plant(manifests)

    assert {name for name, check in CHECKS.items() if check(manifests)} == {fault.found_by}


def test_every_check_is_shown_to_find_something():
    assert {fault.found_by for fault in FAULTS} == CHECKS.keys()
