"""What runs on one machine: ports, secrets, addresses, and each program with its environment."""

from __future__ import annotations

import base64
import importlib.util
import os
import secrets as random_secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from regiohub_local import keycloak, ports, postgres, processes, secret_file
from regiohub_shared.clock import real_now
from regiohub_shared.web.server import KEEP_ALIVE_S

HUBS = ("polch", "rieden", "andernach", "bendorf", "mayen")
SERVICES = ("booking", "access", "billing")
DATABASES = (*SERVICES, "gateway")
PORTS = (
    "gateway", "keycloak", "mail", "stripe", "smtp", "keycloak-management", "postgres", *SERVICES,
    *(f"{name}-worker" for name in SERVICES),
    *(f"reader-{hub}" for hub in HUBS), *(f"page-{hub}" for hub in HUBS),
)  # fmt: skip
PREFERRED = {"gateway": 8080, "keycloak": 8081, "mail": 8025, "stripe": 8420}
MAIL_FROM = "regiohub@example.org"
ROOT = Path(__file__).resolve().parents[4]
DEFAULT_STATE = ROOT / ".run"
STARTED_HERE = real_now()
HTTP = "regiohub_shared.web.server:BoundedHttp"
CONNECTIONS = "512"
"""What one program takes at once (its limit of open files is often 1024); more get 503 before they cost anything."""

GRACE = "12"
"""Seconds in which an API that was told to end finishes: a waiting sync takes 10. More than that ends by SIGKILL at 15."""


@dataclass(frozen=True, slots=True)
class Program:
    """A background program. `ready` is an address that answers 200 when it works; empty: its port is enough."""

    name: str
    command: list[str]
    env: dict[str, str]
    port: int = 0
    ready: str = ""


@dataclass(frozen=True, slots=True)
class House:
    """One installation on this machine: where everything is and what it knows."""

    state_dir: Path
    ports: dict[str, int]
    secrets: dict[str, str]

    def url(self, name: str) -> str:
        """Loopback address of a program, for programs."""
        return f"http://127.0.0.1:{self.ports[name]}"

    @property
    def origin(self) -> str:
        """Where people reach the gateway."""
        return f"http://localhost:{self.ports['gateway']}"

    @property
    def keycloak_origin(self) -> str:
        """Where people and programs reach Keycloak."""
        return os.environ.get("REGIOHUB_KEYCLOAK_URL", f"http://localhost:{self.ports['keycloak']}").rstrip("/")

    @property
    def issuer(self) -> str:
        """The realm as it stands in tokens."""
        return f"{self.keycloak_origin}/realms/{keycloak.REALM}"

    @property
    def mail_origin(self) -> str:
        """The mail sink's page."""
        return f"http://localhost:{self.ports['mail']}"

    @property
    def mail_dir(self) -> Path:
        """The mail sink's folder."""
        return self.state_dir / "mail"

    @property
    def stripe_origin(self) -> str:
        """The sandbox, for browsers and for billing."""
        return f"http://localhost:{self.ports['stripe']}"

    @property
    def has_sandbox(self) -> bool:
        """With a key of one's own, under either of its names, real Stripe is used instead."""
        return not (os.environ.get("BILLING_STRIPE_API_KEY") or os.environ.get("STRIPE_API_KEY"))

    def reader_page(self, hub: str) -> str:
        """The page that stands in for a hub's reader hardware."""
        return f"http://localhost:{self.ports[f'page-{hub}']}"

    @property
    def realm_env(self) -> dict[str, str]:
        """What fills the realm's placeholders."""
        known = {name: value for name, value in self.secrets.items() if name.startswith("RH_")}
        return known | {
            "RH_PUBLIC_ORIGIN": self.origin,
            "RH_GATEWAY_URL": self.url("gateway"),
            "RH_SMTP_HOST": "127.0.0.1",
            "RH_SMTP_PORT": str(self.ports["smtp"]),
            "RH_SMTP_FROM": MAIL_FROM,
        }


def make_house(state_dir: Path, *, prefer: Mapping[str, int] | None = None) -> House:
    """Choose ports and make secrets; what an earlier call chose stays."""
    state_dir = state_dir.resolve()
    state_dir.mkdir(parents=True, exist_ok=True)
    state_dir.chmod(0o700)  # it holds secrets, mails and books; other users of this machine have no part in them
    ignore = state_dir / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    chosen = ports.keep(
        state_dir / "ports.json", PORTS, PREFERRED if prefer is None else prefer, lambda name: _is_ours(state_dir, name)
    )
    return House(state_dir, chosen, _secrets(state_dir / "secrets.env"))


def _is_ours(state_dir: Path, port_name: str) -> bool:
    """Whether our own program listens on that port now."""
    if port_name == "postgres":
        return postgres.is_running(state_dir)
    holder = {"smtp": "mail", "keycloak-management": "keycloak"}.get(port_name, port_name)
    return processes.find(state_dir, holder) is not None


def _secrets(path: Path) -> dict[str, str]:
    realm = keycloak.realm()
    given = {"RH_PUBLIC_ORIGIN", "RH_GATEWAY_URL", "RH_SMTP_HOST", "RH_SMTP_PORT", "RH_SMTP_FROM"}
    names = [*(keycloak.placeholders(realm) - given), "RH_KEYCLOAK_ADMIN_PASSWORD"]
    names += [f"{name.upper()}_{role}_PASSWORD" for name in DATABASES for role in ("OWNER", "APP")]
    secret_file.ensure(path, names)
    return secret_file.add(
        path,
        {
            "ACCESS_SECRET_KEY": _key(),
            "GATEWAY_SESSION_KEY": _key(),
            "ACCESS_PASS_ISSUER": f"regiohub-{random_secrets.token_hex(4)}",
            "SANDBOX_API_KEY": f"sk_test_{random_secrets.token_hex(16)}",
            "SANDBOX_WEBHOOK_SECRET": f"whsec_{random_secrets.token_hex(16)}",
        },
    )


def _key() -> str:
    return base64.urlsafe_b64encode(random_secrets.token_bytes(32)).decode()


# ---------------------------------------------------------------- environments


def _own(prefix: str) -> dict[str, str]:
    """Settings that the caller's environment names for one program; they win."""
    return {key: value for key, value in os.environ.items() if key.startswith(prefix)}


def _for_all() -> dict[str, str]:
    """What every program of ours may inherit, with shifted time as it stands now."""
    env = {key: value for key, value in os.environ.items() if key.startswith(("REGIOHUB_", "OTEL_"))}
    env.pop(processes.MARK, None)
    if moment := env.get("REGIOHUB_NOW"):
        # Every program starts a little later than we: pass on the time that has gone by since.
        env["REGIOHUB_NOW"] = (datetime.fromisoformat(moment) + (real_now() - STARTED_HERE)).isoformat()
    return env


def service_env(house: House, name: str, database_url: str) -> dict[str, str]:
    """Environment of a service, its worker, or the gateway."""
    prefix = name.upper()
    values = {
        "ENVIRONMENT": "dev",
        "DATABASE_URL": database_url,
        "ISSUER": house.issuer,
        "KEYCLOAK_URL": house.keycloak_origin,
        "CLIENT_ID": f"regiohub-{name}",
        "CLIENT_SECRET": house.secrets[f"RH_{prefix}_SECRET"],
        "PUBLIC_ORIGIN": house.origin,
        **{f"{peer.upper()}_URL": house.url(peer) for peer in SERVICES if peer != name},
        **_special(house, name),
    }
    env = {f"{prefix}_{key}": value for key, value in values.items()}
    return _for_all() | env | _own(f"{prefix}_") | (_own("STRIPE_") if name == "billing" else {})


def _special(house: House, name: str) -> dict[str, str]:
    """What only one program needs."""
    mail = {"MAIL_HOST": "127.0.0.1", "MAIL_PORT": str(house.ports["smtp"]), "MAIL_FROM": f"RegioHub <{MAIL_FROM}>"}
    stripe = {
        "STRIPE_API_BASE": house.stripe_origin,
        "STRIPE_API_KEY": house.secrets["SANDBOX_API_KEY"],
        "STRIPE_WEBHOOK_SECRET": house.secrets["SANDBOX_WEBHOOK_SECRET"],
    }
    checkout = {"CHECKOUT_ORIGIN": house.stripe_origin}
    keys = {
        "booking": mail,
        "access": {"SECRET_KEY": house.secrets["ACCESS_SECRET_KEY"], "PASS_ISSUER": pass_issuer(house)},
        "billing": stripe if house.has_sandbox else {},
        "gateway": {"SESSION_KEY": house.secrets["GATEWAY_SESSION_KEY"], **(checkout if house.has_sandbox else {})},
    }
    return keys[name]


def pass_issuer(house: House) -> str:
    """The `iss` of this installation's passes."""
    return os.environ.get("ACCESS_PASS_ISSUER", house.secrets["ACCESS_PASS_ISSUER"])


def _reader_env(house: House, hub: str) -> dict[str, str]:
    return _for_all() | {
        "READER_HUB": hub,
        "READER_CLIENT_ID": f"reader-{hub}",
        "READER_CLIENT_SECRET": house.secrets[f"RH_READER_{hub.upper()}_SECRET"],
        "READER_TOKEN_URL": f"{house.issuer}/protocol/openid-connect/token",
        "READER_SYNC_URL": f"{house.origin}/api/access/v1/readers/reader-{hub}/sync",
        "READER_STATE_DIR": str(house.state_dir / "reader" / hub),
        "READER_PORT": str(house.ports[f"reader-{hub}"]),
        "READER_ISSUER": pass_issuer(house),
    }


# ---------------------------------------------------------------- programs


def programs(house: House, urls: Mapping[str, str]) -> list[Program]:
    """Everything that runs besides PostgreSQL and Keycloak; `urls` are the app roles' databases."""
    wanted = [_mail(house), *([_sandbox(house)] if house.has_sandbox else [])]
    for name in SERVICES:
        env = service_env(house, name, urls[name])
        wanted.append(_web(house, name, env))
        if _exists(f"regiohub_{name}.worker"):
            wanted.append(_worker(house, name, env))
    wanted.append(_web(house, "gateway", service_env(house, "gateway", urls["gateway"])))
    for hub in HUBS:
        wanted += _reader(house, hub)
    return wanted


def _exists(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _web(house: House, name: str, env: dict[str, str]) -> Program:
    port = house.ports[name]
    command = _python(
        "uvicorn", f"regiohub_{name}.main:app", "--factory", "--host", "127.0.0.1", "--port", str(port),
        "--http", HTTP, "--ws", "none", "--no-access-log", "--no-server-header", "--no-proxy-headers",
        "--timeout-keep-alive", str(KEEP_ALIVE_S), "--limit-concurrency", CONNECTIONS, "--timeout-graceful-shutdown", GRACE,
    )  # fmt: skip
    return Program(name, command, env, port, f"http://127.0.0.1:{port}/readyz")


def _worker(house: House, name: str, env: dict[str, str]) -> Program:
    port = house.ports[f"{name}-worker"]
    command = _python(f"regiohub_{name}.worker", "--port", str(port))
    return Program(f"{name}-worker", command, env, port, f"http://127.0.0.1:{port}/readyz")


def _mail(house: House) -> Program:
    port = house.ports["mail"]
    command = _python("regiohub_local", "mail-sink", str(house.mail_dir), str(house.ports["smtp"]), str(port))
    return Program("mail", command, {}, port, f"http://127.0.0.1:{port}/healthz")


def _sandbox(house: House) -> Program:
    port = house.ports["stripe"]
    env = {
        "SANDBOX_PORT": str(port),
        "SANDBOX_STATE_DIR": str(house.state_dir / "stripe"),
        "SANDBOX_API_KEY": house.secrets["SANDBOX_API_KEY"],
        "SANDBOX_WEBHOOK_SECRET": house.secrets["SANDBOX_WEBHOOK_SECRET"],
        "SANDBOX_WEBHOOK_URL": f"{house.origin}/api/billing/v1/webhooks/stripe",
        "SANDBOX_ORIGIN": house.stripe_origin,
    }
    command = _python("regiohub_local.stripe_sandbox")
    return Program("stripe", command, env | _own("SANDBOX_"), port, f"http://127.0.0.1:{port}/healthz")


def _reader(house: House, hub: str) -> list[Program]:
    """The reader program and, beside it, the page that stands in for its hardware."""
    found = []
    if _exists("regiohub_access.reader.__main__"):
        port = house.ports[f"reader-{hub}"]
        found.append(Program(f"reader-{hub}", _python("regiohub_access.reader"), _reader_env(house, hub), port))
    if _exists("regiohub_local.reader_page"):
        port = house.ports[f"page-{hub}"]
        env = {"HUB": hub, "READER_PAGE_PORT": str(port), "READER_URL": house.url(f"reader-{hub}")}
        found.append(Program(f"page-{hub}", _python("regiohub_local.reader_page"), _for_all() | env, port))
    return found
