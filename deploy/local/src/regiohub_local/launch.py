"""`make run`: start, seed, prove, print."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import time
from pathlib import Path

from regiohub_local import supervise
from regiohub_local.plan import HUBS, House

DEMO_USERS = (
    ("demo-mitglied@example.org", "books and pays"),
    ("demo-betrieb-bendorf@example.org", "runs the hub Bendorf"),
    ("demo-kasse-bendorf@example.org", "books for the town of Bendorf"),
    ("demo-kreiskasse@example.org", "sees the money of every town"),
    ("demo-kreis@example.org", "sees every hub's pages and failed deliveries; sets up hubs by the API"),
)
"""By their mail addresses, since Keycloak's form asks for one; the names before the @ work too."""


def run(state_dir: Path) -> House:
    """Start the house, seed the demo region, play one booking the first time, and print where everything is."""
    began = time.monotonic()
    house = supervise.start(state_dir)
    _call("seed", house)
    print(_receipt(house))
    print(summary(house))
    print(f"Ready after {time.monotonic() - began:.0f} s. `make stop` ends everything; logs: {house.state_dir / 'log'}")
    return house


def _receipt(house: House) -> str:
    """The proof booking of the first run; with real Stripe nobody pays by itself, so there is none yet."""
    kept = house.state_dir / "receipt.txt"
    if kept.exists():
        return kept.read_text()
    if not house.has_sandbox:
        return "No proof booking: with a real Stripe key a person has to pay.\n"
    text = f"{_call('proof', house)}\n"
    kept.write_text(text)
    return text


def _call(name: str, house: House) -> str:
    """Run `regiohub_local.<name>.run(house)`, a coroutine that answers what to print."""
    if importlib.util.find_spec(f"regiohub_local.{name}") is None:
        return ""
    module = importlib.import_module(f"regiohub_local.{name}")
    return str(asyncio.run(module.run(house)) or "")


def summary(house: House) -> str:
    """Addresses and demo logins."""
    lines = [
        "",
        f"  RegioHub        {house.origin}",
        f"  Mails           {house.mail_origin}",
        f"  Keycloak        {house.keycloak_origin}",
    ]
    if house.has_sandbox:
        lines.append(f"  Stripe          {house.stripe_origin} (sandbox)")
    lines += [f"  Door {hub:<10} {house.reader_page(hub)}" for hub in HUBS]
    lines += ["", f"  Demo logins (E-Mail), all with the password {house.secrets['RH_DEMO_PASSWORD']}"]
    return "\n".join([*lines, *(f"    {user:<36}{what}" for user, what in DEMO_USERS), ""])
