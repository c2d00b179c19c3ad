"""One's own PostgreSQL that answers and refuses: one line that names the setting and the host, never the password."""

import secrets
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from regiohub_local import plan, postgres, supervise
from regiohub_local.postgres import PostgresError
from tests.support.pg import Cluster, outside_loop


def as_user(url: str, user: str) -> str:
    host = urlsplit(url).netloc.rpartition("@")[2]
    return urlunsplit(urlsplit(url)._replace(netloc=f"{user}@{host}"))


def refusal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str) -> str:
    monkeypatch.setenv("ADMIN_DATABASE_URL", url)
    house = plan.make_house(tmp_path / "run", prefer={})
    with pytest.raises(PostgresError) as refused:
        supervise.databases(house)
    return str(refused.value)


def test_a_wrong_password_is_said_in_one_line(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    line = refusal(monkeypatch, tmp_path, as_user(cluster.admin_url, "postgres:hidden"))
    assert line.startswith("ADMIN_DATABASE_URL: ")
    assert str(urlsplit(cluster.admin_url).port) in line
    assert "password authentication failed" in line
    assert "hidden" not in line


def test_a_role_that_may_make_no_roles_is_said_in_one_line(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    word = secrets.token_hex(8)
    words = {"LOWLY_OWNER_PASSWORD": word, "LOWLY_APP_PASSWORD": word}
    urls = outside_loop(postgres.provision(cluster.admin_url, "lowly", words))
    line = refusal(monkeypatch, tmp_path, urls.app)
    outside_loop(postgres.drop(cluster.admin_url, "regiohub_lowly"))
    assert line.startswith("ADMIN_DATABASE_URL: ")
    assert "permission denied" in line
    assert word not in line
