"""One house and one Chromium for the layer. Everything runs on one event loop, because the browser lives on it."""

import inspect
import shutil
from collections import Counter

import pytest
import pytest_asyncio

from regiohub_local import seed
from regiohub_local.browser import chromium
from regiohub_local.browser.people import People
from regiohub_local.plan import DEFAULT_STATE
from tests.support import browser as support

_ON_ONE_LOOP = pytest.mark.asyncio(loop_scope="session")
_FAILED = pytest.StashKey[bool]()
FAILURES = DEFAULT_STATE / "browser-failures"
INCOMPLETE = DEFAULT_STATE / "axe-incomplete.txt"


def pytest_collection_modifyitems(items):
    """The tour begins, in an empty house; the offline door ends, since it takes half of the house away."""
    for item in items:
        if "tests/browser" in item.nodeid and inspect.iscoroutinefunction(item.function):
            item.add_marker(_ON_ONE_LOOP, append=False)
    items.sort(key=lambda item: ("test_offline_door.py" in item.nodeid) - ("test_pages.py" in item.nodeid))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Remember failures, so that the pages can be photographed before they close."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def chromium_path():
    """Ends the run in one line when there is no browser."""
    try:
        return chromium.find()
    except chromium.NoChromium as error:
        pytest.exit(f"Error: {error}", returncode=1)


@pytest.fixture(scope="session")
def bare_house(chromium_path):
    """The whole house, nothing in it yet."""
    shutil.rmtree(FAILURES, ignore_errors=True)
    with support.running_house() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(bare_house):
    """The house with the demo region."""
    await seed.run(bare_house)
    return bare_house


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium_browser(chromium_path):
    async with chromium.running() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def people(house, chromium_browser, request):
    """Fresh people for each test; what their browsers complain about fails the test."""
    people = People(chromium_browser, house, **getattr(request, "param", {}))
    yield people
    if request.node.stash.get(_FAILED, False):
        await support.photograph(chromium_browser, FAILURES / request.node.name)
    await people.close()
    assert people.watch.take() == []


def pytest_terminal_summary(terminalreporter):
    """What axe could not decide is for people to look at."""
    by_rule = Counter(rule for rule, _ in support.incomplete)
    for rule, elements in sorted(by_rule.items()):
        terminalreporter.write_line(f"browser: axe left {rule} open on {elements} elements (listed in {INCOMPLETE})")
    if by_rule:
        lines = [f"{rule}\t{target}\t{count}" for (rule, target), count in sorted(support.incomplete.items())]
        INCOMPLETE.parent.mkdir(exist_ok=True)
        INCOMPLETE.write_text("\n".join(lines) + "\n")
