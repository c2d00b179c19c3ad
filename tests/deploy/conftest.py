"""Each overlay is rendered once."""

import pytest

from tests.deploy.manifests import OVERLAYS, Manifests, render


@pytest.fixture(scope="session")
def rendered() -> dict[str, Manifests]:
    return {name: Manifests.of(render(name)) for name in OVERLAYS}
