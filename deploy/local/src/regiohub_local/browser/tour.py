"""The walk past every stop, in both languages and widths."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from playwright.async_api import Page

from regiohub_local.browser import stage
from regiohub_local.browser.people import People
from regiohub_local.browser.stops import AWAY, LIFE, NO_BOOKING, NOTHING, ONE_HUB, PAPERS, Stop
from regiohub_local.plan import House

WIDTHS, LANGUAGES = (1280, 320), ("de", "en")


@dataclass(frozen=True, slots=True)
class View:
    """A page as it stands before the visitor."""

    stop: Stop
    language: str
    width: int

    @property
    def is_paper(self) -> bool:
        """Whether nothing of it may hide in a box that scrolls: figures that people do not find, they miss."""
        return self.stop.page in PAPERS

    @property
    def name(self) -> str:
        """Name of a picture of it."""
        return f"{self.stop.page}-{self.stop.state}-{self.width}-{self.language}"


async def stages(house: House) -> AsyncIterator[tuple[Sequence[Stop], stage.Facts]]:
    """The five stages of a house in which nothing is yet, with their stops and facts."""
    yield NOTHING, {}
    yield ONE_HUB, await stage.set_up_one_hub(house)
    facts = await stage.furnish(house)
    yield LIFE, facts
    await stage.take_away(house, "booking")
    yield NO_BOOKING, facts
    await stage.take_away(house, "access", "billing")
    yield AWAY, facts


Visit = Callable[[Page, View], Awaitable[list[str]]]


async def go(people: People, origin: str, stops: Iterable[Stop], facts: Mapping[str, str], visit: Visit) -> list[str]:
    """Show every stop to the visitor in both languages and widths; answers what was found wrong."""
    by_user: dict[str, list[Stop]] = defaultdict(list)
    for stop in stops:
        by_user[stop.user].append(stop)
    turn = asyncio.Semaphore(3)  # more than the processors gain nothing

    async def walk(user: str, own: list[Stop]) -> list[str]:
        async with turn:
            page = await people.page(user)
            try:
                return [fault for stop in own for fault in await _show(page, origin, stop, facts, visit)]
            finally:
                await page.close()

    found = await asyncio.gather(*(walk(user, own) for user, own in by_user.items()))
    return [fault for faults in found for fault in faults] + people.watch.take()


def _address(stop: Stop, language: str) -> str:
    if stop.page in PAPERS:
        return f"{stop.path}?lang={language}"
    return f"/en{stop.path}" if language == "en" else stop.path


async def _show(page: Page, origin: str, stop: Stop, facts: Mapping[str, str], visit: Visit) -> list[str]:
    faults = []
    for language in LANGUAGES:
        await page.set_viewport_size({"width": WIDTHS[0], "height": 800})
        await page.goto(f"{origin}{_address(stop, language).format(**facts)}")
        if stop.act:
            await stop.act(page)
        if await page.get_attribute("html", "lang") != ("de" if stop.page in PAPERS else language):
            faults.append(f"{stop.page}-{stop.state}: the page is not in {language}")
        for width in WIDTHS:
            view = View(stop, language, width)
            await page.set_viewport_size({"width": width, "height": 800})
            faults += [f"{view.name}: {fault}" for fault in await visit(page, view)]
    return faults
