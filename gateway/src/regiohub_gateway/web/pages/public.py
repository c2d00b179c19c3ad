"""Pages that need no login: start, hubs, search."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from regiohub_gateway.web import moments
from regiohub_gateway.web.api import Refused, api_of
from regiohub_gateway.web.forms import known_slug, whole_number
from regiohub_gateway.web.reads import (
    HubFree,
    HubOffers,
    days_from,
    desks_first,
    list_hubs,
    next_by_hub,
    offers_by_hub,
)
from regiohub_gateway.web.render import page
from regiohub_shared.clock import now
from regiohub_shared.problem import Unavailable

router = APIRouter(include_in_schema=False)
MINUTES = (30, 60, 90, 120, 180, 240, 300, 360, 480, 600, 720, 1440)


@dataclass(frozen=True, slots=True)
class Search:
    """What somebody looks for.

    ``choices`` are the two readings of a local time that the clocks show twice; ``instead`` is the time that there is
    in place of one that they skip.
    """

    hub: str
    date: str
    time: str
    minutes: int
    start: datetime | None = None
    error: str = ""
    choices: tuple[datetime, ...] = ()
    instead: datetime | None = None

    @property
    def end(self) -> datetime | None:
        """The slot's end, real minutes after its start."""
        return moments.after(self.start, self.minutes) if self.start else None


def read_search(request: Request) -> Search:
    """Return the search that the address asks for; without one, the next half hour for two hours."""
    query, soon = request.query_params, moments.next_step(now())
    wanted = Search(
        hub=query.get("hub", "")[:64],
        date=query.get("date") or soon.date().isoformat(),
        time=query.get("time") or soon.strftime("%H:%M"),
        minutes=whole_number(query.get("minutes", ""), low=1, high=1440) or 120,
    )
    return _with_start(wanted, query.get("fold", ""))


def _with_start(wanted: Search, fold: str) -> Search:
    common: dict[str, Any] = {"hub": wanted.hub, "date": wanted.date, "time": wanted.time, "minutes": wanted.minutes}
    try:
        day, clock = moments.read_day(wanted.date), moments.read_clock(wanted.time)
        start = moments.local(day, clock)
        moments.of_our_time(moments.after(start, wanted.minutes))
    except moments.NoSuchTime:
        return Search(**common, error="find.no_such_time", instead=moments.over_the_gap(day, clock))
    except moments.TwoSuchTimes as two:
        if fold in {"0", "1"}:
            return Search(**common, start=two.choices[int(fold)])
        return Search(**common, error="find.two_such_times", choices=two.choices)
    except ValueError:
        return Search(**common, error="find.bad_time")
    return Search(**common, start=start)


@router.get("/")
async def start_page(request: Request) -> Response:
    """Free desks of today per hub."""
    api = api_of(request)
    try:
        hubs: list[HubFree] | None = await desks_first(api, await list_hubs(api))
    except (Refused, Unavailable):
        hubs = None
    return page(request, "start", hubs=hubs, at=now().astimezone(moments.ZONE))


@router.get("/hubs/{slug}")
async def hub_page(request: Request, slug: str) -> Response:
    """A hub with its rooms, hours and what is free next."""
    api, slug = api_of(request), known_slug(slug)
    hub, resources = await asyncio.gather(
        api.get("booking", f"/v1/hubs/{slug}"), api.items("booking", f"/v1/hubs/{slug}/resources")
    )
    [free] = await desks_first(api, [hub])
    return page(request, "hub", hub=hub, resources=resources, free=free, at=now().astimezone(moments.ZONE))


@router.get("/find")
async def find_page(request: Request) -> Response:
    """Free rooms for a time, in one hub or all."""
    api, search = api_of(request), read_search(request)
    hubs = await list_hubs(api)
    chosen = [hub for hub in hubs if search.hub in ("", hub["slug"])]
    results: list[HubOffers] = []
    if search.start and search.end and chosen:
        results = await offers_by_hub(api, chosen, search.start, search.end)
    full = [result.hub for result in results if not result.offers]
    following = await next_by_hub(api, full, search.start, search.minutes) if search.start and full else {}
    refusals = {result.refusal for result in results}
    refusal = refusals.pop() if len(refusals) == 1 and len(full) == len(results) else ""
    days = days_from(now().astimezone(moments.ZONE).date(), 3)
    return page(
        request, "find", status=422 if search.error else 200,
        hubs=hubs, search=search, results=results, days=days, lengths=MINUTES, following=following, refusal=refusal,
    )  # fmt: skip
