"""One public origin, one issuer and one Keycloak, however many places name them."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from regiohub_gateway.edge.hosts import Hosts
from regiohub_local.keycloak.realm_file import placeholders, realm
from tests.deploy.checks.settings import environment, load
from tests.deploy.manifests import Manifests, Pod


def check(manifests: Manifests) -> list[str]:
    return [*_differing(manifests), *_routes(manifests), *_realm(manifests), *_logout(manifests)]


def _values(manifests: Manifests, name: str) -> set[str]:
    """Return what the programs say under `<PROGRAM>_<NAME>`."""
    found = {environment(manifests, pod).get(f"{pod.name.upper()}_{name}") for pod in manifests.programs()}
    return {value for value in found if value}


def _keycloak(manifests: Manifests) -> Iterator[Pod]:
    return (pod for pod in manifests.pods() if pod.name == "keycloak")


def _differing(manifests: Manifests) -> Iterator[str]:
    origins, issuers = _values(manifests, "PUBLIC_ORIGIN"), _values(manifests, "ISSUER")
    for pod in _keycloak(manifests):
        env = environment(manifests, pod)
        origins |= {env["RH_PUBLIC_ORIGIN"]}
        issuers |= {f"{env['KC_HOSTNAME']}/realms/{realm()['realm']}"}
    yield from (
        f"{what} differ: {sorted(found)}"
        for what, found in (("origins", origins), ("issuers", issuers))
        if len(found) > 1
    )


def _routes(manifests: Manifests) -> Iterator[str]:
    """The hosts of the routes are those that the programs believe in."""
    wanted = {"gateway": _values(manifests, "PUBLIC_ORIGIN"), "keycloak": _values(manifests, "ISSUER")}
    for name, addresses in wanted.items():
        hosts = set((manifests.find("HTTPRoute", name) or {"spec": {}})["spec"].get("hostnames", ()))
        if hosts != {_host(address) for address in addresses}:
            yield f"HTTPRoute/{name} serves {sorted(hosts)}, the programs say {sorted(addresses)}"


def _host(address: str) -> Any:
    return urlsplit(address).hostname


def _realm(manifests: Manifests) -> Iterator[str]:
    """Every placeholder of the committed realm has a value, and every value a placeholder."""
    file = realm(demo=False)
    wanted, read = placeholders(file), set(re.findall(r"\$\{(RH_[A-Z0-9_]+)", json.dumps(file)))
    for pod in _keycloak(manifests):
        told = {name for name in environment(manifests, pod) if name.startswith("RH_")}
        yield from (f"{pod.owner}: the realm's {name} has no value" for name in sorted(wanted - told))
        yield from (f"{pod.owner}: the realm does not read {name}" for name in sorted(told - read))


def _logout(manifests: Manifests) -> Iterator[str]:
    """The gateway answers under the name by which Keycloak ends sessions; other names it refuses."""
    asked = {urlsplit(environment(manifests, pod)["RH_GATEWAY_URL"]).netloc for pod in _keycloak(manifests)}
    for pod in (pod for pod in manifests.programs() if pod.name == "gateway"):
        settings: Any = load(pod.name, environment(manifests, pod))
        hosts = Hosts(settings.public_origin, settings.internal_names)
        refused = (name for name in asked if not hosts.is_internal([(b"host", name.encode())]))
        yield from (f"{pod.owner} does not answer under {name}" for name in sorted(refused))
