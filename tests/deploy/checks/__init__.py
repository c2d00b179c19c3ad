"""Each check looks at one kind of mistake and returns what it found, one sentence each."""

from collections.abc import Callable

from tests.deploy.checks import (
    connections,
    network,
    origins,
    ports,
    probes,
    programs,
    references,
    scaling,
    schemas,
    security,
    selectors,
    settings,
)  # fmt: skip
from tests.deploy.manifests import Manifests

CHECKS: dict[str, Callable[[Manifests], list[str]]] = {
    "schemas": schemas.check,
    "selectors": selectors.check,
    "ports": ports.check,
    "references": references.check,
    "settings": settings.check,
    "origins": origins.check,
    "probes": probes.check,
    "programs": programs.check,
    "network": network.check,
    "security": security.check,
    "scaling": scaling.check,
    "connections": connections.check,
}
