"""All pages of the site, and what they need of the app."""

from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from regiohub_gateway.web import errors
from regiohub_gateway.web.pages import (
    account,
    book,
    bookings,
    calendar,
    closures,
    deliveries,
    doors,
    finance,
    key,
    legal,
    move,
    operator,
    public,
    rooms,
)

_STATIC = Path(__file__).parent / "static"


class _Assets(StaticFiles):
    """Files of our own; browsers ask again after an hour, by ETag."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file or 404."""
        response = await super().get_response(path, scope)
        if response.status_code == 200:
            response.headers["Cache-Control"] = "public, max-age=3600"
        return response


def routers() -> list[APIRouter]:
    """Return the routers of all pages."""
    return [
        module.router
        for module in (
            public,
            account,
            book,
            calendar,
            bookings,
            move,
            key,
            operator,
            doors,
            rooms,
            closures,
            finance,
            deliveries,
            legal,
        )
    ]


def install(app: FastAPI) -> None:
    """Add static files and error pages; call it after the routers are in."""
    app.mount("/static", GZipMiddleware(_Assets(directory=_STATIC), minimum_size=1000), name="static")
    errors.install(app)
