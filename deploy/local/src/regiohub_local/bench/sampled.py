"""A program under a sampling profiler: `python -m regiohub_local.bench.sampled FILE <uvicorn's arguments>`.

Every few milliseconds of processor time (not of waiting) the kernel interrupts, and the Python code at work is noted.
SIGUSR1 begins anew: what the program needed to start is nobody's question.
"""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

import uvicorn

EVERY_S = 0.002
LOOP = "event loop and sockets (uvloop, kernel)"
_PARTS = (
    ("/asyncpg/", "asyncpg (statements, their values)"),
    ("/aiohttp/", "aiohttp (the way to the service)"),
    ("/httpx_aiohttp/", "aiohttp (the way to the service)"),
    ("/yarl/", "aiohttp (the way to the service)"),
    ("/multidict/", "aiohttp (the way to the service)"),
    ("/httpx/", "httpx (request and answer)"),
    ("/regiohub_shared/log", "log lines"),
    ("/structlog/", "log lines"),
    ("/logging/", "log lines"),
    ("/prometheus_client/", "metrics"),
    ("/regiohub_shared/tracing", "trace context"),
    ("/regiohub_shared/auth/", "token check"),
    ("/regiohub_shared/web/", "own middleware (limits, request id, retry)"),
    ("/regiohub_shared/events/", "the fact (outbox)"),
    ("/regiohub_shared/contracts/", "the fact (outbox)"),
    ("/regiohub_booking/domain/", "rules and prices"),
    ("/regiohub_booking/repo/", "repo"),
    ("/regiohub_booking/", "route and use case"),
    ("/pydantic", "pydantic (request, answer, fact)"),
    ("/fastapi/", "FastAPI and Starlette"),
    ("/starlette/", "FastAPI and Starlette"),
    ("/uvicorn/server.", LOOP),  # at the bottom of every stack
    ("/uvicorn/main.", LOOP),
    ("/uvicorn/_compat.", LOOP),
    ("/uvicorn/", "uvicorn"),
    ("/regiohub_gateway/edge/sessions", "session (its row, opened)"),
    ("/regiohub_gateway/edge/seal", "session (its row, opened)"),
    ("/regiohub_gateway/", "own way through (front, route, headers, limits)"),
    ("/regiohub_shared/", "other shared code"),
)


def part_of(files: Iterable[str]) -> str:
    """Which part of the program was at work; `files` are those of the frames, the innermost first.

    Code of Python's own library belongs to whoever called it.
    """
    for file in files:
        for mark, name in _PARTS:
            if mark in file:
                return name
    return LOOP


def main(out: Path, arguments: list[str]) -> None:
    """Run uvicorn until SIGTERM, then write how often each part was at work."""
    seen: Counter[str] = Counter()

    def note(_number: int, frame: FrameType | None) -> None:
        files = []
        while frame is not None:
            files.append(frame.f_code.co_filename)
            frame = frame.f_back
        seen[part_of(files)] += 1

    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it once more after its end
    signal.signal(signal.SIGUSR1, lambda *_: seen.clear())
    signal.signal(signal.SIGPROF, note)
    signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)
    try:
        uvicorn.main(arguments, standalone_mode=False)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        out.write_text(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
