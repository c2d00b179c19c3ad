"""The policies allow what docs/architecture.md lists, and nothing else; every address in a setting can be reached."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from tests.deploy.checks.settings import environment
from tests.deploy.connections_table import Edge, documented
from tests.deploy.manifests import MEMBERS, Manifests, Pod, matches
from tests.deploy.traffic import allowed, edges, half_open


def check(manifests: Manifests) -> list[str]:
    wanted, given = documented(), edges(manifests)
    found = [
        f"{_told(edge)} is allowed, but no connection of docs/architecture.md"
        for edge in sorted(half_open(manifests) - wanted)
    ]
    found += [
        f"{_told(edge)} stands in docs/architecture.md, but no policy allows it" for edge in sorted(wanted - given)
    ]
    return [*found, *_addresses(manifests), *_by_component(manifests)]


def _told(edge: Edge) -> str:
    return f"{edge[0]} → {edge[1]}"


def _addresses(manifests: Manifests) -> Iterator[str]:
    """An address names a Service, and somebody of this program may talk to its pods."""
    for name in (*MEMBERS, "keycloak"):
        pods = [pod for pod in manifests.pods() if pod.name == name]
        addresses = {
            value for pod in pods for key, value in environment(manifests, pod).items() if key.endswith("_URL")
        }
        for address in sorted(addresses):
            parts = urlsplit(address)
            if parts.scheme == "http":
                yield from (
                    f"{name}: {text}" for text in _address(manifests, pods, parts.hostname or "", parts.port or 80)
                )


def _address(manifests: Manifests, callers: list[Pod], host: str, port: int) -> Iterator[str]:
    service = manifests.find("Service", host)
    found = [p for p in service["spec"]["ports"] if p["port"] == port] if service else []
    if not service or not found:
        yield f"there is no Service {host} with port {port}"
        return
    selector = {"matchLabels": service["spec"]["selector"]}
    for target in manifests.selected(selector):
        inside = target.ports.get(found[0]["targetPort"])
        if inside and not any(allowed(manifests, caller, target, inside) for caller in callers):
            yield f"nobody may reach {target.owner} on {inside}"


_CALLS = {
    # A fact leaves by the worker; a user who waits is served by the API.
    ("booking", "worker"): ("access", "billing"),
    ("access", "worker"): ("booking",),
    ("billing", "worker"): ("booking",),
    ("access", "api"): ("booking",),
    ("billing", "api"): ("booking",),
    ("gateway", "api"): ("booking", "access", "billing"),
}


def _by_component(manifests: Manifests) -> Iterator[str]:
    """API and worker each reach what they call; each reaches Keycloak; all reach their own database."""
    for pod in manifests.programs():
        wanted = [*_CALLS.get((pod.name, pod.component), ()), *(["keycloak"] if pod.component != "migration" else [])]
        targets = [t for t in manifests.pods() if t.name in wanted and t.component in {"api", "identity"}]
        targets += [
            t for t in manifests.pods() if matches({"matchLabels": {"cnpg.io/cluster": f"{pod.name}-db"}}, t.labels)
        ]
        for target in targets:
            port = target.ports.get("postgresql", target.ports.get("http", 0))
            if not allowed(manifests, pod, target, port):
                yield f"{pod.owner} does not reach {target.owner}"
