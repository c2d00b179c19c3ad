"""A pod's container as podman starts it: the manifest's command, user, limits and mounts, and no network but its own."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.deploy.checks.security import amount
from tests.deploy.manifests import ROOT, Pod

_ENV = os.environ | {"CONTAINERS_CONF": str(ROOT / "deploy" / "images" / "containers.conf")}


def podman(*arguments: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["podman", *arguments], env=_ENV, capture_output=True, text=True, check=check, timeout=timeout
    )


def _locked_down(pod: Pod) -> list[str]:
    """The pod's security context and limits in podman's words."""
    container, user = pod.spec["containers"][0], pod.spec["securityContext"]
    limits, context = container["resources"]["limits"], container["securityContext"]
    memory = int(amount(limits["memory"]))  # without swap: podman would give as much again
    tmp = next(volume["emptyDir"]["sizeLimit"] for volume in pod.spec["volumes"] if "emptyDir" in volume)
    return [
        "--network=none", f"--user={user['runAsUser']}:{user['runAsGroup']}", "--pids-limit=256",
        *(f"--cap-drop={name}" for name in context["capabilities"]["drop"]),
        *(["--security-opt=no-new-privileges"] if not context["allowPrivilegeEscalation"] else []),
        *(["--read-only", "--read-only-tmpfs=false"] if context["readOnlyRootFilesystem"] else []),
        f"--memory={memory}", f"--memory-swap={memory}", f"--cpus={amount(limits['cpu'])}",
        f"--tmpfs=/tmp:rw,nosuid,nodev,size={int(amount(tmp))}",
    ]  # fmt: skip


def _image(named: str) -> str:
    """What deploy/images/build.sh has just built of that name: TAG may differ from the manifest's."""
    name, _, tag = named.rpartition(":")
    return f"localhost/{name}:{os.environ.get('TAG') or tag}"


@contextmanager
def running(
    pod: Pod, env: Mapping[str, str], database: Path, command: Sequence[str] | None = None
) -> Iterator["Running"]:
    """Start the pod's own command, or another under the same limits; what a killed run left under its name goes first."""
    container = pod.spec["containers"][0]
    told = [f"--env={name}={value}" for name, value in env.items()]
    name = "regiohub-trial-" + pod.owner.lower().replace("/", "-")
    podman(
        "run", "--detach", f"--name={name}", "--replace", *_locked_down(pod), *told,
        f"--volume={database}:/run/postgresql:ro", _image(container["image"]),
        *(command or [*container["command"], *container.get("args", ())]),
    )  # fmt: skip
    try:
        yield Running(name)
    finally:
        podman("rm", "--force", "--time=0", name)


class Running:
    """A started container; `inside` runs Python in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def inside(self, program: str, *told: str) -> subprocess.Popen[str]:
        command = ["podman", "exec", "--interactive", self.name, "python", "-", *told]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, env=_ENV, text=True, **pipes)
        process.stdin.write(program)
        process.stdin.close()
        return process

    def says(self, program: str, *told: str) -> str:
        with self.inside(program, *told) as process:
            return process.stdout.read().strip()

    def ends(self) -> int:
        """Wait for its own end and return its code."""
        return int(podman("wait", self.name).stdout)

    def logs(self) -> str:
        done = podman("logs", self.name)
        return done.stdout + done.stderr

    def state(self) -> dict[str, Any]:
        return json.loads(podman("inspect", self.name).stdout)[0]["State"]

    def changed(self) -> set[str]:
        """Paths that differ from the image; a mount is no part of it, but the place that it is mounted at may be new."""
        return {line.split(" ", 1)[1] for line in podman("diff", self.name).stdout.splitlines()}
