"""What must hold on every page, asked of the page itself: no sideways scrolling, targets that a thumb can hit.

On a paper (an invoice) also: nothing is cut off by a box that scrolls or hides.
"""

from __future__ import annotations

from playwright.async_api import Page

SMALLEST_TARGET = 24
"""CSS pixels, WCAG 2.2 SC 2.5.8."""

_SIDEWAYS = """() => {
  const page = document.scrollingElement;
  if (page.scrollWidth <= page.clientWidth) return "";
  const inside = (one) => { for (let up = one.parentElement; up; up = up.parentElement) {
    if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(up).overflowX) && up !== page && up !== document.body) return true; }
    return false; };
  const wide = [...document.body.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > page.clientWidth + 1 && !inside(one));
  const name = wide.length ? `${wide[0].tagName.toLowerCase()}.${wide[0].className}` : "?";
  return `${page.scrollWidth} px in ${page.clientWidth} px (${name})`;
}"""
_SMALL = """(least) => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [role=button], [tabindex='0']")]
  .filter((one) => one.type !== "hidden" && one.checkVisibility({ visibilityProperty: true }))
  .map((one) => {
    const label = ["checkbox", "radio"].includes(one.type) && one.labels?.[0];
    const box = (label || one).getBoundingClientRect();
    return { box, text: (one.innerText || one.getAttribute("aria-label") || one.name || one.tagName).trim().slice(0, 40) };
  })
  .filter(({ box }) => box.right > 0 && box.width > 0 && (box.width < least || box.height < least))
  .map(({ box, text }) => `${text}: ${Math.round(box.width)}×${Math.round(box.height)} px`)
"""
_CUT = """() => [...document.body.querySelectorAll("*")]
  .filter((one) => getComputedStyle(one).overflowX !== "visible" && one.scrollWidth > one.clientWidth + 1)
  .map((one) => `${one.tagName.toLowerCase()}.${one.className}: ${one.scrollWidth} px in ${one.clientWidth} px`)
"""


async def faults(page: Page, *, is_paper: bool = False) -> list[str]:
    """What does not hold on this page at its present size, in words."""
    cut: list[str] = await page.evaluate(_CUT) if is_paper else []
    sideways: str = await page.evaluate(_SIDEWAYS)
    small: list[str] = await page.evaluate(_SMALL, SMALLEST_TARGET)
    return (
        [f"scrolls sideways: {sideways}"] * bool(sideways)
        + [f"small target: {one}" for one in small]
        + [f"cut off: {one}" for one in cut]
    )
