"""`make demo` on the whole house: exit 0 when every step holds, 1 when one does not; nothing is left running."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from regiohub_local import demo
from tests.support.otlp import Collector, collecting

_BROKEN = """
import sys
from pathlib import Path
from regiohub_local import demo, story

async def pay_twice_the_price(tale):
    story.check(False, "this step was broken on purpose")

sys.exit(demo.main(Path("."), [story.search, story.book, pay_twice_the_price, story.fetch_pass]))
"""


def _run(*command: str, tmp_path: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=400, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path), **more},
    )  # fmt: skip


def _left(tmp_path: Path) -> list[str]:
    return [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/environ")
        if str(tmp_path).encode() in _read(path) and path.parent.name != "self"
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_the_whole_story_holds_and_leaves_nothing_running(tmp_path):
    with collecting() as collector:
        done = _run("-m", "regiohub_local", "demo", tmp_path=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("/17]") == len(demo.STEPS)
    _one_trace_goes_through_the_programs(collector, done.stdout)
    assert _left(tmp_path) == []
    assert list(tmp_path.glob("regiohub-demo-*")) == []


def _one_trace_goes_through_the_programs(collector: Collector, told: str) -> None:
    """By the id that the step found in the logs: each program's span hangs on the one before it."""
    trace = re.search(r"trace ([0-9a-f]{32}) in 5 programs", told)[1]
    spans = [span for span in collector.spans if span.trace_id == trace]
    by_id = {span.span_id: span for span in spans}
    hops = {(by_id[span.parent].program, span.program) for span in spans if span.parent in by_id}
    assert [span.program for span in spans if span.parent not in by_id] == ["gateway"]
    assert hops == {
        ("gateway", "booking"), ("booking", "booking-worker"), ("booking-worker", "access"), ("booking-worker", "billing"),
    }  # fmt: skip


def test_a_step_that_does_not_hold_ends_in_exit_1(tmp_path):
    done = _run("-c", _BROKEN, tmp_path=tmp_path)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "broken on purpose" in done.stdout
    assert "fetch pass" not in done.stdout
    assert _left(tmp_path) == []


@pytest.mark.parametrize(
    ("trailer", "claim"), [("N;3;;;;;;;;;;;;;;;;2,00;", "count"), ("N;2;;;;;;;;;;;;;;;;3,00;", "sum")]
)
def test_the_second_reader_notices_a_wrong_trailer(trailer, claim):
    head = ";" * 27
    file = f"{head}\r\nI;1{';' * 16}2,00;\r\n{trailer}\r\n"

    with pytest.raises(demo.StepFailed, match=claim):
        demo.read_hkr(file.encode("cp1252"))
