"""The words of the documents are the words of the pages."""

import re

from regiohub_access.domain import keys
from regiohub_gateway.web.texts import catalogue
from regiohub_local.plan import ROOT

DESIGN = {
    "operator", "hub", "resource", "leaf resource", "opening hours", "closure", "buffer", "slot", "availability",
    "member", "organisation", "line", "category", "tariff", "quote", "hold", "booking", "series", "waitlist",
    "cancellation fee", "check-in", "door", "reader", "lock", "driver", "grant", "credential", "presentation",
    "decision", "door event", "command", "deny-list", "charge", "payment", "document", "tax rule", "journal entry",
    "period", "export batch", "payout", "settlement",
}  # fmt: skip
PAGES = catalogue("de").values()


def glossary() -> dict[str, str]:
    lines = (ROOT / "docs/glossary.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in lines if line.startswith("| ")]
    return dict(rows[1:])


def test_the_glossary_has_every_word_of_the_design():
    assert glossary().keys() >= DESIGN


def test_the_glossary_s_german_is_on_the_pages():
    said = [word for german in glossary().values() if german != "–" for word in german.split(", ")]

    assert len(said) > 20
    assert [word for word in said if not any(re.search(rf"\b{word}", text) for text in PAGES)] == []


def test_the_runbook_calls_pages_and_lists_what_they_are_called():
    named = re.findall(r'(?:page|list) "([^"]+)"', (ROOT / "docs/runbook.md").read_text())

    assert len(named) >= 4
    assert set(named) - set(PAGES) == set()


def test_the_runbook_keeps_an_old_secret_key_as_long_as_issuer_keys_need_it():
    # Sealed when it is made, a week ahead; opened to sign until its own successor had a week to arrive.
    days = (keys.PUBLISH_AHEAD + keys.USE_FOR + keys.PUBLISH_AHEAD).days

    assert f"the old one for {days} days" in " ".join((ROOT / "docs/runbook.md").read_text().split())
