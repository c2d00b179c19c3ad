"""One scene for the whole matrix: each row puts back what it changed."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.service.billing.conftest import sandbox_origin
from tests.service.matrix.scene import Scene, set_scene
from tests.service.matrix.site import Site, open_site
from tests.support.pg import Cluster

__all__ = ["sandbox_origin"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def scene(cluster: Cluster, sandbox_origin: str) -> AsyncIterator[Scene]:
    """Two hubs of two towns, and what members, operators and finance offices have there."""
    async with set_scene(cluster, sandbox_origin) as made:
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(cluster: Cluster, scene: Scene) -> AsyncIterator[Site]:
    """The gateway in front of it."""
    async with open_site(cluster, scene) as made:
        yield made
