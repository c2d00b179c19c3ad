"""Commands at the reader: once, in time, or not at all; whatever is killed or sent again."""

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from regiohub_access.reader.clock import Moment
from regiohub_access.reader.commands import COMMAND_DRIFT, MOST, Waiting
from regiohub_access.reader.state import synced
from regiohub_access.reader.store import Store
from regiohub_access.reader.wire import Command
from tests.unit.access import rh1_vectors as v
from tests.unit.access.test_reader_store import NOW, RESPONSE, opened

SECOND = timedelta(seconds=1)
OPEN = Command("0192f1c4-0000-7000-8000-000000000001", 12, v.NOW + 30 * SECOND)


class Hands:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.moment = NOW

    def __call__(self) -> Moment:
        return self.moment

    def turn(self, by: timedelta) -> None:
        self.moment = Moment(self.moment.now + by, self.moment.real + by)


@contextmanager
def reader(folder, clock: Hands):
    """The reader's memory and its commands; leaving it is a kill: nothing is tidied up."""
    with opened(folder) as store:
        store.save(synced(store.state, RESPONSE, NOW), acked_seq=0)
        yield Waiting(store, clock), store


def told(store: Store) -> list[tuple[str, str, str | None]]:
    return [(event.decision, event.reason, event.command_id) for event in store.pending(100)]


def test_it_opens_its_door_once(tmp_path):
    with reader(tmp_path, Hands()) as (waiting, store):
        waiting.arrive([OPEN], v.NOW)
        waiting.arrive([OPEN], v.NOW)
        assert waiting.take(1) is None
        assert told(store) == [], "accepted is not opened"

        assert [waiting.take(12) for _ in range(3)] == [OPEN.id, None, None]

        waiting.arrive([OPEN], v.NOW)
        assert waiting.take(12) is None
        assert told(store) == [("allowed", "granted", OPEN.id)]


def test_not_again_after_a_restart(tmp_path):
    with reader(tmp_path, Hands()) as (waiting, _):
        waiting.arrive([OPEN], v.NOW)
        assert waiting.take(12)
    with reader(tmp_path, Hands()) as (waiting, store):
        waiting.arrive([OPEN], v.NOW)
        assert waiting.take(12) is None
        assert len(told(store)) == 1


def test_a_kill_before_it_was_taken_opens_nothing_by_itself(tmp_path):
    with reader(tmp_path, Hands()) as (waiting, _):
        waiting.arrive([OPEN], v.NOW)
    with reader(tmp_path, Hands()) as (waiting, store):
        assert waiting.take(12) is None, "what waits is never stored"
        waiting.arrive([OPEN], v.NOW)
        assert waiting.take(12) == OPEN.id
        assert len(told(store)) == 1


def test_never_late(tmp_path):
    clock = Hands()
    with reader(tmp_path, clock) as (waiting, store):
        waiting.arrive([OPEN], v.NOW)
        clock.turn(30 * SECOND)
        assert waiting.take(12) is None
        waiting.arrive([OPEN], v.NOW + 30 * SECOND)
        assert waiting.take(12) is None
        assert told(store) == [("denied", "expired", OPEN.id)]
        clock.turn(-20 * SECOND)  # a clock that goes back a little makes nothing good again
        waiting.arrive([OPEN], v.NOW + 10 * SECOND)
        assert waiting.take(12) is None


def test_a_clock_that_is_set_back_makes_no_command_last_longer(tmp_path):
    clock = Hands()
    with reader(tmp_path, clock) as (waiting, store):
        waiting.arrive([OPEN], v.NOW)
        clock.turn(-50 * SECOND)
        clock.moment = replace(clock.moment, steady=clock.moment.steady + 29)
        waiting.expire()
        assert len(waiting) == 1
        clock.moment = replace(clock.moment, steady=clock.moment.steady + 1)
        assert waiting.take(12) is None
        assert told(store) == [("denied", "expired", OPEN.id)]


def test_one_that_arrives_expired_is_refused_and_reported_once(tmp_path):
    clock = Hands()
    clock.turn(31 * SECOND)
    with reader(tmp_path, clock) as (waiting, store):
        for _ in range(3):
            waiting.arrive([OPEN], v.NOW + 31 * SECOND)
        assert waiting.take(12) is None
        assert told(store) == [("denied", "expired", OPEN.id)]


@pytest.mark.parametrize("off", [COMMAND_DRIFT + SECOND, -COMMAND_DRIFT - SECOND])
def test_an_answer_that_was_long_on_its_way_or_a_clock_that_is_off_opens_nothing(tmp_path, off):
    with reader(tmp_path, Hands()) as (waiting, store):
        waiting.arrive([OPEN], v.NOW + off)
        assert waiting.take(12) is None
        assert told(store) == [("denied", "clock", OPEN.id)]


def test_a_lost_clock_opens_nothing(tmp_path):
    clock = Hands()
    with reader(tmp_path, clock) as (waiting, store):
        waiting.arrive([OPEN], v.NOW)
        clock.turn(-timedelta(minutes=2))
        assert waiting.take(12) is None
        assert told(store) == [("denied", "clock", OPEN.id)]


def test_a_door_that_is_not_here_is_refused(tmp_path):
    with reader(tmp_path, Hands()) as (waiting, store):
        waiting.arrive([Command(OPEN.id, 99, OPEN.expires_at)], v.NOW)
        assert told(store) == [("denied", "unknown_door", OPEN.id)]


def test_more_than_can_wait_are_refused(tmp_path):
    many = [Command(f"{OPEN.id[:-2]}{number:02d}", 12, OPEN.expires_at) for number in range(MOST + 1)]
    with reader(tmp_path, Hands()) as (waiting, store):
        waiting.arrive(many, v.NOW)
        assert len(waiting) == MOST
        assert told(store) == [("denied", "reader_fault", many[-1].id)]


def test_what_cannot_be_stored_opens_nothing(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk full")

    with reader(tmp_path, Hands()) as (waiting, store):
        waiting.arrive([OPEN], v.NOW)
        monkeypatch.setattr(store, "record", fail)
        assert waiting.take(12) is None
        monkeypatch.undo()
        assert waiting.take(12) is None, "and nothing is tried later by itself"


def test_decided_commands_are_forgotten_by_access_time_alone(tmp_path):
    clock = Hands()
    with reader(tmp_path, clock) as (waiting, store):
        waiting.arrive([OPEN], v.NOW)
        waiting.take(12)
        ahead = Moment(v.NOW + timedelta(days=30), v.NOW + timedelta(days=30))
        assert OPEN.id in synced(store.state, RESPONSE, ahead).commands
        assert OPEN.id in store.state.commands


def test_the_memory_of_an_older_program_is_taken_over(tmp_path):
    with reader(tmp_path, Hands()) as (_, store):
        chain = store.chain
    with closing(sqlite3.connect(tmp_path / "reader.sqlite3")) as db:
        db.executescript("DROP TABLE command; PRAGMA user_version = 2;")
    with reader(tmp_path, Hands()) as (waiting, store):
        assert store.chain == chain
        waiting.arrive([OPEN], v.NOW)
        assert waiting.take(12) == OPEN.id
