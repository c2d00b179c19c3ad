"""The house that is attacked: started once, at the layer's Keycloak."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from regiohub_local.form_browser import FormBrowser
from tests.identity.attacks.house import Attacked, running_house
from tests.identity.conftest import Identity
from tests.support.pg import Cluster


@pytest.fixture(scope="session")
def house(keycloak: Identity, cluster: Cluster) -> Iterator[Attacked]:
    with (
        tempfile.TemporaryDirectory(prefix="regiohub-attacked-") as folder,
        running_house(keycloak, cluster, Path(folder)) as running,
    ):
        yield running


@pytest.fixture
async def member(house: Attacked) -> AsyncIterator[FormBrowser]:
    """A member's browser, logged in through Keycloak's form."""
    browser = await house.login("demo-mitglied")
    yield browser
    await browser.aclose()
