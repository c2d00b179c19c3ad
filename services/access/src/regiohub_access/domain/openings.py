"""Whether a reported opening can be true: what it names must have been good there and then.

A reader is believed in what it refuses. An opening checks a member in, so it must also fit what we granted; one that
does not is kept with its doubt and told to nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from regiohub_access.domain.chain import DoorEvent
from regiohub_access.domain.windows import Window

Doubt = Literal[
    "not_chained", "unknown_credential", "ahead", "grant_not_active", "outside_window", "pin_outdated"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A window of a grant, and the id under which readers hold its PIN; None when the PIN is gone (or a pass opened)."""

    window: Window
    pin_id: str | None


@dataclass(frozen=True, slots=True)
class Holder:
    """The grant that an opening names; ``ended_at`` is its revocation."""

    was_active: bool
    ended_at: datetime | None
    entries: Sequence[Entry]


def doubt(event: DoorEvent, holder: Holder | None, *, now: datetime, skew: timedelta) -> Doubt | None:
    """Return why this opening cannot be true, None if it can.

    ``skew`` is how far a reader's clock may be from ours before it stops opening doors: doubting less would lose the
    check-in of somebody who stands inside.
    """
    if not event.is_chained:
        return "not_chained"
    if holder is None:
        return "unknown_credential"
    if event.at > now + skew:
        return "ahead"
    if not holder.was_active or (holder.ended_at is not None and event.at >= holder.ended_at + skew):
        return "grant_not_active"
    fitting = [entry for entry in holder.entries if _covers(entry.window, event, skew)]
    if not fitting:
        return "outside_window"
    return None if any(entry.pin_id in (None, event.credential) for entry in fitting) else "pin_outdated"


def _covers(window: Window, event: DoorEvent, skew: timedelta) -> bool:
    is_then = window.starts_at - skew <= event.at < window.ends_at + skew
    return is_then and event.door in window.doors


def first_opening(known: datetime | None, reported: datetime) -> datetime | None:
    """Return the new first opening if ``reported`` is earlier than what is known, else None."""
    return reported if known is None or reported < known else None
