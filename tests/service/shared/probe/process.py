"""The probe's programs as processes of their own; started by fork from a server that has the libraries loaded."""

import asyncio
import os
from pathlib import Path

LIBRARIES = [
    "pytest", "uvicorn", "uvicorn.protocols.http.httptools_impl", "uvicorn.lifespan.on", "uvloop", "asyncpg", "jwcrypto.jwt",
    "regiohub_shared.web.app", "regiohub_shared.web.health", "regiohub_shared.events.inbox",
    "regiohub_shared.events.relay", "regiohub_shared.events.worker", "regiohub_shared.idempotency",
]  # fmt: skip
"""What ``multiprocessing``'s fork server loads once. Nothing that reads the environment."""


def _become(env: dict[str, str], log: Path) -> None:
    os.environ.update(env)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)


def serve(env: dict[str, str], log: Path, port: int) -> None:
    """The service under uvicorn."""
    _become(env, log)
    import uvicorn  # noqa: PLC0415 - heavy or optional, loaded when needed

    os.environ["PROBE_LOG_LEVEL"] = "WARNING"
    uvicorn.run("tests.service.shared.probe.app:main", factory=True, port=port, log_level="warning")


def relay(env: dict[str, str], log: Path, _port: int) -> None:
    """The relay with short leases."""
    _become(env, log)
    asyncio.run(_relay())


async def _relay() -> None:
    # After the environment is set: tests.support.tokens reads its key from there.
    from regiohub_shared.db.database import Database  # noqa: PLC0415 - heavy or optional, loaded when needed
    from regiohub_shared.events.relay import Relay, RelayRules, Target  # noqa: PLC0415 - heavy or optional, loaded when needed
    from regiohub_shared.events.worker import run_loops  # noqa: PLC0415 - heavy or optional, loaded when needed
    from regiohub_shared.http.client import make_client  # noqa: PLC0415 - heavy or optional, loaded when needed
    from regiohub_shared.log import configure_logging  # noqa: PLC0415 - heavy or optional, loaded when needed
    from tests.service.shared.probe.app import CLIENT  # noqa: PLC0415 - heavy or optional, loaded when needed
    from tests.support import tokens  # noqa: PLC0415 - heavy or optional, loaded when needed

    configure_logging("probe-relay")
    # Never a dead letter here: the receiver is away more often than any real one.
    rules = RelayRules(lease_s=1.0, max_attempts=100_000, max_backoff_s=0.2)
    db = Database(os.environ["PROBE_DATABASE_URL"])
    client = make_client(os.environ["PROBE_RECEIVER_URL"], timeout_s=0.7)
    client.headers.update(tokens.bearer("service-account", "service", azp=CLIENT))
    await run_loops(Relay(db, "/probe", [Target("receiver", client)], rules).run)
    await client.aclose()
    await db.close()
