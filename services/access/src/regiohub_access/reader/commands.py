"""Commands of operators: kept in memory only, opened once by the device at the door, never late.

On disk is which ones were decided, before anything is done: a restart or a repeated answer opens nothing again.
"""

import logging
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from regiohub_access.reader.clock import Clock, Moment
from regiohub_access.reader.decide import Decided
from regiohub_access.reader.state import CLOCK_LEEWAY, State
from regiohub_access.reader.store import Store
from regiohub_access.reader.wire import GRANTED, Command
from regiohub_access.rh1 import Reason

COMMAND_DRIFT = timedelta(seconds=10)
"""How far access's time in an answer may be from ours: a slower answer or clock could make a late command look fresh."""
MOST = 16
"""Commands that wait at the same time; more are refused."""

log = logging.getLogger("regiohub.reader")


def judge(state: State, command: Command, moment: Moment) -> str:
    """Return ``granted`` or why the command may not be followed at this moment. Pure."""
    if all(command.door != door.number for door in state.doors):
        return Reason.UNKNOWN_DOOR
    if state.is_clock_off or moment.real < state.latest_seen - CLOCK_LEEWAY:
        return Reason.CLOCK
    return GRANTED if moment.real < command.expires_at else Reason.EXPIRED


def judge_arrival(state: State, command: Command, moment: Moment, server_time: datetime) -> str:
    """The same when the command comes in: by how much the answer's own time differs from ours counts, too."""
    reason = judge(state, command, moment)
    if reason == GRANTED and abs(server_time - moment.real) > COMMAND_DRIFT:
        return Reason.CLOCK
    return reason


class Waiting:
    """Commands that wait for the device at their door."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._held: dict[str, Command] = {}
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._held)

    def arrive(self, commands: Sequence[Command], server_time: datetime) -> None:
        """Keep what may be followed, refuse the rest at once; one that was decided or waits already changes nothing."""
        for command in commands:
            if command.id in self._store.state.commands or command.id in self._held:
                continue
            moment = self._clock()
            reason = judge_arrival(self._store.state, command, moment, server_time)
            if reason == GRANTED and len(self._held) < MOST:
                self._held[command.id] = command
                self._until[command.id] = moment.steady + (command.expires_at - moment.real).total_seconds()
            else:
                self._decide(command, Reason.READER_FAULT if reason == GRANTED else reason)

    def expire(self) -> None:
        """Refuse what nobody took in time, so that access hears of it."""
        for command in list(self._held.values()):
            moment = self._clock()
            reason = judge(self._store.state, command, moment)
            if reason == GRANTED and moment.steady >= self._until[command.id]:
                reason = Reason.EXPIRED  # the clock was set back while it waited
            if reason != GRANTED:
                self._decide(command, reason)

    def take(self, door: int) -> str | None:
        """Return the id of a command that opens this door now, None if there is none; each is returned once.

        It is stored as opened before it is returned.
        """
        self.expire()
        for command in list(self._held.values()):
            if command.door == door:
                return command.id if self._decide(command, GRANTED) else None
        return None

    def _decide(self, command: Command, reason: str) -> bool:
        """Store the decision with its event; False if it could not be stored, and then nothing may be done."""
        self._held.pop(command.id, None)
        self._until.pop(command.id, None)
        decided = Decided(
            command.door, "command", reason, command_id=command.id, command_until=command.expires_at
        )  # fmt: skip
        try:
            self._store.record(decided, self._clock())
        except sqlite3.Error:
            log.exception("a decision could not be stored")
            return False
        log.info("command %s at door %s: %s", command.id, command.door, reason)
        return True
