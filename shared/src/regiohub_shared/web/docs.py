"""API pages with assets from our own disk: FastAPI's default loads a CDN."""

from pathlib import Path

import swagger_ui_bundle
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles


def _assets() -> Path:
    vendor = Path(swagger_ui_bundle.__file__).parent / "vendor"
    return max(vendor.glob("swagger-ui-*"))


def install_docs(app: FastAPI) -> None:
    """Serve ``/docs`` and its assets."""
    app.mount("/docs/assets", StaticFiles(directory=_assets()), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url="/docs/assets/swagger-ui-bundle.js",
            swagger_css_url="/docs/assets/swagger-ui.css",
            swagger_favicon_url="/docs/assets/favicon-32x32.png",
        )
