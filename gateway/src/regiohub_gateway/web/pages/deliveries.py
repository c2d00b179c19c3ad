"""For the county's administration: facts between the services that were given up, and their new start."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.web.api import Api, Refused, api_of
from regiohub_gateway.web.forms import read_form, visitor_of
from regiohub_gateway.web.render import go, page
from regiohub_shared.problem import Forbidden, NotFound, Problem

router = APIRouter(prefix="/county", include_in_schema=False)
_SERVICES = ("booking", "access", "billing")


def _county(request: Request) -> None:
    if not visitor_of(request).is_county:
        raise Forbidden


async def _of(api: Api, service: str) -> dict[str, object]:
    """One service's dead letters; None when it does not answer, so that the others still show."""
    try:
        return {"service": service, "letters": (await api.get(service, "/v1/dead-letters"))["items"]}
    except (Refused, Problem):
        return {"service": service, "letters": None}


@router.get("/deliveries")
async def deliveries_page(request: Request) -> Response:
    """What was given up, service by service."""
    _county(request)
    api = api_of(request)
    return page(request, "county/deliveries", services=await asyncio.gather(*(_of(api, name) for name in _SERVICES)))


@router.post("/deliveries/{service}")
async def replay(request: Request, service: str) -> Response:
    """Start all of one service's anew."""
    await read_form(request)
    _county(request)
    if service not in _SERVICES:
        raise NotFound
    await api_of(request).send("POST", service, "/v1/dead-letters/replay", body={})
    return go(request, "/county/deliveries")
