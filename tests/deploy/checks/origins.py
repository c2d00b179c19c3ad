"""One public origin, one issuer and one Keycloak, however many places name them."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from regiohub_local.keycloak.realm_file import placeholders, realm
from tests.deploy.checks.settings import environment
from tests.deploy.manifests import Manifests, Pod


def check(manifests: Manifests) -> list[str]:
    return [*_differing(manifests), *_routes(manifests), *_realm(manifests)]


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
    """Every placeholder of the committed realm has a value."""
    for pod in _keycloak(manifests):
        missing = placeholders(realm(demo=False)) - environment(manifests, pod).keys()
        yield from (f"{pod.owner}: the realm's {name} has no value" for name in sorted(missing))
