"""For people who keep a town's books: what waits, what was handed over, what does not match."""

import asyncio
from datetime import date

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.visitor import Visitor
from regiohub_gateway.web.api import Refused, api_of
from regiohub_gateway.web.forms import known_id, known_slug, read_form, visitor_of
from regiohub_gateway.web.reads import Json, find_operator_names, operator_names
from regiohub_gateway.web.render import go, page
from regiohub_shared.problem import BadRequest, Forbidden, NotFound

router = APIRouter(prefix="/finance", include_in_schema=False)
_NOBODY = "-"
"""Stands in an address for the town of money that belongs to none: the county clears it."""


def _finance(request: Request, operator: str = "") -> Visitor:
    visitor = visitor_of(request)
    if not ("county-finance" in visitor.roles or (visitor.operators and operator in ({""} | visitor.operators))):
        raise Forbidden
    return visitor


@router.get("")
async def operators_page(request: Request) -> Response:
    """The towns that this person books for; one opens at once."""
    return await _operators(request, _finance(request))


async def _operators(request: Request, visitor: Visitor, refused: Refused | None = None) -> Response:
    api, clearing = api_of(request), []
    if "county-finance" in visitor.roles:
        names, clearing = await asyncio.gather(
            operator_names(api), api.items("billing", "/v1/clearing", nobodys="true")
        )
        operators = sorted(names)
    else:
        names, operators = await find_operator_names(api), sorted(visitor.operators)
    is_news = refused is not None or _closed(request)
    if len(operators) == 1 and not clearing and not is_news:
        return go(request, f"/finance/{operators[0]}")
    return page(
        request, "finance/operators", status=refused.status if refused else 200,
        operators=operators, names=names, clearing=clearing, operator=_NOBODY, refused=refused, closed=_closed(request),
    )  # fmt: skip


def _closed(request: Request) -> bool:
    return "closed" in request.query_params


@router.get("/{operator}")
async def books_page(request: Request, operator: str) -> Response:
    """Preview, log and what does not match."""
    operator = known_slug(operator)
    visitor = _finance(request, operator)
    if operator == _NOBODY:
        return await _operators(request, visitor)
    return await _books(request, operator, None)


@router.post("/{operator}/exports")
async def export(request: Request, operator: str) -> Response:
    """Make an immutable batch of what the preview showed, or show what waits instead by now."""
    operator, form = known_slug(operator), await read_form(request)
    _finance(request, operator)
    body = {"operator": operator, "productive": form.has("productive")}
    if form.has("preview"):
        body["preview"] = form.values["preview"]
    try:
        headers = {"idempotency-key": form.key()}
        batch = (
            await api_of(request).send("POST", "billing", "/v1/exports", body=body, headers=headers, read_s=12.0)
        ).data
    except Refused as refused:
        if refused.status in {401, 403, 404}:
            raise
        return await _books(request, operator, refused)
    return go(request, f"/finance/{operator}/exports/{batch['id']}")


@router.post("/{operator}/clearing/{case_id}")
async def close_case(request: Request, operator: str, case_id: str) -> Response:
    """Close a case with a note; a failed refund may be tried again."""
    operator, case_id, form = known_slug(operator), known_id(case_id), await read_form(request)
    visitor = _finance(request, operator)
    body = {"note": form.text("note", longest=500), "retry_refund": form.has("retry")}
    if form.errors:
        raise BadRequest("the note is missing or too long")
    try:
        await api_of(request).send("POST", "billing", f"/v1/clearing/{case_id}/resolve", body=body)
    except Refused as refused:
        if refused.status != 409:
            raise
        if operator == _NOBODY:
            return await _operators(request, visitor, refused)
        return await _books(request, operator, refused)
    return go(request, "/finance?closed=1" if operator == _NOBODY else f"/finance/{operator}?closed=1")


@router.get("/{operator}/exports/{export_id}")
async def export_page(request: Request, operator: str, export_id: str) -> Response:
    """One batch: count, sum, check sum, file."""
    operator, export_id = known_slug(operator), known_id(export_id)
    _finance(request, operator)
    batch = await api_of(request).get("billing", f"/v1/exports/{export_id}")
    if batch["operator"] != operator:
        raise NotFound
    return page(request, "finance/export", operator=operator, batch=batch)


async def _books(request: Request, operator: str, refused: Refused | None) -> Response:
    api, query = api_of(request), {"operator": operator}
    real, test, log, clearing, names = await asyncio.gather(
        api.get("billing", "/v1/exports/preview", **query, productive="true"),
        api.get("billing", "/v1/exports/preview", **query, productive="false"),
        api.items("billing", "/v1/exports", **query),
        api.items("billing", "/v1/clearing", **query),
        find_operator_names(api),
    )
    return page(
        request, "finance/books", status=refused.status if refused else 200,
        operator=operator, name=names.get(operator, operator), previews=[_dated(real), _dated(test)], log=log, clearing=clearing, refused=refused, closed=_closed(request),
    )  # fmt: skip


def _dated(preview: Json) -> Json:
    """Return it with the days of its entries as days: they are no moments, and belong to no zone."""
    entries = [entry | {"posted_on": date.fromisoformat(entry["posted_on"])} for entry in preview["entries"]]
    return preview | {"entries": entries}
