"""A worker's own small server: ``/healthz`` (its loops move), ``/readyz``, ``/metrics``; nothing else is asked of it."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from regiohub_shared.db.database import Database
from regiohub_shared.events.watch import Watch
from regiohub_shared.web.errors import install_error_handlers
from regiohub_shared.web.health import Check, health_router
from regiohub_shared.web.server import BoundedHttp

_KEEP_ALIVE_S = 1
"""Probes and Prometheus ask once in a while; a worker that ends does not wait for their unused connections."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where probes and Prometheus ask; port 0: nowhere."""

    host: str = "127.0.0.1"
    port: int = 0


NOWHERE = Address()


def address_from(arguments: Sequence[str] | None = None) -> Address:
    """Read ``--host`` and ``--port``, as uvicorn has them for an API."""
    parser = argparse.ArgumentParser(description="Runs until SIGTERM; settings come from the environment.")
    parser.add_argument("--host", default=NOWHERE.host)
    parser.add_argument("--port", type=int, default=0, help="for /healthz, /readyz and /metrics; 0: nowhere")
    given = parser.parse_args(arguments)
    return Address(given.host, given.port)


def operations_app(watch: Watch, db: Database, migrations: Path) -> FastAPI:
    """Return the app; ``migrations`` says which schema the code needs."""

    async def failing() -> dict[str, Any]:
        names = watch.failing()
        return {"loops_failing": names} if names else {}

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    install_error_handlers(app)
    checks = [Check(("loops_failing",), failing)]
    app.include_router(health_router(db, migrations, checks, watch.registry, stuck=watch.stuck))
    return app


class OperationsServer(uvicorn.Server):
    """uvicorn in the worker's own loop; signals are the worker's to hear."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the handlers alone."""
        yield


def operations_server(app: FastAPI, address: Address) -> OperationsServer:
    """Return a server that is run by ``serve()`` and ended by ``should_exit``."""
    config = uvicorn.Config(
        app, host=address.host, port=address.port, http=BoundedHttp, log_config=None, access_log=False, server_header=False,
        proxy_headers=False, ws="none", lifespan="off", limit_concurrency=32,
        timeout_keep_alive=_KEEP_ALIVE_S, timeout_graceful_shutdown=_KEEP_ALIVE_S + 1,
    )  # fmt: skip
    return OperationsServer(config)
