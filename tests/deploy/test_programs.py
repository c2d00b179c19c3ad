"""The manifests' own SQL, commands and environment, run on a real PostgreSQL: what the cluster would start, starts."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import httpx
import pytest

from regiohub_local.ports import free_port
from regiohub_local.postgres.databases import ROLE_SETTINGS
from tests.deploy.checks.ports import probes
from tests.deploy.checks.settings import environment
from tests.deploy.databases import bootstrap, here
from tests.deploy.manifests import MEMBERS, Manifests, Pod
from tests.support.pg import Cluster, outside_loop


def _environment(manifests: Manifests, pod: Pod, cluster: Cluster) -> dict[str, str]:
    """Return the pod's own variables, with this server instead of CloudNativePG's."""
    env = environment(manifests, pod)
    for name in (f"{pod.name.upper()}_DATABASE_URL", f"{pod.name.upper()}_MIGRATE_DATABASE_URL"):
        if name in env:
            env[name] = here(cluster, env[name])
    kept = {key: value for key, value in env.items() if not key.startswith("PGSSL")}
    return {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"} | kept


def _command(pod: Pod, port: int = 0) -> list[str]:
    container = pod.containers[-1]
    assert container["command"][0] == "python"
    words = [*container["command"][1:], *container.get("args", ())]
    here = {"--host=0.0.0.0": "--host=127.0.0.1", "--port=8000": f"--port={port}"}
    return [sys.executable, *(here.get(word, word) for word in words)]


@contextmanager
def _running(pod: Pod, env: Mapping[str, str], port: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(_command(pod, port), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _answer(port: int, path: str) -> str:
    """Return the answer, asking again until it is 200, as a probe does."""
    deadline, answer = time.monotonic() + 60, ""
    while not answer.startswith("200") and time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            found = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5)
            answer = f"{found.status_code} {found.text}"
        time.sleep(0.2)
    return answer


def _ends(process: subprocess.Popen[bytes], grace: int) -> None:
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=grace)
    # uvicorn raises the signal again after its own end; a worker returns.
    assert process.returncode in {0, -signal.SIGTERM}, output.decode()[-2000:]


def _pod(manifests: Manifests, owner: str) -> Pod | None:
    return next((pod for pod in manifests.pods() if pod.owner == owner), None)


@pytest.mark.parametrize("member", MEMBERS)
def test_migrates_starts_answers_its_probes_and_ends(rendered, cluster, member):
    manifests = rendered["prod"]
    settings = outside_loop(bootstrap(cluster, manifests, member))
    assert settings == ROLE_SETTINGS

    migration = _pod(manifests, f"Job/{member}-migration")
    done = subprocess.run(
        _command(migration),
        env=_environment(manifests, migration, cluster),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    api, port = _pod(manifests, f"Deployment/{member}-api"), free_port()
    with _running(api, _environment(manifests, api, cluster), port) as process:
        for _, probe in probes(api):
            assert _answer(port, probe["httpGet"]["path"]).startswith("200")
        _ends(process, api.spec["terminationGracePeriodSeconds"])

    if worker := _pod(manifests, f"Deployment/{member}-worker"):
        port = free_port()
        with _running(worker, _environment(manifests, worker, cluster), port) as process:
            assert b"worker_started" in _first_line(process)
            for _, probe in probes(worker):
                assert _answer(port, probe["httpGet"]["path"]).startswith("200")
            assert "worker_heartbeat_timestamp_seconds{" in _answer(port, "/metrics")
            _ends(process, worker.spec["terminationGracePeriodSeconds"])


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    return process.stdout.readline()
