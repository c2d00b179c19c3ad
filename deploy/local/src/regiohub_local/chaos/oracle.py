"""What the members know for sure, written down by themselves: the oracle. Nothing here asks the house."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A booking that was answered with success, and what its member did with it. `at_door`: whether the door opened."""

    id: str
    key: str
    resource_id: str
    start: datetime
    end: datetime
    gross_cents: int
    is_cancelled: bool = False
    is_paid: bool = False
    at_door: bool | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a reader answered at a door; `at` as it wrote it."""

    hub: str
    door: int
    at: str
    decision: str


@dataclass(slots=True)
class Oracle:
    """The log of all members. `refused` are the keys of bookings that were answered with a refusal."""

    path: Path
    bookings: dict[str, Acknowledged] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)

    def book(self, booking: Acknowledged) -> None:
        """A booking was answered; two answers with one id are kept apart by what `checks` counts."""
        if booking.id in self.bookings:
            self.unanswered.append(f"booking {booking.id} was acknowledged under two keys")
        self.bookings[booking.id] = booking
        self._write("booked", **asdict(booking))

    def note(self, booking_id: str, **changes: bool) -> None:
        """Something was acknowledged about a booking."""
        self.bookings[booking_id] = replace(self.bookings[booking_id], **changes)  # type: ignore[arg-type]  # all bool
        self._write("noted", id=booking_id, **changes)

    def refuse(self, key: str, why: str) -> None:
        """A booking was refused."""
        self.refused.append(key)
        self.answers[why] += 1
        self._write("refused", key=key, why=why)

    def decide(self, decision: Decision) -> None:
        """A reader answered."""
        self.decisions.append(decision)
        self._write("decided", **asdict(decision))

    def miss(self, what: str) -> None:
        """Nobody answered, however often a member asked."""
        self.unanswered.append(what)
        self._write("unanswered", what=what)

    def _write(self, event: str, **more: object) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"event": event, **more}, default=str) + "\n")
