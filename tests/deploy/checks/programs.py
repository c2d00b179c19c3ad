"""Each container runs its own program from its own image, as its own role, and listens where its port says."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from regiohub_local.plan import HTTP
from regiohub_shared.web.server import KEEP_ALIVE_S
from tests.deploy.manifests import Manifests, Pod

_API = (
    f"--http={HTTP}", "--no-proxy-headers", "--no-server-header", "--ws=none", f"--timeout-keep-alive={KEEP_ALIVE_S}",
)  # fmt: skip
"""Without these an API waits for ever for a head, believes forged addresses, names its server, speaks what nobody asks, or
closes a connection as a caller writes on it."""


def check(manifests: Manifests) -> list[str]:
    return [f"{pod.owner}: {text}" for pod in manifests.programs() for text in _of_program(pod)]


def _of_program(pod: Pod) -> Iterator[str]:
    container = pod.spec["containers"][0]
    if container["image"].rpartition("/")[2].partition(":")[0] != pod.name:
        yield f"runs the image {container['image']}"
    module = next((word for word in container["command"] if word.startswith("regiohub_")), "nothing of ours")
    if module.partition(".")[0] != f"regiohub_{pod.name}":
        yield f"runs {module}"
    yield from _roles(pod, container.get("env", ()))
    args = container.get("args", [])
    if pod.ports:
        wanted = [f"--port={pod.ports['http']}", "--host=0.0.0.0", *(_API if pod.component == "api" else ())]
        yield from (f"is not told {word}" for word in wanted if word not in args)
        if pod.component == "api" and "--timeout-graceful-shutdown" not in map(_name, args):
            yield "is not told how long it may take to end"
    yield from (f"is told {one} and {other}" for one, other in pairwise(sorted(args)) if _name(one) == _name(other))


def _name(argument: str) -> str:
    return argument.partition("=")[0]


def _roles(pod: Pod, env: Any) -> Iterator[str]:
    """The role without DDL serves; the owner migrates, and only in the migration."""
    wanted = {"DATABASE_URL": "database"} | ({"MIGRATE_DATABASE_URL": "database-owner"} if not pod.ports else {})
    secrets = {f"{pod.name.upper()}_{key}": f"{pod.name}-{secret}" for key, secret in wanted.items()}
    given = {
        entry["name"]: entry["valueFrom"]["secretKeyRef"]["name"]
        for entry in env
        if entry["name"].endswith("DATABASE_URL") and "secretKeyRef" in entry.get("valueFrom", {})
    }
    if given != secrets:
        yield f"reads its database from {given}"
