"""The street of three services, fresh for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.service.billing.conftest import sandbox_origin
from tests.support.pg import Cluster
from tests.support.world_street import Street, running_street

__all__ = ["sandbox_origin"]


@pytest.fixture
async def town(cluster: Cluster, sandbox_origin: str) -> AsyncIterator[Street]:
    """Booking, access and billing with a hub, its doors, a reader and a seller."""
    async with running_street(cluster, sandbox_origin) as street:
        yield street
