"""Fixtures that more than one layer uses."""

from collections.abc import Iterator

import pytest

from tests.support.pg import Cluster, running_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One PostgreSQL server for the whole run."""
    with running_cluster() as running:
        yield running
