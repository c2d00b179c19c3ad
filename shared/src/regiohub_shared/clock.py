"""The only place that reads the wall clock.

Business time (:func:`now`) can be shifted by ``REGIOHUB_NOW`` for demos and screenshots and still ticks; tokens,
leases and provider times use :func:`real_now`. Both are aware UTC.
"""

import os
from datetime import UTC, datetime, timedelta

FIRST_YEAR, LAST_YEAR = 2000, 2200
"""What people and programs may ask for: near the ends of the calendar, arithmetic with zones and margins fails."""


def real_now() -> datetime:
    """Return the machine's time, aware, in UTC."""
    return datetime.now(UTC)


def _shift() -> timedelta:
    wanted = os.environ.get("REGIOHUB_NOW")
    if not wanted:
        return timedelta()
    moment = datetime.fromisoformat(wanted)
    if moment.tzinfo is None:
        raise ValueError("REGIOHUB_NOW needs a time zone, for example 2026-11-25T09:00:00+01:00")
    if os.environ.get("REGIOHUB_ENVIRONMENT", "dev") != "dev":
        raise ValueError("REGIOHUB_NOW is refused outside the dev environment")
    return moment.astimezone(UTC) - real_now()


_SHIFT = _shift()


def now() -> datetime:
    """Return business time, aware, in UTC."""
    return real_now() + _SHIFT
