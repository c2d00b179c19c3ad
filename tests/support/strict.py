"""A skip or an expected failure fails the run; so does a run that holds no test. The counts are printed."""

from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

_FAILS = "here that fails the run"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn every skip and xfail into a failure that names the reason."""
    report = yield
    if report.skipped or hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped or expected to fail; {_FAILS}: {report.longrepr}"
        if hasattr(report, "wasxfail"):
            del report.wasxfail
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A module that skips itself is a failure too."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} skipped itself; {_FAILS}: {report.longrepr}"
    return report


def _layer(nodeid: str) -> str:
    """Return the folder below ``tests``."""
    parts = Path(nodeid.partition("::")[0]).parts
    return parts[1] if len(parts) > 2 and parts[0] == "tests" else "other"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line per layer: what ran, and that nothing was left out."""
    outcomes = {name: terminalreporter.stats.get(name, []) for name in ("passed", "failed", "error")}
    seen = {
        name: Counter(_layer(report.nodeid) for report in reports if getattr(report, "when", "") in {"call", "setup"})
        for name, reports in outcomes.items()
    }
    for layer in sorted({layer for counts in seen.values() for layer in counts}):
        passed, failed = seen["passed"][layer], seen["failed"][layer] + seen["error"][layer]
        failures = f", {failed} failed" if failed else ""
        terminalreporter.write_line(f"{layer}: {passed + failed} tests, {passed} passed{failures}, none skipped")
