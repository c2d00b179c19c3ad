"""Open now, from afar: an operator orders it with a reason, the reader at the hub does it once and in time, or not at all."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from regiohub_access.domain.chain import DoorEvent
from regiohub_access.domain.openings import Doubt
from regiohub_shared.problem import Conflict, NotFound

LIFE = timedelta(seconds=30)
"""How long a command is good, in real time: whoever asked for it still stands at the door."""
AWAY = timedelta(seconds=30)
"""A reader that has not called for longer is away: a command for it would only wait and lapse."""
SPEAKS = 2
"""The version of the commands that we give; readers say which one they understand."""

State = Literal["waiting", "opened", "expired", "refused"]
Outcome = Literal["opened", "expired", "refused"]


class DoorNotFound(NotFound):
    """The hub has no door of this number."""

    type, title = "door-not-found", "There is no such door"


class ReaderAway(Conflict):
    """No reader of the hub is connected (or none understands commands): the door would not open, now or later."""

    type, title = "reader-away", "The door's reader cannot be reached"


class CommandReused(Conflict):
    """The id belongs to another command."""

    type, title = "command-reused", "This command was given with another content"


@dataclass(frozen=True, slots=True)
class Order:
    """A command as it was handed to a reader; ``expires_at`` is real time."""

    id: UUID
    hub: str
    door: int
    expires_at: datetime
    reader_id: str | None
    reader_chain: str | None


def state(outcome: Outcome | None, expires_at: datetime, *, real_now: datetime) -> State:
    """Return what can be said: accepted is not opened, and a report may still come after the end."""
    if outcome is not None:
        return outcome
    return "waiting" if real_now < expires_at else "expired"


def outcome_of(event: DoorEvent) -> Outcome:
    """Return what a reader's report means."""
    if event.decision == "allowed":
        return "opened"
    return "expired" if event.reason == "expired" else "refused"


def doubt(event: DoorEvent, order: Order | None, *, now: datetime, real_now: datetime, skew: timedelta) -> Doubt | None:
    """Return why this report cannot be true, None if it can: only the reader that got the command can follow it.

    ``skew`` is how far its clock may be from ours.
    """
    if not event.is_chained:
        return "not_chained"
    said = (event.hub, event.door, event.reader_id, event.reader_log)
    if order is None or said != (order.hub, order.door, order.reader_id, order.reader_chain):
        return "unknown_credential"
    if event.at > now + skew:
        return "ahead"
    at = event.at - (now - real_now)  # events carry business time
    is_late = event.decision == "allowed" and at >= order.expires_at + skew
    return "outside_window" if is_late else None
