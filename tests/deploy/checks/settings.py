"""Each program's environment, as the cluster would give it, makes its Settings; no name is unknown, no address local."""

import importlib
import os
from collections.abc import Iterator
from typing import Any
from unittest import mock

from pydantic import AliasChoices, SecretStr, ValidationError

from regiohub_shared.settings import ServiceSettings
from tests.deploy.manifests import Manifests, Pod, secret_values

_LIBRARIES = {"PGSSLMODE", "PGSSLROOTCERT", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}
"""What asyncpg and OpenTelemetry read by themselves."""


def check(manifests: Manifests) -> list[str]:
    return [f"{pod.owner}: {text}" for pod in manifests.programs() for text in _of_program(manifests, pod)]


def environment(manifests: Manifests, pod: Pod) -> dict[str, str]:
    """Return the last container's variables; a reference that leads nowhere is for another check to find."""
    secrets, found = secret_values(), {}
    container = pod.containers[-1]
    for source in container.get("envFrom", ()):
        config_map = manifests.find("ConfigMap", source.get("configMapRef", {}).get("name", "")) or {}
        found |= config_map.get("data", {}) | secrets.get(source.get("secretRef", {}).get("name", ""), {})
    for env in container.get("env", ()):
        reference = env.get("valueFrom", {}).get("secretKeyRef", {})
        missing = "postgresql://nobody@nowhere/nothing"
        found[env["name"]] = env.get("value") or secrets.get(reference.get("name"), {}).get(
            reference.get("key"), missing
        )
    return found


def settings_class(member: str) -> type[ServiceSettings]:
    return importlib.import_module(f"regiohub_{member}.settings").Settings


def known_names(member: str) -> set[str]:
    """Return the names that the program reads."""
    found = set()
    for name, field in settings_class(member).model_fields.items():
        alias = field.validation_alias
        found |= (
            {str(choice) for choice in alias.choices}
            if isinstance(alias, AliasChoices)
            else {f"{member}_{name}".upper()}
        )
    return found


def load(member: str, env: dict[str, str]) -> ServiceSettings:
    with mock.patch.dict(os.environ, env, clear=True):
        return settings_class(member)()


def _of_program(manifests: Manifests, pod: Pod) -> Iterator[str]:
    env = environment(manifests, pod)
    yield from (f"{name} is no setting" for name in sorted(env.keys() - known_names(pod.name) - _LIBRARIES))
    try:
        settings = load(pod.name, env)
    except ValidationError as error:
        yield from (f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
        return
    for name, value in settings:
        yield from (f"{name} {fault}" for fault in _faults(name, value))


def _faults(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, str) and ("localhost" in value or "127.0.0.1" in value):
        yield f"points at this very pod: {value}"
    if isinstance(value, SecretStr) and not value.get_secret_value() and not name.startswith("previous_"):
        yield "is empty"
