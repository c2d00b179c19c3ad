"""The street of three services beside a Stripe of its own: in a shared one, other tests' money would be ours."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.service.billing.conftest import running_sandbox
from tests.support.pg import Cluster
from tests.support.world_street import Street, running_street


@pytest.fixture
def sandbox_origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The payment provider, which no restore takes back."""
    yield from running_sandbox(tmp_path_factory)


@pytest.fixture
async def town(cluster: Cluster, sandbox_origin: str) -> AsyncIterator[Street]:
    """Booking, access and billing with a hub, its doors, a reader and a seller."""
    async with running_street(cluster, sandbox_origin) as street:
        yield street
