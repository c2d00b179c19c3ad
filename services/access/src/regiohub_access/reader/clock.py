"""The reader's clock: the only place here that reads the time (the reader installs without `regiohub_shared`)."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant: `now` is business time (windows of passes and PINs), `real` is real time (proofs, pauses).

    `steady` counts seconds that nobody can set back; only the difference of two means anything.
    """

    now: datetime
    real: datetime
    steady: float = 0.0


Clock = Callable[[], Moment]


def make_clock(environ: Mapping[str, str] = os.environ) -> Clock:
    """A clock whose business time starts at `REGIOHUB_NOW` and ticks; without it both times are real.

    Raises `ValueError` for a time without an offset, and for any shift outside the dev environment.
    """
    shift = _shift(environ)

    def clock() -> Moment:
        real = _real_now()
        return Moment(now=real + shift, real=real, steady=time.monotonic())

    return clock


def _shift(environ: Mapping[str, str]) -> timedelta:
    wanted = environ.get("REGIOHUB_NOW")
    if not wanted:
        return timedelta()
    moment = datetime.fromisoformat(wanted)
    if moment.tzinfo is None:
        raise ValueError("REGIOHUB_NOW needs a time zone, for example 2026-11-25T09:00:00+01:00")
    if environ.get("REGIOHUB_ENVIRONMENT", "dev") != "dev":
        raise ValueError("REGIOHUB_NOW is refused outside the dev environment")
    return moment.astimezone(UTC) - _real_now()


def _real_now() -> datetime:
    return datetime.now(UTC)
