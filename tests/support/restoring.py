"""A backup of a street under load, the disaster, and the restored street: with the tools that an operator has."""

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from regiohub_access.reader.clock import make_clock
from regiohub_access.reader.decide import PassShown, PinTyped, Shown
from regiohub_access.reader.program import Reader
from regiohub_access.reader.settings import Settings
from regiohub_access.reader.store import Store
from regiohub_access.reader.sync import Syncer
from regiohub_access.rh1 import Proof, decode_base64url, present
from regiohub_local import backup, doctor, postgres, restore
from regiohub_local.postgres import Urls
from regiohub_local.tending import Run, run_program
from regiohub_shared import clock
from tests.service.access.world import HUB, READER, Phone
from tests.service.billing.world import KEY, SECRET
from tests.support.pg import Cluster, outside_loop
from tests.support.tokens import ISSUER, claims_for, sign
from tests.support.world_street import Street

SERVICES = ("booking", "access", "billing")


@dataclass
class Door:
    """The real reader of the hub: it lives through the disaster, with its memory."""

    reader: Reader
    store: Store
    syncer: Syncer
    street: Street | None

    async def sync(self) -> None:
        """Two rounds: what the first brings, the second reports."""
        await self.syncer.once()
        await self.syncer.once()

    def shows(self, shown: Shown) -> str:
        return str(self.reader.present(shown)["reason"])

    def shows_pass(self, minted: str, phone: Phone, *, later_s: int = 0) -> str:
        ts = int(clock.real_now().timestamp()) + later_s
        return self.shows(PassShown(1, present(decode_base64url(minted), phone.key, Proof(ts, 1, b"abcd"))))

    def types(self, pin: str) -> str:
        return self.shows(PinTyped(1, pin))


@contextmanager
def a_door(folder: Path, street: Street) -> Iterator[Door]:
    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            token = sign(claims_for("device", "lock-device", azp=READER))
            return httpx.Response(200, json={"access_token": token, "expires_in": 300})
        if made.street is None:
            raise httpx.ConnectError("access is away")
        return await httpx.ASGITransport(made.street.access.app).handle_async_request(request)

    settings = Settings(
        hub=HUB, client_id=READER, client_secret="s", token_url="http://keycloak/token",
        sync_url=f"http://access/v1/readers/{READER}/sync", state_dir=folder, port=0, issuer="test-installation",
    )  # fmt: skip
    store = Store(folder, issuer=settings.issuer, hub=HUB)
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    syncer = Syncer(settings, store, client, make_clock({}))
    made = Door(Reader(settings, store, syncer, make_clock({})), store, syncer, street)
    try:
        yield made
    finally:
        store.close()


@dataclass
class Elsewhere:
    """Where the backup is restored to: other databases of the same server, and each service's own tools."""

    cluster: Cluster
    sandbox_origin: str
    folder: Path
    urls: dict[str, Urls]

    lost: tuple[str, ...]
    """Which databases are restored; the others live on where they are."""

    def load(self, source: Path) -> None:
        for name in self.lost:
            postgres.load(self.urls[name].owner, source / f"{name}.dump")

    @property
    def run(self) -> Run:
        def run(service: str, program: str, *arguments: str, check: bool = True) -> str:
            return run_program(self._env(service), service, program, *arguments, check=check)

        return run

    def reconcile(self, backup_at: str, *numbers: str) -> None:
        restore.reconcile(self.run, self.folder, backup_at, numbers, self.lost)

    def examine(self) -> tuple[str, bool]:
        return doctor.examine(self.run, self.folder)

    def _env(self, service: str) -> dict[str, str]:
        own = {
            "DATABASE_URL": self.urls[service].app, "MIGRATE_DATABASE_URL": self.urls[service].owner, "ISSUER": ISSUER,
            "SECRET_KEY": base64.urlsafe_b64encode(bytes(32)).decode(), "PASS_ISSUER": "test-installation",
            "STRIPE_API_BASE": self.sandbox_origin, "STRIPE_API_KEY": KEY, "STRIPE_WEBHOOK_SECRET": SECRET,
        }  # fmt: skip
        return os.environ | {f"{service.upper()}_{name}": value for name, value in own.items()}


def back_up(street: Street, folder: Path) -> backup.Backup:
    """`make backup` on the street's databases, in its order."""
    urls = street.urls | {"gateway": street.urls["access"]}
    return backup.make(urls, folder)


@contextmanager
def elsewhere(
    cluster: Cluster, street: Street, sandbox_origin: str, folder: Path, lost: tuple[str, ...] = SERVICES
) -> Iterator[Elsewhere]:
    """Empty databases for what was lost, provisioned as an operator does it, with the passwords that the roles have."""
    folder.mkdir()
    names, urls = [], dict(street.urls)
    try:
        for name in lost:
            old = street.urls[name]
            database = f"{urlsplit(old.app).path.removeprefix('/')}_elsewhere"
            words = {
                f"{name.upper()}_{role.upper()}_PASSWORD": str(urlsplit(getattr(old, role)).password)
                for role in ("owner", "app")
            }
            names.append(database)
            urls[name] = outside_loop(postgres.provision(cluster.admin_url, name, words, database=database))
        yield Elsewhere(cluster, sandbox_origin, folder, urls, lost)
    finally:
        for database in names:
            outside_loop(postgres.drop(cluster.admin_url, database))
