"""Puts a wire of our own between each two programs of a house, by their settings."""

from __future__ import annotations

from dataclasses import replace

from regiohub_local import ports
from regiohub_local.chaos.links import Links
from regiohub_local.plan import House, Program

_ADDRESSES = (
    "_BOOKING_URL", "_ACCESS_URL", "_BILLING_URL", "_KEYCLOAK_URL", "_STRIPE_API_BASE", "_DATABASE_URL",
    "READER_TOKEN_URL",
)  # fmt: skip
"""Ends of the settings by which a program reaches another; public addresses stay as people know them."""
_PEERS = ("booking", "access", "billing", "keycloak", "stripe", "postgres")
ROOM = {
    "GATEWAY_HOLDS_PER_HOUR": "100000",
    "GATEWAY_REQUESTS_PER_MINUTE": "1000000",
    "GATEWAY_LOGINS_PER_MINUTE": "100000",
}
"""A few members do the work of a county: the limits per person and address are not what is tried here."""


def rewire(house: House, links: Links, programs: list[Program]) -> list[Program]:
    """Return the programs with every address of a peer led over a wire; the world reaches the gateway over one too."""
    wired = [replace(program, env=_wired(house, links, program)) for program in programs]
    return [_behind(house, links, program) if program.name == "gateway" else program for program in wired]


def _wired(house: House, links: Links, program: Program) -> dict[str, str]:
    return {
        key: _led(house, links, program.name, value) if key.endswith(_ADDRESSES) else value
        for key, value in program.env.items()
    }


def _led(house: House, links: Links, name: str, address: str) -> str:
    for peer in _PEERS:
        port = f":{house.ports[peer]}"
        if port in address:
            return address.replace(port, f":{links.open(f'{name} → {peer}', house.ports[peer])}")
    return address


def _behind(house: House, links: Links, gateway: Program) -> Program:
    """Move the gateway to a port that only its wire knows; the wire listens at the public one."""
    public, hidden = str(gateway.port), ports.free_ports(1, house.ports.values())[0]
    links.open("world → gateway", hidden, gateway.port)
    command = [str(hidden) if word == public else word for word in gateway.command]
    ready = gateway.ready.replace(f":{public}", f":{hidden}")
    return replace(gateway, command=command, port=hidden, ready=ready, env=gateway.env | ROOM)
