"""``/healthz`` (alive), ``/readyz`` (own database and schema), ``/metrics`` (Prometheus)."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from pydantic import BaseModel
from sqlalchemy import text

from regiohub_shared.auth.keys import KeyCache
from regiohub_shared.clock import real_now
from regiohub_shared.db.database import Database
from regiohub_shared.db.migrate import head, is_behind
from regiohub_shared.log import get_logger
from regiohub_shared.problem import Unavailable
from regiohub_shared.web.errors import problems

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Check:
    """Asks what is degraded: an empty dict means all is well. It never unreadies us.

    ``names`` are the keys that it may return; each is a series of the gauge ``degraded``.
    """

    names: tuple[str, ...]
    ask: Callable[[], Awaitable[dict[str, Any]]]

    async def __call__(self) -> dict[str, Any]:
        """Ask."""
        return await self.ask()


class Stuck(Unavailable):
    """A loop of the process does not come back; a new process is needed."""

    type, title = "stuck", "A loop does not come back"


class NotReady(Unavailable):
    """The own database is away or its schema is older than the code."""

    type, title = "not-ready", "Not ready"


Read = Callable[[], Awaitable[None]]
"""Reads the values of some gauges anew, when Prometheus asks."""


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class Ready(BaseModel):
    """Ready; ``degraded`` lists what limps although we can serve."""

    status: Literal["ready", "degraded"]
    degraded: dict[str, Any]


_REVISION = text("SELECT version_num FROM alembic_version")
_OUTBOX = text(
    # The fact's age counts: next_at moves on with each failed attempt, so a dead subscriber would never look late.
    "SELECT count(*) FILTER (WHERE d.dead_at IS NOT NULL) AS dead, "
    "count(*) FILTER (WHERE d.dead_at IS NULL) AS pending, "
    "min(o.occurred_at) FILTER (WHERE d.dead_at IS NULL) AS oldest "
    "FROM outbox_delivery d JOIN outbox o ON o.id = d.outbox_id WHERE d.delivered_at IS NULL"
)
_LAG_S = 60.0
_READ_S = 3.0
_KEYS_OLD_S = 3600.0


async def outbox_state(db: Database) -> dict[str, float]:
    """Return counts of pending and dead deliveries and the age of the oldest pending fact in seconds."""
    async with db.session() as session:
        row = (await session.execute(_OUTBOX)).one()
    late = (real_now() - row.oldest).total_seconds() if row.oldest else 0.0
    return {"pending": row.pending, "dead": row.dead, "oldest_s": round(max(late, 0.0), 1)}


def outbox_gauges(db: Database, registry: CollectorRegistry) -> Read:
    """Register ``outbox_pending``, ``outbox_dead`` and ``outbox_oldest_seconds``; the returned function reads them anew."""
    pending = Gauge("outbox_pending", "Deliveries not yet taken", registry=registry)
    dead = Gauge("outbox_dead", "Dead letters", registry=registry)
    oldest = Gauge("outbox_oldest_seconds", "Age of the oldest pending fact", registry=registry)

    async def read() -> None:
        state = await outbox_state(db)
        pending.set(state["pending"])
        dead.set(state["dead"])
        oldest.set(state["oldest_s"])

    return read


def outbox_check(db: Database) -> Check:
    """Return the check for services that emit facts: degraded by dead letters or by a fact that has waited for a minute."""

    async def ask() -> dict[str, Any]:
        state = await outbox_state(db)
        return {"outbox": state} if state["dead"] or state["oldest_s"] > _LAG_S else {}

    return Check(("outbox",), ask)


def keys_check(keys: KeyCache) -> Check:
    """Degraded while Keycloak's keys are older than an hour although calls keep asking for them."""

    async def ask() -> dict[str, Any]:
        old = _KEYS_OLD_S < keys.age_s < float("inf")
        return {"keys": {"age_s": round(keys.age_s)}} if old else {}

    return Check(("keys",), ask)


async def _degraded(checks: Sequence[Check]) -> dict[str, Any]:
    """Ask all checks; one that fails is itself a limp, never an error."""
    found: dict[str, Any] = {}
    for check in checks:
        try:
            async with asyncio.timeout(1.0):
                found |= await check()
        except Exception as error:  # noqa: BLE001 - whatever fails, the work goes on and is tried again
            _log.warning("check_failed", error=type(error).__name__)
            found.setdefault("failed_checks", []).append(type(error).__name__)
    return found


async def _check_schema(db: Database, expected: str) -> None:
    try:
        async with asyncio.timeout(1.0), db.session() as session:
            found = (await session.execute(_REVISION)).scalar_one_or_none()
    except Exception as error:
        raise NotReady("The database does not answer.") from error
    if is_behind(found, expected):
        raise NotReady("The database's schema is not the one that this code needs.", found=found, expected=expected)


def _degraded_gauge(checks: Sequence[Check], registry: CollectorRegistry) -> Read:
    """Register the gauge ``degraded``, 1 for what limps; each name that there is has a series."""
    gauge = Gauge("degraded", "What limps, as in the body of /readyz", ("name",), registry=registry)
    names = [*(name for check in checks for name in check.names), "failed_checks"]
    for name in names:
        gauge.labels(name)

    async def read() -> None:
        found = await _degraded(checks)
        for name in names:
            gauge.labels(name).set(name in found)

    return read


def health_router(
    db: Database,
    migrations: Path,
    checks: Sequence[Check],
    registry: CollectorRegistry,
    *,
    gauges: Sequence[Read] = (),
    stuck: Callable[[], list[str]] = list,
) -> APIRouter:
    """Return the three routes; ``checks`` feed the body of ``/readyz``, ``stuck`` names loops that ``/healthz`` misses."""
    router = APIRouter(tags=["operations"])
    expected = head(migrations)
    readers = [*gauges, _degraded_gauge(checks, registry)]

    @router.get("/healthz", summary="Is the process alive?")
    async def healthz() -> Alive:
        """No database, no neighbour: only that we answer."""
        if loops := stuck():
            raise Stuck(loops=loops)
        return Alive(status="alive")

    @router.get("/readyz", summary="Can it serve?", responses=problems(NotReady))
    async def readyz() -> Ready:
        """Own database and schema decide; the rest is told, not acted on."""
        await _check_schema(db, expected)
        degraded = await _degraded(checks)
        return Ready(status="degraded" if degraded else "ready", degraded=degraded)

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def metrics(_request: Request) -> Response:
        """Text format. Without its database the service still tells the rest."""
        for read in readers:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_READ_S):
                    await read()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
