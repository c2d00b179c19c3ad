"""What a program fills in by itself, and what it refuses."""

from typing import Any

import pytest
from pydantic import ValidationError

from regiohub_shared.settings import ServiceSettings


def _settings(**more: Any) -> ServiceSettings:
    given = {"database_url": "postgresql://a", "issuer": "http://localhost:8080/realms/regiohub", "client_id": "c"}
    return ServiceSettings(**given | more)


def test_defaults_follow_from_others() -> None:
    made = _settings()
    assert made.keycloak_url == "http://localhost:8080"
    assert made.migrate_database_url == "postgresql://a"
    assert made.realm == "regiohub"


def test_given_values_stay() -> None:
    made = _settings(keycloak_url="http://keycloak", migrate_database_url="postgresql://b")
    assert (made.keycloak_url, made.migrate_database_url) == ("http://keycloak", "postgresql://b")


def test_secrets_do_not_print() -> None:
    assert "geheim" not in repr(_settings(client_secret="geheim"))


def test_shifted_time_only_in_dev(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever prefix the program's own environment setting has."""
    monkeypatch.setenv("REGIOHUB_NOW", "2031-01-01T00:00:00Z")
    assert _settings().environment == "dev"
    with pytest.raises(ValidationError, match="REGIOHUB_NOW"):
        _settings(environment="prod")
