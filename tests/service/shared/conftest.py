"""One probe service per test, on a database of its own."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from regiohub_local.postgres import Urls
from tests.service.shared.probe import app as probe
from tests.support.pg import Cluster


@pytest.fixture
def urls(cluster: Cluster) -> Iterator[Urls]:
    """A migrated database of the probe."""
    with cluster.database("probe", probe.MIGRATIONS) as made:
        yield made


@pytest.fixture
async def app(urls: Urls) -> AsyncIterator[FastAPI]:
    """The probe within its lifespan."""
    made = probe.build(urls.app)
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sees the service as callers do."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://probe") as made:
        yield made


@pytest.fixture
async def sql(urls: Urls) -> AsyncIterator[asyncpg.Connection]:
    """A look at the database from outside, as its owner."""
    connection = await asyncpg.connect(urls.owner)
    yield connection
    await connection.close()


@pytest.fixture
async def admin(cluster: Cluster) -> AsyncIterator[asyncpg.Connection]:
    """The superuser, who may cut others' sessions."""
    connection = await asyncpg.connect(cluster.admin_url)
    yield connection
    await connection.close()
