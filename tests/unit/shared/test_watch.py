"""A loop that fails is told about; only one that does not come back is stuck."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from regiohub_shared.events.operations import Address, address_from
from regiohub_shared.events.watch import STUCK_S, Watch, beat, watched_by
from regiohub_shared.events.worker import every
from regiohub_shared.tracing import Tracer


class Clock:
    """Seconds, set by the test."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> Watch:
    return Watch(CollectorRegistry(), Tracer(), monotonic=clock)


def test_a_loop_is_stuck_once_it_is_far_later_than_it_promised(watch: Watch, clock: Clock) -> None:
    watch.ended("sweep", 0.1, failed=False, next_s=5)
    watch.ended("chains", 0.1, failed=False, next_s=3600)
    clock.now = STUCK_S + 5
    assert watch.stuck() == []
    clock.now += 1
    assert watch.stuck() == ["sweep"]


def test_a_round_that_gets_on_is_not_stuck_however_long(watch: Watch, clock: Clock) -> None:
    for _ in range(10):
        clock.now += STUCK_S
        watch.beat("mail")
    assert watch.stuck() == []


def test_only_the_last_round_says_whether_a_loop_fails(watch: Watch) -> None:
    watch.ended("sweep", 0.1, failed=True, next_s=5)
    assert watch.failing() == ["sweep"]
    watch.ended("sweep", 0.1, failed=False, next_s=5)
    assert watch.failing() == []
    rounds = {outcome: watch.registry.get_sample_value("worker_rounds_total", {"loop": "sweep", "outcome": outcome})
              for outcome in ("failed", "done")}  # fmt: skip
    assert rounds == {"failed": 1, "done": 1}


async def test_a_loop_counts_its_rounds_and_beats_between_batches(watch: Watch, clock: Clock) -> None:
    stop, seen = asyncio.Event(), list[list[str]]()

    async def work() -> None:
        clock.now += 2 * STUCK_S
        beat()
        seen.append(watch.stuck())
        stop.set()
        raise OSError

    watched_by(watch)
    await every(1, "mail", work)(stop)

    assert seen == [[]]
    assert watch.failing() == ["mail"]
    assert watch.registry.get_sample_value("worker_heartbeat_timestamp_seconds", {"loop": "mail"})


def test_a_worker_listens_where_it_is_told() -> None:
    assert address_from([]) == Address("127.0.0.1", 0)
    assert address_from(["--host=0.0.0.0", "--port=8000"]) == Address("0.0.0.0", 8000)  # noqa: S104 - as in a pod
