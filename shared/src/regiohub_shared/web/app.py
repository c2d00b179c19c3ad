"""One factory gives each service what every service owes its callers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry, ProcessCollector

from regiohub_shared.auth.verifier import Verifier, keycloak_client
from regiohub_shared.db.database import Database
from regiohub_shared.log import configure_logging
from regiohub_shared.problem import Forbidden, Malformed, Unauthorized
from regiohub_shared.settings import ServiceSettings
from regiohub_shared.tracing import make_tracer
from regiohub_shared.web.docs import install_docs
from regiohub_shared.web.errors import ProblemDocument, install_error_handlers, problems
from regiohub_shared.web.health import Check, Read, health_router, keys_check
from regiohub_shared.web.middleware import BodyLimit, RequestContext, RetrySerialization

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]


@dataclass(frozen=True, slots=True)
class AppSpec:
    """What a service adds to the common app."""

    name: str
    title: str
    routers: Sequence[APIRouter]
    migrations: Path
    lifespans: Sequence[Lifespan] = ()
    checks: Sequence[Callable[[FastAPI], Check]] = field(default=())
    gauges: Sequence[Callable[[Database, CollectorRegistry], Read]] = field(default=())


def make_verifier(settings: ServiceSettings) -> Verifier:
    """Return the verifier for this service's audience; keys come from Keycloak's back channel."""
    keycloak = keycloak_client(settings.keycloak_url, settings.realm, settings.client_id)
    return Verifier(issuer=settings.issuer, audience=settings.client_id, fetch_keys=keycloak.a_certs)


def _operation_id(route: APIRoute) -> str:
    return route.name


def create_app(
    spec: AppSpec, settings: ServiceSettings, *, db: Database | None = None, verifier: Verifier | None = None
) -> FastAPI:
    """Build a service; ``db`` and ``verifier`` are seams for tests.

    ``app.state`` holds ``db``, ``settings`` and ``verifier``.
    """
    configure_logging(spec.name, settings.log_level)
    database = db or Database(settings.database_url, pool_size=settings.pool_size)
    tracer = make_tracer(spec.name)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, tracer.close)
            stack.push_async_callback(database.close)
            for enter in spec.lifespans:
                await stack.enter_async_context(enter(app))
            yield

    app = FastAPI(
        title=spec.title, version="1", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False,
        responses=problems(Unauthorized, Forbidden, Malformed), generate_unique_id_function=_operation_id,
    )  # fmt: skip
    app.state.db, app.state.settings, app.state.verifier = database, settings, verifier or make_verifier(settings)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    app.state.metrics, app.state.tracer = registry, tracer
    # The last one added is the outermost.
    app.add_middleware(RetrySerialization)
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestContext, service=spec.name, registry=registry, tracer=tracer)
    install_error_handlers(app)
    install_docs(app)
    checks = [keys_check(app.state.verifier.keys), *(make(app) for make in spec.checks)]
    gauges = [make(database, registry) for make in spec.gauges]
    app.include_router(health_router(database, spec.migrations, checks, registry, gauges=gauges))
    for router in spec.routers:
        app.include_router(router)
    _declare_problems(app)
    return app


def _declare_problems(app: FastAPI) -> None:
    """Put the problem document into the schema, where :func:`problems` points, and drop FastAPI's own 422."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title, version=app.version, openapi_version="3.1.0", routes=app.routes, tags=app.openapi_tags
            )
            schemas = made.setdefault("components", {}).setdefault("schemas", {})
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            document = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= document.pop("$defs", {})
            schemas["ProblemDocument"] = document
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the schema
