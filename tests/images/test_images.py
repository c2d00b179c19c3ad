"""`make images`: each image runs as the cluster would run it, and nothing that the manifests forbid is possible in it."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.deploy.checks.ports import probes
from tests.deploy.checks.security import amount
from tests.deploy.checks.settings import environment
from tests.deploy.databases import bootstrap
from tests.deploy.manifests import MEMBERS, Manifests, Pod, render
from tests.images import inside
from tests.images.container import Running, podman, running
from tests.images.relay import socket_folder
from tests.support.pg import outside_loop

_READS_ITS_BODY = {"gateway": "/auth/backchannel-logout"}
"""What waits for the whole request before it refuses it; a service's is where facts arrive."""
_KILLED = 137
_MOUNTED = {"/tmp", "/dev/shm", "/dev/mqueue"}  # noqa: S108 - the pod's own; memory that every container runtime mounts
_MOUNT_POINTS = {"/tmp", "/etc", "/run", "/run/postgresql"}  # noqa: S108 - what podman makes to mount at


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


@pytest.mark.parametrize("member", MEMBERS)
def test_runs_as_the_cluster_would_run_it(manifests, cluster, database, member):
    outside_loop(bootstrap(cluster, manifests, member))
    migration = _pod(manifests, f"Job/{member}-migration")
    with running(migration, _environment(manifests, migration), database) as started:
        assert started.ends() == 0, started.logs()
        _has_written_nothing(started)

    api = _pod(manifests, f"Deployment/{member}-api")
    with running(api, _environment(manifests, api), database) as started:
        _answers_its_probes(started, api)
        _is_locked_down(started)
        _ends_without_losing_a_request(started, api)

    if worker := _pod(manifests, f"Deployment/{member}-worker"):
        with running(worker, _environment(manifests, worker), database) as started:
            _answers_its_probes(started, worker)
            _is_locked_down(started)
            _ends(started, worker)
            assert "worker_stopped" in started.logs()


@pytest.mark.parametrize("member", MEMBERS)
def test_whoever_takes_more_memory_than_the_limit_is_killed(manifests, database, member):
    pod = _pod(manifests, f"Deployment/{member}-api")
    limit = int(amount(pod.spec["containers"][0]["resources"]["limits"]["memory"]))
    with running(pod, {}, database, ["python", "-c", inside.FILL, str(limit)]) as started:
        assert (started.ends(), started.logs()) == (_KILLED, "half\n")


def _answers_its_probes(started: Running, pod: Pod) -> None:
    asked = [probe["httpGet"]["path"] for _, probe in probes(pod)]
    assert set(asked) == {"/healthz", "/readyz"}
    paths = [*asked, "/metrics"]
    assert started.says(inside.ASK, *paths).splitlines() == [f"{path} 200" for path in paths], started.logs()


def _is_locked_down(started: Running) -> None:
    assert set(started.says(inside.WHO).splitlines()) == {inside.LOCKED}
    assert set(started.says(inside.WRITABLE).splitlines()) == _MOUNTED
    assert started.says(inside.REACH, "127.0.0.1", "8000") == "connected"
    assert started.says(inside.REACH, "192.0.2.1", "443") == "ENETUNREACH"


def _ends_without_losing_a_request(started: Running, pod: Pod) -> None:
    """A request whose body is half there when SIGTERM comes gets its answer."""
    with started.inside(inside.SLOW, _READS_ITS_BODY.get(pod.name, "/internal/events")) as request:
        assert request.stdout.readline() == "begun\n"
        _ends(started, pod)
        assert request.stdout.read().startswith("HTTP/1.1 4")


def _ends(started: Running, pod: Pod) -> None:
    """By SIGTERM, in what the pause before it leaves of the grace; podman would kill then."""
    pause = pod.spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    grace = pod.spec["terminationGracePeriodSeconds"] - pause
    podman("stop", f"--time={grace}", started.name, timeout=grace + 30)
    state = started.state()
    # uvicorn ends by the signal that it was sent; a worker returns. Killed would be 137.
    assert (state["ExitCode"], state["OOMKilled"]) in {(0, False), (143, False)}, started.logs()
    _has_written_nothing(started)


def _has_written_nothing(started: Running) -> None:
    assert started.changed() <= _MOUNT_POINTS
