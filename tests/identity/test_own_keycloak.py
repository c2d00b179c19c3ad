"""A Keycloak that somebody else runs: what `make realm` writes makes it fit, and without it one line says so."""

import json
import secrets
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from regiohub_local import keycloak as launcher
from regiohub_local import plan, processes, seed
from regiohub_local.ports import free_ports
from tests.identity.conftest import Identity


def written_realm(state: Path) -> Path:
    subprocess.run([sys.executable, "-m", "regiohub_local", "realm", "--state", str(state)], check=True)
    return state / "realm.json"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Another server on this machine that got the written file and nothing else; answers the house's state folder."""
    state = tmp_path / "run"
    path = written_realm(state)
    assert path.stat().st_mode & 0o077 == 0
    port, management_port = free_ports(2)
    env = {"RH_KEYCLOAK_ADMIN_PASSWORD": secrets.token_urlsafe(18)}
    try:
        running = launcher.start(
            tmp_path / "elsewhere",
            port=port,
            management_port=management_port,
            env=env,
            realm_json=json.loads(path.read_text()),
        )
        monkeypatch.setenv("REGIOHUB_KEYCLOAK_URL", running.origin)
        yield state
    finally:
        launcher.stop(tmp_path / "elsewhere")
        processes.reap()


async def test_the_written_realm_lets_every_client_of_the_house_in(elsewhere):
    house = plan.make_house(elsewhere, prefer={})
    async with seed.county(house) as api:
        assert api.headers["Authorization"].startswith("Bearer ")
    names = {f"regiohub-{name}": f"RH_{name.upper()}_SECRET" for name in plan.SERVICES}
    names |= {f"reader-{hub}": f"RH_READER_{hub.upper()}_SECRET" for hub in plan.HUBS}
    async with httpx.AsyncClient(trust_env=False) as http:
        for client, secret in names.items():
            form, auth = {"grant_type": "client_credentials"}, (client, house.secrets[secret])
            answer = await http.post(f"{house.issuer}/protocol/openid-connect/token", data=form, auth=auth)
            assert answer.status_code == 200, client


async def test_a_realm_of_other_secrets_is_refused_in_one_line(keycloak: Identity, tmp_path, monkeypatch):
    monkeypatch.setenv("REGIOHUB_KEYCLOAK_URL", keycloak.keycloak.origin)
    house = plan.make_house(tmp_path / "run", prefer={})
    with pytest.raises(seed.SeedError, match="needs the realm that `make realm` writes"):
        async with seed.county(house):
            pass
