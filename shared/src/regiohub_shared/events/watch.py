"""How others see a worker: when each loop last got on, how its rounds and deliveries ended, and its traces.

A loop that fails goes on and is told about (``failing``); one that does not come back at all is ``stuck``, and then only a
new process helps.
"""

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from regiohub_shared.clock import real_now
from regiohub_shared.tracing import Tracer

STUCK_S = 300.0
"""A loop that is so much later than it promised is stuck: every call and statement ends in far less."""


@dataclass(slots=True)
class _Pulse:
    due_at: float
    is_failing: bool = False


class Watch:
    """One process's loops. Their names are labels, so they are few and fixed."""

    def __init__(
        self, registry: CollectorRegistry, tracer: Tracer, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """``monotonic`` gives seconds."""
        self.registry, self.tracer = registry, tracer
        self._clock, self._pulses = monotonic, dict[str, _Pulse]()
        self._beat = Gauge("worker_heartbeat_timestamp_seconds", "Last progress", ("loop",), registry=registry)
        self._due = Gauge("worker_due_timestamp_seconds", "Next progress, as promised", ("loop",), registry=registry)
        self._rounds = Counter("worker_rounds_total", "Rounds", ("loop", "outcome"), registry=registry)
        self._seconds = Histogram("worker_round_duration_seconds", "Duration", ("loop",), registry=registry)
        self._findings = Gauge("worker_findings", "What must never be found", ("what",), registry=registry)
        self._sent = Counter("fact_deliveries_total", "Facts sent", ("subscriber", "outcome"), registry=registry)

    def found(self, what: str, count: int) -> None:
        """The last look for something that must never be found so much of it."""
        self._findings.labels(what).set(count)

    def beat(self, loop: str, next_s: float = 0.0) -> None:
        """The loop got on; it will again within ``next_s`` seconds and what its work takes."""
        pulse = self._pulses.setdefault(loop, _Pulse(0.0))
        pulse.due_at = self._clock() + next_s
        now = real_now().timestamp()
        self._beat.labels(loop).set(now)
        self._due.labels(loop).set(now + next_s)

    def ended(self, loop: str, seconds: float, *, failed: bool, next_s: float) -> None:
        """A round ended."""
        self.beat(loop, next_s)
        self._pulses[loop].is_failing = failed
        self._rounds.labels(loop, "failed" if failed else "done").inc()
        self._seconds.labels(loop).observe(seconds)

    def sent(self, subscriber: str, outcome: str) -> None:
        """A fact was ``delivered``, ``refused`` or met nobody (``failed``)."""
        self._sent.labels(subscriber, outcome).inc()

    def stuck(self) -> list[str]:
        """Loops that should have come back by far."""
        now = self._clock()
        return sorted(name for name, pulse in self._pulses.items() if now - pulse.due_at > STUCK_S)

    def failing(self) -> list[str]:
        """Loops whose last round failed."""
        return sorted(name for name, pulse in self._pulses.items() if pulse.is_failing)


def make_watch(tracer: Tracer) -> Watch:
    """Return the watch of a process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return Watch(registry, tracer)


_here: ContextVar[Watch | None] = ContextVar("watch", default=None)
_loop: ContextVar[str] = ContextVar("loop", default="")
_nobody = Watch(CollectorRegistry(), Tracer())


def watched_by(watch: Watch) -> None:
    """What is started from here on is watched."""
    _here.set(watch)


def watch_here() -> Watch:
    """Return the process's watch; outside a worker, one that nobody reads."""
    return _here.get() or _nobody


def in_loop(name: str) -> None:
    """Name the loop that this task runs."""
    _loop.set(name)


def beat() -> None:
    """A long round got on: call it after each batch."""
    if name := _loop.get():
        watch_here().beat(name)
