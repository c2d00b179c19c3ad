"""The browser layer's tools: a house of its own, axe, the focus as a person at a keyboard sees it."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, Page

from regiohub_local import supervise, throwaway
from regiohub_local.plan import ROOT, House

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
LIMITS = {"GATEWAY_HOLDS_PER_HOUR": "200", "GATEWAY_LOGINS_PER_MINUTE": "600"}
"""A layer books more in an hour than a member may."""


@contextmanager
def running_house() -> Iterator[House]:
    """A whole house in a folder of its own on free ports, without the demo region; all of it goes afterwards."""
    with throwaway.running_house("browser", LIMITS) as house:
        yield house


# ---------------------------------------------------------------- axe


@cache
def _axe() -> str:
    return AXE.read_text(encoding="utf-8")


incomplete: Counter[tuple[str, str]] = Counter()
"""What axe could not decide, by rule and element; the run lists it for people to look at."""


async def axe(page: Page, *rules: str) -> list[str]:
    """Violations on the page in words, of all rules or the named ones; what axe leaves open goes to `incomplete`."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_axe())
    only = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": RULES}
    run = {"runOnly": only, "resultTypes": ["violations", "incomplete"]}
    found = await page.evaluate("(run) => axe.run(document, run)", run)
    incomplete.update((one["id"], str(node["target"][0])) for one in found["incomplete"] for node in one["nodes"])
    return [
        f"axe {one['id']}: {one['help']} ({', '.join(str(node['target'][0]) for node in one['nodes'][:3])}): "
        f"{one['nodes'][0].get('failureSummary', '')[:300]}"
        for one in found["violations"]
    ]


# ---------------------------------------------------------------- keyboard

_FOCUS = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  const outline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  return {
    name: (one.innerText || one.getAttribute("aria-label") || one.labels?.[0]?.innerText || one.name || "").trim().replace(/\\s+/g, " "),
    id: one.id, tag: one.tagName.toLowerCase(), type: one.type || "", ring: outline || style.boxShadow !== "none",
    inside: box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth && box.width > 0 && box.height > 0,
    box: { x: box.x, y: box.y, width: box.width, height: box.height },
  };
}"""


@dataclass
class Keyboard:
    """A person without a mouse; every stop of the focus must be seen."""

    page: Page
    stops: int = 0

    async def to(self, name: str, *, most: int = 80) -> None:
        """Press Tab until the thing with this name (its text begins so, or its id is it) has the focus."""
        for _ in range(most):
            await self.page.keyboard.press("Tab")
            focus = await self._see()
            if focus and (focus["id"] == name or focus["name"].startswith(name)):
                return
        raise AssertionError(f"{most} stops did not lead to {name!r} on {self.page.url}")

    async def press(self, name: str, url: str) -> None:
        """Go there, press Enter and wait for an address (a glob)."""
        await self.to(name)
        await self.page.keyboard.press("Enter")
        await self.page.wait_for_url(url)

    async def type(self, name: str, text: str) -> None:
        """Go to a field, replace what it holds."""
        await self.to(name)
        await self.page.keyboard.press("Control+A")
        await self.page.keyboard.type(text)

    async def type_login(self, house: House, user: str = "demo-mitglied") -> None:
        """Fill Keycloak's form; its first field has the focus already."""
        await self.page.locator("#username:focus").wait_for()
        await self.page.keyboard.type(user)
        await self.type("password", house.secrets["RH_DEMO_PASSWORD"])
        await self.press("kc-login", f"{house.origin}/**")

    async def _see(self) -> dict[str, Any] | None:
        focus: dict[str, Any] | None = await self.page.evaluate(_FOCUS)
        for _ in range(10):  # scrolling there takes a moment
            if focus is None or focus["inside"]:
                break
            await asyncio.sleep(0.05)
            focus = await self.page.evaluate(_FOCUS)
        if focus is None:
            return None
        self.stops += 1
        where = f"{focus['tag']} {focus['name'][:40]!r} on {self.page.url}"
        assert focus["inside"], f"the focus is off the screen: {where}"
        assert focus["ring"] or await self._differs(focus), f"the focus is invisible: {where}"
        return focus

    async def _differs(self, focus: dict[str, Any]) -> bool:
        """Whether the pixels around the element change when the focus leaves it: other people's pages have own ways."""
        box = focus["box"]
        clip = {
            "x": max(0, box["x"] - 6),
            "y": max(0, box["y"] - 6),
            "width": box["width"] + 12,
            "height": box["height"] + 12,
        }
        with_focus = await self.page.screenshot(clip=clip, animations="disabled")
        await self.page.evaluate("() => { window.rhFocused = document.activeElement; window.rhFocused.blur(); }")
        without = await self.page.screenshot(clip=clip, animations="disabled")
        await self.page.evaluate("() => window.rhFocused.focus()")
        return with_focus != without


async def photograph(browser: Browser, folder: Path) -> None:
    """Keep what every open page shows: the first thing one wants to see after a failure."""
    pages = [page for context in browser.contexts for page in context.pages]
    for number, page in enumerate(pages):
        await page.screenshot(path=folder / f"{number}.png", full_page=True)


async def mend(house: House) -> None:
    """Start what is not running, and wait until the gateway has noticed."""
    await asyncio.to_thread(supervise.start, house.state_dir, prefer={})
    async with httpx.AsyncClient(base_url=house.origin, trust_env=False, timeout=10) as http:
        for service in ("booking", "access", "billing"):
            await until(f"the gateway reaches {service}", lambda name=service: _is_there(http, name))


async def _is_there(http: httpx.AsyncClient, service: str) -> bool:
    return (await http.get(f"/api/{service}/openapi.json")).status_code == 200


async def until(what: str, ask: Any, seconds: float = 30) -> Any:
    """Ask again until the answer is true."""
    for _ in range(int(seconds * 5)):
        if found := await ask():
            return found
        await asyncio.sleep(0.2)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")
