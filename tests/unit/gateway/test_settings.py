"""What the gateway refuses to start with."""

import base64

import pytest
from pydantic import ValidationError

from regiohub_gateway.edge.hosts import Hosts
from regiohub_gateway.settings import Settings


def made(origin: str) -> Settings:
    key = base64.urlsafe_b64encode(b"k" * 32).decode()
    return Settings(
        database_url="postgresql://a", issuer="http://localhost:8080/realms/regiohub", session_key=key,
        public_origin=origin,
    )  # fmt: skip


@pytest.mark.parametrize(
    "origin",
    ["", "regiohub.example", "https://", "https:///x", "https://me@regiohub.example", "https://a b", "ftp://a.example",
     "https://regiohub.example:port", "https://[::1"],
)  # fmt: skip
def test_an_origin_without_a_name_is_refused_at_the_start(origin):
    with pytest.raises(ValidationError, match="public_origin"):
        made(origin)


@pytest.mark.parametrize("origin", ["http://localhost:8000", "https://Regiohub.Example", "http://[::1]:8000"])
def test_an_origin_stays_as_it_is_written(origin):
    assert made(origin).public_origin == origin


def test_a_name_with_umlauts_travels_as_browsers_send_it():
    origin = made("https://bücher.example:8443").public_origin

    assert origin == "https://xn--bcher-kva.example:8443"
    assert Hosts(origin).is_public([(b"host", origin.removeprefix("https://").encode())])
