"""One fresh, migrated database and one app per test."""

from collections.abc import AsyncIterator

import pytest

from tests.service.booking.world import World, running
from tests.support.pg import Cluster


@pytest.fixture
async def world(cluster: Cluster) -> AsyncIterator[World]:
    with cluster.database("booking") as urls:
        async with running(urls) as made:
            yield made
