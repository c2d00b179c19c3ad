"""`make images`: each image runs as the cluster would run it, and nothing that the manifests forbid is possible in it."""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.deploy.checks.ports import probes
from tests.deploy.checks.settings import environment
from tests.deploy.databases import bootstrap
from tests.deploy.manifests import MEMBERS, Manifests, Pod, render
from tests.images.container import Running, arguments, podman, running
from tests.images.relay import socket_folder
from tests.support.pg import outside_loop

_ASK = """
import sys, urllib.request, urllib.error
try:
    print(urllib.request.urlopen(f"http://127.0.0.1:8000{sys.argv[1]}", timeout=5).status)
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
except OSError as error:
    print(error)
"""
_WHO = """
import os
kept = ("CapEff", "NoNewPrivs", "Seccomp")
print(os.getuid(), *(line.split()[1] for line in open("/proc/1/status") if line.split(":")[0] in kept))
"""
_WRITE = """
import os
for place in ("/", "/opt/regiohub", "/etc", "/run", "/var/tmp", "/usr/local", "/home"):
    try:
        open(os.path.join(place, "written"), "w").close()
        print(place)
    except OSError:
        pass
"""
_SLOW = """
import socket, sys
line = socket.create_connection(("127.0.0.1", 8000), timeout=30)
head = f"POST {sys.argv[1]} HTTP/1.1\\r\\nHost: 127.0.0.1:8000\\r\\nContent-Type: application/x-www-form-urlencoded\\r\\n"
line.sendall(f"{head}Content-Length: 10\\r\\n\\r\\nhalf=".encode())
print("begun", flush=True)
line.settimeout(3)
try:
    print("answered before its end:", line.recv(4096))
except TimeoutError:
    line.settimeout(30)
    line.sendall(b"other")
    print(line.recv(4096).decode().split("\\r\\n")[0] or "nothing")
"""
_READS_ITS_BODY = {"gateway": "/auth/backchannel-logout"}
"""What waits for the whole request before it refuses it; a service's is where facts arrive."""


@pytest.fixture(scope="session")
def manifests() -> Manifests:
    return Manifests.of(render("prod"))


@pytest.fixture(scope="session")
def database(cluster, tmp_path_factory) -> Iterator[Path]:
    with socket_folder(tmp_path_factory.mktemp("socket"), urlsplit(cluster.admin_url).port) as folder:
        yield folder


def _pod(manifests: Manifests, owner: str) -> Pod | None:
    return next((pod for pod in manifests.pods() if pod.owner == owner), None)


def _environment(manifests: Manifests, pod: Pod) -> dict[str, str]:
    """The pod's own, with the mounted socket in the place of CloudNativePG's service."""
    env = {key: value for key, value in environment(manifests, pod).items() if not key.startswith("PGSSL")}
    for name in (f"{pod.name.upper()}_DATABASE_URL", f"{pod.name.upper()}_MIGRATE_DATABASE_URL"):
        if name in env:
            parts = urlsplit(env[name])
            login = parts.netloc.rpartition("@")[0]
            env[name] = f"postgresql://{login}@{parts.path}?host=/run/postgresql"
    return env


def _wait(started: Running, path: str) -> str:
    deadline, answer = time.monotonic() + 60, ""
    while answer != "200" and time.monotonic() < deadline:
        answer = started.says(_ASK, path)
        time.sleep(0.5)
    return answer


def _stop(started: Running, grace: int) -> float:
    """SIGTERM; podman would kill after the grace."""
    began = time.monotonic()
    podman("stop", f"--time={grace}", started.name, timeout=grace + 30)
    return time.monotonic() - began


@pytest.mark.parametrize("member", MEMBERS)
def test_runs_as_the_cluster_would_run_it(manifests, cluster, database, member):
    outside_loop(bootstrap(cluster, manifests, member))
    migration = _pod(manifests, f"Job/{member}-migration")
    done = podman("run", "--rm", *arguments(migration, _environment(manifests, migration), database), check=False)
    assert done.returncode == 0, done.stderr

    api = _pod(manifests, f"Deployment/{member}-api")
    with running(api, _environment(manifests, api), database) as started:
        for _, probe in probes(api):
            assert _wait(started, probe["httpGet"]["path"]) == "200", started.logs()
        _is_locked_down(started)
        _ends_without_losing_a_request(started, api)

    if worker := _pod(manifests, f"Deployment/{member}-worker"):
        with running(worker, _environment(manifests, worker), database) as started:
            _wait_for_log(started, "worker_started")
            for _, probe in probes(worker):
                assert _wait(started, probe["httpGet"]["path"]) == "200", started.logs()
            _is_locked_down(started)
            _ends(started, worker)
            assert "worker_stopped" in started.logs()


def _wait_for_log(started: Running, word: str) -> None:
    deadline = time.monotonic() + 60
    while word not in started.logs() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert word in started.logs()


def _is_locked_down(started: Running) -> None:
    user, capabilities, no_new_privileges, seccomp = started.says(_WHO).split()
    assert (user, int(capabilities, 16), no_new_privileges, seccomp) == ("10001", 0, "1", "2")
    assert started.says(_WRITE) == ""


def _ends_without_losing_a_request(started: Running, pod: Pod) -> None:
    """A request whose body is half there when SIGTERM comes gets its answer."""
    with started.inside(_SLOW, _READS_ITS_BODY.get(pod.name, "/internal/events")) as request:
        assert request.stdout.readline() == "begun\n"
        _ends(started, pod)
        assert request.stdout.read().startswith("HTTP/1.1 4")


def _ends(started: Running, pod: Pod) -> None:
    grace = pod.spec["terminationGracePeriodSeconds"]
    assert _stop(started, grace) < grace
    state = started.state()
    # uvicorn ends by the signal that it was sent; a worker returns. Killed would be 137.
    assert (state["ExitCode"], state["OOMKilled"]) in {(0, False), (143, False)}, started.logs()
    assert [line for line in started.changed() if line.split(" ")[-1] not in _MOUNT_POINTS] == []


_MOUNT_POINTS = {"", "/tmp", "/run", "/run/postgresql", "/etc"}  # noqa: S108 - where podman mounts, not where we write
