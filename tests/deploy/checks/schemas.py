"""Every object fits its schema, unknown fields refused: Kubernetes' own for two versions, ours for custom kinds."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from tests.deploy.manifests import Manifests, label

VERSIONS = ("1.34", "1.37")
"""The oldest that the manifests ask for (docs/kubernetes.md) and the newest whose schemas we have."""


@cache
def custom() -> dict[str, Any]:
    """Schemas of the fields that we use, by `apiVersion/kind`; `make k8s-lint` checks against the operators' own."""
    return yaml.safe_load((Path(__file__).parents[1] / "custom_kinds.yaml").read_text())


def check(manifests: Manifests) -> list[str]:
    return [f"{label(doc)}: {found}" for doc in manifests.docs for found in _mistakes(doc)]


def _mistakes(doc: dict[str, Any]) -> list[str]:
    return list(_cached(json.dumps(doc)))


@cache
def _cached(text: str) -> tuple[str, ...]:
    """Loading a schema takes longer than everything else; a planted fault changes one object of seventy."""
    doc = json.loads(text)
    schema = custom().get(f"{doc['apiVersion']}/{doc['kind']}")
    if schema:
        return tuple(error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(doc))
    return tuple(found for version in VERSIONS if (found := _mistake(doc, version)))


def _mistake(doc: dict[str, Any], version: str) -> str:
    """Return the first mistake; a kind without a schema is one (the tool itself would only warn)."""
    try:
        kubernetes_validate.validate(doc, version, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return f"{version}: {error.message}"
    return ""
