"""A pod's container as podman starts it: the manifest's command, user, limits and mounts, and no network but its own."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
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
    tmp = next(volume["emptyDir"]["sizeLimit"] for volume in pod.spec["volumes"] if "emptyDir" in volume)
    return [
        "--network=none", f"--user={user['runAsUser']}:{user['runAsGroup']}", "--pids-limit=256",
        *(f"--cap-drop={name}" for name in context["capabilities"]["drop"]),
        *(["--security-opt=no-new-privileges"] if not context["allowPrivilegeEscalation"] else []),
        *(["--read-only", "--read-only-tmpfs=false"] if context["readOnlyRootFilesystem"] else []),
        f"--memory={int(amount(limits['memory']))}", f"--cpus={amount(limits['cpu'])}",
        f"--tmpfs=/tmp:rw,nosuid,nodev,size={int(amount(tmp))}",
    ]  # fmt: skip


def arguments(pod: Pod, env: Mapping[str, str], database: Path) -> list[str]:
    """What stands after `podman run`."""
    container = pod.spec["containers"][0]
    told = [f"--env={name}={value}" for name, value in env.items()]
    return [
        *_locked_down(pod), *told, f"--volume={database}:/run/postgresql:ro",
        f"localhost/{container['image']}", *container["command"], *container.get("args", ()),
    ]  # fmt: skip


@contextmanager
def running(pod: Pod, env: Mapping[str, str], database: Path) -> Iterator["Running"]:
    started = podman("run", "--detach", *arguments(pod, env, database)).stdout.strip()
    try:
        yield Running(started)
    finally:
        podman("rm", "--force", "--time=0", started, check=False)


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

    def logs(self) -> str:
        done = podman("logs", self.name)
        return done.stdout + done.stderr

    def state(self) -> dict[str, Any]:
        return json.loads(podman("inspect", self.name).stdout)[0]["State"]

    def changed(self) -> list[str]:
        """Paths outside the mounts that differ from the image."""
        return podman("diff", self.name).stdout.split("\n")
