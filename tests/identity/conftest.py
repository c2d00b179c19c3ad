"""A real Keycloak with the real realm, on ports and in a folder of its own."""

import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from regiohub_local import keycloak as launcher
from regiohub_local.keycloak import Keycloak
from regiohub_local.mail_sink import BackgroundSink
from regiohub_local.ports import free_ports
from tests.support.keycloak_login import Client


@dataclass(frozen=True)
class Identity:
    """The running server, what filled its realm, and the folder its mails land in."""

    keycloak: Keycloak
    env: dict[str, str]
    mail: Path
    state_dir: Path
    ports: tuple[int, int]
    house_ports: tuple[int, int]
    """Where the gateway belongs that the realm knows, and where Keycloak tells it of logouts."""

    @property
    def issuer(self) -> str:
        return self.keycloak.issuer

    @property
    def gateway(self) -> Client:
        """The gateway's client; for tests that stop at its redirect address."""
        origin = self.env["RH_PUBLIC_ORIGIN"]
        return Client(self.issuer, "regiohub-gateway", self.env["RH_GATEWAY_SECRET"], f"{origin}/auth/callback")

    @property
    def password(self) -> str:
        """Of every demo user."""
        return self.env["RH_DEMO_PASSWORD"]

    async def service_token(self, client_id: str, secret_name: str) -> str:
        """A client's own token."""
        async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
            answer = await http.post(
                f"{self.issuer}/protocol/openid-connect/token",
                auth=(client_id, self.env[secret_name]),
                data={"grant_type": "client_credentials"},
            )
        return answer.raise_for_status().json()["access_token"]

    def admin(self) -> httpx.Client:
        """The admin API of the realm."""
        form = {"grant_type": "password", "client_id": "admin-cli"}
        form |= {"username": self.keycloak.admin_user, "password": self.keycloak.admin_password}
        answer = httpx.post(
            f"{self.keycloak.origin}/realms/master/protocol/openid-connect/token", data=form, timeout=20
        )
        token = answer.raise_for_status().json()["access_token"]
        return httpx.Client(
            base_url=f"{self.keycloak.origin}/admin/realms/regiohub",
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=20,
        )

    def stop(self) -> None:
        """Take Keycloak away; its ports refuse connections."""
        launcher.stop(self.state_dir)

    def start(self) -> None:
        """Bring it back on the same ports."""
        launcher.start(self.state_dir, port=self.ports[0], management_port=self.ports[1], env=self.env)


def realm_env(smtp_port: int, house_ports: tuple[int, int]) -> dict[str, str]:
    """Something for each placeholder of the realm."""
    env = {name: secrets.token_urlsafe(18) for name in launcher.placeholders(launcher.realm())}
    return env | {
        "RH_KEYCLOAK_ADMIN_PASSWORD": secrets.token_urlsafe(18),
        "RH_PUBLIC_ORIGIN": f"http://localhost:{house_ports[0]}",
        "RH_GATEWAY_URL": f"http://127.0.0.1:{house_ports[1]}",
        "RH_SMTP_HOST": "127.0.0.1",
        "RH_SMTP_PORT": str(smtp_port),
        "RH_SMTP_FROM": "regiohub@example.org",
    }


@pytest.fixture(scope="session")
def keycloak() -> Iterator[Identity]:
    """One Keycloak for the layer."""
    # In a process of its own: this one may not open a connection beyond loopback.
    fetched = subprocess.run(
        [sys.executable, "-m", "regiohub_local", "fetch"], check=False, capture_output=True, text=True
    )
    assert fetched.returncode == 0, fetched.stdout + fetched.stderr
    port, management_port, smtp_port, *house_ports = free_ports(5)
    with tempfile.TemporaryDirectory(prefix="regiohub-identity-") as folder:
        state_dir = Path(folder)
        env = realm_env(smtp_port, (house_ports[0], house_ports[1]))
        with BackgroundSink(state_dir / "mail", smtp_port) as mail:
            try:
                running = launcher.start(state_dir, port=port, management_port=management_port, env=env)
                yield Identity(running, env, mail, state_dir, (port, management_port), (house_ports[0], house_ports[1]))
            finally:
                launcher.stop(state_dir)
