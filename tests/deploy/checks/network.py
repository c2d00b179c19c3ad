"""The policies allow what docs/architecture.md lists, and nothing else; every address in a setting can be reached."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from tests.deploy.checks.settings import environment
from tests.deploy.connections_table import Edge, documented
from tests.deploy.manifests import MEMBERS, Manifests, Pod, label, matches
from tests.deploy.traffic import allowed, edges, half_open, looks_up, reached_world


def check(manifests: Manifests) -> list[str]:
    wanted, given = documented(), edges(manifests)
    found = [
        f"{_told(edge)} is allowed, but no connection of docs/architecture.md"
        for edge in sorted(half_open(manifests) - wanted)
    ]
    found += [
        f"{_told(edge)} stands in docs/architecture.md, but no policy allows it" for edge in sorted(wanted - given)
    ]
    return [*found, *_addresses(manifests), *_by_component(manifests), *_everyone(manifests), *_routes(manifests)]


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
        yield from _swapped(manifests, pods)


def _swapped(manifests: Manifests, pods: list[Pod]) -> Iterator[str]:
    """`…_BOOKING_URL` leads to booking."""
    given = {(key, value) for pod in pods for key, value in environment(manifests, pod).items()}
    for key, value in sorted(given):
        meant = key.removesuffix("_URL").rpartition("_")[2].lower()
        if key.endswith("_URL") and meant in MEMBERS and not (urlsplit(value).hostname or "").startswith(meant):
            yield f"{key} leads to {value}"


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


_CALLS_OUTSIDE = {("billing", "api"): {"Stripe"}, ("billing", "worker"): {"Stripe"}, ("booking", "worker"): {"SMTP"}}


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
        for name in sorted(_CALLS_OUTSIDE.get((pod.name, pod.component), set()) - reached_world(manifests, pod)):
            yield f"{pod.owner} does not reach {name}"


def _everyone(manifests: Manifests) -> Iterator[str]:
    """What no policy selects may do everything; and whoever calls by a name must look it up."""
    for way in ("Ingress", "Egress"):
        if not any(
            doc["spec"]["podSelector"] == {} and way in doc["spec"]["policyTypes"] and way.lower() not in doc["spec"]
            for doc in manifests.kind("NetworkPolicy")
        ):
            yield f"nothing denies {way} to a pod that no policy names"
    yield from (f"{pod.owner} may not ask DNS" for pod in manifests.pods() if not looks_up(manifests, pod))


def _routes(manifests: Manifests) -> Iterator[str]:
    """A route leads from outside to nobody but whom the table lets outsiders call."""
    for doc in manifests.kind("HTTPRoute"):
        for name in {backend["name"] for rule in doc["spec"]["rules"] for backend in rule["backendRefs"]}:
            service = manifests.find("Service", name)
            pods = manifests.selected({"matchLabels": service["spec"]["selector"]}) if service else []
            yield from (
                f"{label(doc)} leads outsiders to {pod.owner}"
                for pod in pods
                if ("outside", pod.name) not in documented()
            )
