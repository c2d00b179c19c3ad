"""Legal pages (marked samples), the words behind each problem's address, and the API's description."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.web.render import page
from regiohub_gateway.web.texts import catalogue, has_text
from regiohub_shared.problem import NotFound

router = APIRouter(include_in_schema=False)


@router.get("/impressum")
@router.get("/datenschutz")
@router.get("/barrierefreiheit")
@router.get("/leichte-sprache")
@router.get("/lizenzen")
async def legal_page(request: Request) -> Response:
    """A sample text that the county replaces."""
    return page(request, "legal/" + request.url.path.strip("/"))


@router.get("/problems")
async def problems_page(request: Request) -> Response:
    """All problems that an answer can name."""
    names = sorted(key.removeprefix("problem.") for key in catalogue("de") if key.startswith("problem."))
    return page(request, "problems", names=names)


@router.get("/problems/{name}")
async def problem_page(request: Request, name: str) -> Response:
    """What a problem means and what helps."""
    if not has_text(f"problem.{name}"):
        raise NotFound
    return page(request, "problems", names=[name])


@router.get("/api-docs")
async def api_docs(request: Request) -> Response:
    """The public API, read in the browser."""
    return page(request, "api_docs")
