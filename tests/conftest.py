"""Fixtures that more than one layer uses."""

from collections.abc import Iterator

import pytest

from regiohub_local import postgres
from regiohub_local.throwaway import stand_alone
from tests.support.pg import Cluster, running_cluster


def pytest_configure() -> None:
    """Before any module is read: no test meets the databases, Keycloak or Stripe of whoever runs it."""
    stand_alone()


def pytest_report_header() -> str:
    """REGIOHUB_POSTGRES_BIN runs the tests on another PostgreSQL: which one is said."""
    return f"PostgreSQL {postgres.major_version(postgres.binary('postgres').parents[1])}"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One PostgreSQL server for the whole run."""
    with running_cluster() as running:
        yield running
