"""The real programs at the real Keycloak: three services and two gateways, each a process as ``make run`` starts it."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from jwcrypto import jwk

from regiohub_gateway.edge.sessions import row_id
from regiohub_local import plan, processes
from regiohub_local.form_browser import FormBrowser
from regiohub_local.plan import SERVICES, House
from regiohub_local.ports import free_ports
from regiohub_shared.clock import real_now
from tests.identity.conftest import Identity
from tests.support.keycloak_login import login
from tests.support.pg import Cluster, Urls
from tests.support.tap import Tap, tapped

SESSION = "__Host-rh"
DESK = "00000000-0000-7000-8000-0000000000d1"
_READY_S = 60.0


@dataclass
class Attacked:
    """The house, the listeners on its lines to and from Keycloak, and a signing key of the realm that we hold."""

    identity: Identity
    house: House
    second_port: int
    to_keycloak: dict[str, Tap]
    """By the program that asks."""
    from_keycloak: Tap
    urls: dict[str, Urls]
    stolen: jwk.JWK
    _tokens: dict[str, tuple[float, str]] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return self.house.origin

    @property
    def gateways(self) -> tuple[str, str]:
        """Where the two gateways listen; both serve the one public name."""
        return self.house.url("gateway"), f"http://127.0.0.1:{self.second_port}"

    @property
    def host(self) -> dict[str, str]:
        return {"host": self.origin.removeprefix("http://")}

    def log(self, program: str) -> str:
        return processes.log_path(self.house.state_dir, program).read_text()

    async def token(self, user: str) -> str:
        """A genuine access token, with at least two minutes to live."""
        until, token = self._tokens.get(user, (0.0, ""))
        if until < real_now().timestamp():
            token = (await login(self.identity.gateway, user, self.identity.password)).access
            self._tokens[user] = real_now().timestamp() + 180, token
        return token

    async def ask(self, gateway: int, path: str, browser: FormBrowser | None = None, **more: Any) -> httpx.Response:
        """One request to one of the two gateways, with a browser's cookies; redirects are not followed."""
        cookies = browser.cookies(self.origin) if browser else {}
        headers = {**self.host, "cookie": "; ".join(f"{k}={v}" for k, v in cookies.items()), **more.pop("headers", {})}
        async with httpx.AsyncClient(trust_env=False, timeout=30, base_url=self.gateways[gateway]) as http:
            return await http.request(more.pop("method", "GET"), path, headers=headers, **more)

    async def is_logged_in(self, browser: FormBrowser, gateway: int = 0) -> bool:
        answer = await self.ask(gateway, "/auth/session", browser)
        return bool(answer.raise_for_status().json()["logged_in"])

    async def login(self, user: str) -> FormBrowser:
        """A browser that is logged in at the gateway; the caller closes it."""
        browser = FormBrowser()
        page = await browser.get(f"{self.origin}/auth/login")
        await browser.fill_login(page, user, self.identity.password)
        assert SESSION in browser.cookies(self.origin), page.text[:300]
        return browser

    async def session_row(self, browser: FormBrowser) -> dict[str, Any] | None:
        connection = await asyncpg.connect(self.urls["gateway"].owner)
        try:
            secret = browser.cookies(self.origin)[SESSION]
            row = await connection.fetchrow("SELECT * FROM session WHERE id = $1", row_id(secret))
        finally:
            await connection.close()
        return dict(row) if row else None

    async def expire(self, browser: FormBrowser, left: timedelta = timedelta(seconds=-1)) -> datetime:
        """Let the access token of a session run out; return its new end."""
        end = real_now() + left
        connection = await asyncpg.connect(self.urls["gateway"].owner)
        try:
            sql = "UPDATE session SET access_expires_at = $2 WHERE id = $1"
            await connection.execute(sql, row_id(browser.cookies(self.origin)[SESSION]), end)
        finally:
            await connection.close()
        return end

    def kill(self, program: str) -> None:
        """At once, with nothing put in order."""
        process = processes.find(self.house.state_dir, program)
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        while processes.find(self.house.state_dir, program):
            processes.reap()
            time.sleep(0.01)

    def revive(self, program: str) -> None:
        """Start it again as it was."""
        processes.restart_dead(self.house.state_dir, {})
        wait_ready(f"http://127.0.0.1:{self.second_port if program == 'gateway-2' else self.house.ports[program]}")


def wait_ready(url: str) -> None:
    """Until a program answers."""
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError(f"{url} is not ready")


def plant_key(identity: Identity) -> jwk.JWK:
    """Give the realm a second signing key that we hold: what it signs, Keycloak might have signed."""
    key = jwk.JWK.generate(kty="RSA", size=2048, use="sig", alg="RS256")
    with identity.admin() as admin:
        realm = admin.get("").json()
        config = {
            "priority": ["1"], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"],
            "privateKey": [key.export_to_pem(private_key=True, password=None).decode()],
        }  # fmt: skip
        body = {
            "name": "stolen", "providerId": "rsa", "providerType": "org.keycloak.keys.KeyProvider",
            "parentId": realm["id"], "config": config,
        }  # fmt: skip
        admin.post("/components", json=body).raise_for_status()
        shown = admin.get("/keys").json()["keys"]
    modulus = key.export_public(as_dict=True)["n"]
    certs = httpx.get(f"{identity.issuer}/protocol/openid-connect/certs", trust_env=False).json()["keys"]
    (kid,) = (each["kid"] for each in certs if each.get("n") == modulus)
    assert kid in {each.get("kid") for each in shown}
    return jwk.JWK(**(key.export(as_dict=True) | {"kid": kid}))


@contextmanager
def running_house(identity: Identity, cluster: Cluster, folder: Path) -> Iterator[Attacked]:
    """Start everything; what it leaves in Keycloak is the planted key."""
    made = plan.make_house(folder, prefer={})
    gateway_port, back_port = identity.house_ports
    house = replace(made, ports=made.ports | {"gateway": gateway_port}, secrets=made.secrets | identity.env)
    keycloak_port = identity.ports[0]
    second, *tap_ports = free_ports(6, made.ports.values())
    with ExitStack() as stack:
        urls = {name: stack.enter_context(cluster.database(name)) for name in plan.DATABASES}
        programs = (*SERVICES, "gateway", "gateway-2")
        taps = {
            name: stack.enter_context(tapped(port, keycloak_port))
            for name, port in zip(programs, tap_ports, strict=True)
        }
        stolen = plant_key(identity)
        back = stack.enter_context(tapped(back_port, gateway_port))
        stack.callback(processes.end_all, folder)
        for name in programs:
            service, port = name.removesuffix("-2"), second if name.endswith("-2") else house.ports[name]
            env = plan.service_env(house, service, urls[service].app) | {
                f"{service.upper()}_ISSUER": identity.issuer,
                f"{service.upper()}_KEYCLOAK_URL": taps[name].origin,
            }
            program = plan._web(replace(house, ports=house.ports | {service: port}), service, env)
            processes.spawn(folder, name, program.command, env)
        attacked = Attacked(identity, house, second, taps, back, urls, stolen)
        for url in (*(house.url(name) for name in SERVICES), *attacked.gateways):
            wait_ready(url)
        yield attacked
