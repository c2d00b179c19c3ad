"""Loopback ports: free ones, kept ones, and whether one is taken."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

# Below the range from which the kernel takes ports for outgoing connections.
RANGE = range(20000, 30000)


def is_free(port: int) -> bool:
    """Whether we could listen there now (a connection in TIME_WAIT does not count as taken)."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port nobody listens on at this moment."""
    return free_ports(1)[0]


def free_ports(count: int, exclude: Iterable[int] = ()) -> list[int]:
    """`count` different ports that nobody listens on at this moment."""
    taken, found = set(exclude), list[int]()
    while len(found) < count:
        port = random.SystemRandom().choice(RANGE)
        if port not in taken and is_free(port):
            taken.add(port)
            found.append(port)
    return found


def keep(
    path: Path, names: Iterable[str], preferred: Mapping[str, int], is_ours: Callable[[str], bool]
) -> dict[str, int]:
    """The ports of `path`, one for each name, chosen once.

    A kept port that somebody else took meanwhile moves; `is_ours(name)` says that our own program holds it.
    """
    kept: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    chosen: dict[str, int] = {}
    for name in names:
        wishes = [kept[name]] if name in kept else []
        if wishes and is_ours(name):
            chosen[name] = wishes[0]
            continue
        wishes += [preferred[name]] if name in preferred else []
        usable = (port for port in wishes if port not in chosen.values() and is_free(port))
        chosen[name] = next(usable, None) or free_ports(1, [*chosen.values(), *kept.values()])[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps(chosen, indent=1))
    partial.replace(path)
    return chosen
