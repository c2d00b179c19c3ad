"""One's own PostgreSQL or Keycloak that is away or refuses: one line that names the setting, never the password."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from regiohub_local import plan, seed, supervise
from regiohub_local.ports import free_port
from regiohub_local.postgres import PostgresError

VARIABLES = ("ADMIN_DATABASE_URL", "BOOKING_DATABASE_URL", "GATEWAY_MIGRATE_DATABASE_URL")


def no_keycloak(*_arguments: object) -> None:
    raise AssertionError("Keycloak was started first")


def refused_start(monkeypatch, tmp_path, variable: str, url: str) -> str:
    monkeypatch.setenv(variable, url)
    monkeypatch.setattr(supervise, "_start_keycloak", no_keycloak)
    with pytest.raises(PostgresError) as refused:
        supervise.start(tmp_path / "run", prefer={}, say=lambda line: None)
    return str(refused.value)


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_database_that_is_away_is_named_before_keycloak_is_started(monkeypatch, tmp_path, variable):
    port = free_port()
    line = refused_start(monkeypatch, tmp_path, variable, f"postgresql://me:hidden@127.0.0.1:{port}/postgres")
    assert line.startswith(f"{variable}: ")
    assert f"127.0.0.1:{port}" in line
    assert "hidden" not in line
    assert "\n" not in line


@pytest.mark.parametrize("url", ["postgresql://me:hid/den@127.0.0.1/postgres", "postgresql://me:hid#den@[::1/postgres"])
def test_an_address_that_nobody_can_read_shows_nothing_of_its_password(monkeypatch, tmp_path, url):
    line = refused_start(monkeypatch, tmp_path, "ADMIN_DATABASE_URL", url)
    assert line.startswith("ADMIN_DATABASE_URL: ")
    assert "hid" not in line
    assert "den" not in line


@contextmanager
def answering(status: int, body: str = "{}") -> Iterator[str]:
    """A login service that answers everything with `status`; its origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_said: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refused_seed(tmp_path) -> str:
    house = plan.make_house(tmp_path / "run", prefer={})
    with pytest.raises(seed.SeedError) as refused:
        asyncio.run(seed.run(house))
    assert house.secrets["RH_SEED_SECRET"] not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("status", "body"), [(503, "{}"), (302, "{}"), (200, "<html>"), (200, json.dumps(["token"])), (200, "{}")]
)
def test_a_keycloak_of_ones_own_that_gives_no_token_is_named(monkeypatch, tmp_path, status, body):
    with answering(status, body) as origin:
        monkeypatch.setenv("REGIOHUB_KEYCLOAK_URL", origin)
        line = refused_seed(tmp_path)
    assert "REGIOHUB_KEYCLOAK_URL" in line
    assert str(status) in line


@pytest.mark.parametrize("origin", ["http://127.0.0.1:{port}", "login.example", "http://[login"])
def test_a_keycloak_of_ones_own_that_is_away_is_named(monkeypatch, tmp_path, origin):
    monkeypatch.setenv("REGIOHUB_KEYCLOAK_URL", origin.format(port=free_port()))
    assert "REGIOHUB_KEYCLOAK_URL" in refused_seed(tmp_path)


def test_the_keycloak_of_a_house_that_does_not_run_asks_for_make_run(tmp_path):
    assert "`make run` starts the house" in refused_seed(tmp_path)
