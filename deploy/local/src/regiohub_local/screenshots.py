"""`make screenshots`: every page × state × width × language as a picture, from a house of its own.

Ends with 1 when a picture is missing, a page scrolls sideways at 320 px or a target is smaller than 24 px.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

from playwright.async_api import Page

from regiohub_local import throwaway
from regiohub_local.browser import checks, chromium, stops, tour
from regiohub_local.browser.people import People
from regiohub_local.plan import House


def main(state_dir: Path) -> int:
    """Make the pictures in `screenshots` of the state folder; answers 1 when something does not hold."""
    began, path = time.monotonic(), chromium.find()  # before the house: without a browser there is nothing to wait for
    print(f"Chromium: {path}")
    target = state_dir.resolve() / "screenshots"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with throwaway.running_house("screenshots", {"GATEWAY_LOGINS_PER_MINUTE": "600"}) as house:
        faults = asyncio.run(_take(house, target))
    faults += [f"missing: {name}" for name in _missing(target)]
    print(*faults, sep="\n")
    print(
        f"{len(list(target.glob('*.png')))} pictures in {target}, {len(faults)} faults, {time.monotonic() - began:.0f} s"
    )
    return 1 if faults else 0


def _missing(target: Path) -> list[str]:
    views = [tour.View(stop, lang, width) for stop in stops.ALL for lang in tour.LANGUAGES for width in tour.WIDTHS]
    return stops.gaps() + [view.name for view in views if not (target / f"{view.name}.png").exists()]


async def _take(house: House, target: Path) -> list[str]:
    async def visit(page: Page, view: tour.View) -> list[str]:
        await page.screenshot(path=target / f"{view.name}.png", full_page=True, animations="disabled")
        return await checks.faults(page, is_paper=view.is_paper)

    async with chromium.running() as browser:
        people = People(browser, house)
        faults = []
        try:
            async for part, facts in tour.stages(house):
                print(
                    f"Pages: {len(part)} in {len(tour.LANGUAGES)} languages and {len(tour.WIDTHS)} widths …",
                    flush=True,
                )
                faults += await tour.go(people, house.origin, part, facts, visit)
        finally:
            await people.close()
    return faults
