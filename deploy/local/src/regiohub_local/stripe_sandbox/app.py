"""The sandbox as an ASGI application."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from regiohub_local.stripe_sandbox import api, control, page, shapes, webhooks
from regiohub_local.stripe_sandbox.errors import StripeRefusal
from regiohub_local.stripe_sandbox.settings import Settings
from regiohub_local.stripe_sandbox.store import Store

_WEBHOOK_TIMEOUT_S = 10.0


def create_app(settings: Settings) -> FastAPI:
    """Return the sandbox with its books in ``settings.state_dir``."""
    shapes.warm_up()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.sandbox = api.Sandbox(settings=settings, store=Store(settings.state_dir))
        async with httpx.AsyncClient(timeout=_WEBHOOK_TIMEOUT_S, trust_env=False) as http:
            sender = asyncio.create_task(webhooks.run(app.state.sandbox, http))
            yield
            sender.cancel()
            with suppress(asyncio.CancelledError):
                await sender
        app.state.sandbox.store.close()

    app = FastAPI(title="Stripe sandbox", openapi_url=None, lifespan=lifespan)
    for router in (api.router, control.router, page.router):
        app.include_router(router)
    app.get("/healthz")(_healthy)
    app.middleware("http")(_name_request)
    # A name of somebody else's that points to this machine must not let a web page read or change the books.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=settings.hosts, www_redirect=False)
    app.exception_handler(StripeRefusal)(_refused)
    app.exception_handler(HTTPException)(_unrouted)
    app.exception_handler(RequestValidationError)(_malformed)
    app.exception_handler(ValidationError)(_malformed)
    return app


async def _healthy() -> dict[str, str]:
    return {"status": "ok"}


async def _name_request(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    request.state.request_id = f"req_{secrets.token_hex(7)}"
    return await call_next(request)


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, StripeRefusal)  # noqa: S101 - narrows the type; cannot fail
    return api.answer(refusal.status, refusal.body, request.state.request_id)


async def _unrouted(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    message = f"Unrecognized request URL ({request.method}: {request.url.path})."
    return await _refused(request, StripeRefusal(message, status=404 if status == 405 else status))


async def _malformed(request: Request, error: Exception) -> Response:
    return await _refused(request, StripeRefusal(f"Invalid request: {error}"))
