"""Fixtures that more than one layer uses."""

from collections.abc import Iterator

import pytest

from regiohub_local.throwaway import stand_alone
from tests.support.pg import Cluster, running_cluster


def pytest_configure() -> None:
    """Before any module is read: no test meets the databases, Keycloak or Stripe of whoever runs it."""
    stand_alone()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One PostgreSQL server for the whole run."""
    with running_cluster() as running:
        yield running
