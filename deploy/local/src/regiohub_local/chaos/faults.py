"""What breaks when: a plan made from a seed before anything starts, so that a failing run can be repeated. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

KINDS: dict[str, tuple[str, ...]] = {
    "api": ("gateway", "booking", "access", "billing"),
    "worker": tuple(f"{name}-worker-{number}" for name in ("booking", "access", "billing") for number in (1, 2)),
    "reader": ("reader-polch", "reader-rieden", "reader-andernach", "reader-bendorf", "reader-mayen"),
    "sandbox": ("stripe",),
    "postgres": ("postgres",),
    "keycloak": ("keycloak",),
}
"""Everything that is killed, by kind; there are two replicas of each worker."""
TARGETS = tuple(name for names in KINDS.values() for name in names)
WEATHER = ("cut", "slow", "mute", "hang")
WEBHOOKS = ("duplicate", "shuffle", "drop", "hold", "send")
FACT_SOURCES = ("booking", "access", "billing")
LEASE_S = 15.0
"""How long a relay's claim holds."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong `at` seconds into the run, for `seconds`.

    kill: `target` is a program. stop: `target` is a worker that stands still for so long that its claims lapse and its
    other replica takes them over; then it goes on as if nothing had been. link: `how` the wires that match `target` behave. webhooks: the sandbox's switch `how`.
    facts: the outbox of `target`; `how` is repeat (delivered ones once more) or delay (newer ones overtake).
    """

    at: float
    act: Literal["kill", "stop", "link", "webhooks", "facts"]
    target: str
    how: str
    seconds: float


def plan(seed: int, seconds: float, kills: int) -> tuple[Fault, ...]:
    """Return all faults of a run of `seconds` in order; every program is killed `kills` times, readers by turns if once.

    The n-th kill of a program falls into the n-th of equal parts of the run, so that each has time to come back.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    found = [*_kills(rng, seconds, kills), *_links(rng, seconds), *_webhooks(rng, seconds), *_facts(rng, seconds)]
    found += _stops(rng, seconds)
    return tuple(sorted(found, key=lambda fault: fault.at))


def _kills(rng: random.Random, seconds: float, kills: int) -> Iterable[Fault]:
    targets = TARGETS if kills > 1 else _one_reader(rng)
    part = seconds / kills
    for target in targets:
        # Keycloak takes longest to come back: it goes early in its part.
        room = 0.2 if target == "keycloak" else 0.9
        for number in range(kills):
            yield Fault(part * (number + rng.uniform(0, room)), "kill", target, "", rng.uniform(0.1, 2.0))


def _one_reader(rng: random.Random) -> Sequence[str]:
    reader = rng.choice(KINDS["reader"])
    return [name for name in TARGETS if name == reader or name not in KINDS["reader"]]


def _stops(rng: random.Random, seconds: float) -> Iterable[Fault]:
    """About every twenty seconds a worker, by turns; booking's first, since it is booking that tells most facts."""
    shuffled = rng.sample(KINDS["worker"], len(KINDS["worker"]))
    workers = sorted(shuffled, key=lambda name: not name.startswith("booking"))
    for turn, at in enumerate(_moments(rng, seconds, 20.0)):
        yield Fault(at, "stop", workers[turn % len(workers)], "", LEASE_S + rng.uniform(1.0, 5.0))


def _links(rng: random.Random, seconds: float) -> Iterable[Fault]:
    """About every two seconds a wire, chosen when it comes (`target` is a number that picks one of them)."""
    for at in _moments(rng, seconds, 2.0):
        yield Fault(at, "link", str(rng.randrange(1000)), rng.choice(WEATHER), rng.uniform(0.3, 4.0))


def _webhooks(rng: random.Random, seconds: float) -> Iterable[Fault]:
    for turn, at in enumerate(_moments(rng, seconds, 5.0)):
        how = WEBHOOKS[turn] if turn < len(WEBHOOKS) else rng.choice(WEBHOOKS)
        yield Fault(at, "webhooks", "stripe", how, rng.choice((0.0, 0.5, 3.0)))


def _facts(rng: random.Random, seconds: float) -> Iterable[Fault]:
    for turn, at in enumerate(_moments(rng, seconds, 1.5)):
        yield Fault(at, "facts", rng.choice(FACT_SOURCES), ("repeat", "delay")[turn % 2], rng.uniform(0.5, 6.0))


def _moments(rng: random.Random, seconds: float, mean: float) -> Iterable[float]:
    at = rng.uniform(0, mean)
    while at < seconds:
        yield at
        at += rng.uniform(0.5, 1.5) * mean
