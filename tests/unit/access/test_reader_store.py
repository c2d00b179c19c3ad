"""The reader's memory: it survives a kill, never goes back, and holds no PIN that was typed."""

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from regiohub_access.reader import store as store_module
from regiohub_access.reader.clock import Moment
from regiohub_access.reader.decide import Decided, PassShown, PinTyped, decide
from regiohub_access.reader.program import Reader
from regiohub_access.reader.state import State, SyncRefused, synced
from regiohub_access.reader.store import Store, StoreError
from regiohub_access.reader.wire import (
    GENESIS,
    GRANTED,
    Command,
    Commands,
    DenyEntry,
    DenyList,
    Door,
    Pin,
    PinTable,
    SyncResponse,
    is_chained,
)
from regiohub_access.rh1 import Reason
from tests.unit.access import rh1_vectors as v
from tests.unit.access.fake_access import wire_key

NOW = Moment(v.NOW, v.NOW)
HOUR = timedelta(hours=1)
OTHER_ID = "aa" * 8
PIN = Pin("pin-1", "482913", (12,), v.NOW - HOUR, v.NOW + HOUR)
RESPONSE = SyncResponse(
    hub="bendorf",
    doors=(Door(1, "Haustür"), Door(12, "Desk 2")),
    keys=(wire_key(v.ISSUER_KEY),),
    denylist=DenyList(7, full=True, entries=(DenyEntry(OTHER_ID, v.NOW + HOUR),)),
    pins=PinTable(3, (PIN,)),
    events_acked=0,
    server_time=v.NOW,
    epoch=1,
)
EMPTY = State(issuer=v.CLAIMS.issuer, hub="bendorf")
STATE = synced(EMPTY, RESPONSE, NOW)


def opened(folder, hub: str = "bendorf"):
    return closing(Store(folder, issuer=v.CLAIMS.issuer, hub=hub))


def show(store: Store, shown, moment: Moment = NOW) -> str:
    decided = decide(store.state, shown, moment)
    store.record(decided, moment)
    return decided.reason


def test_everything_is_read_back(tmp_path):
    with opened(tmp_path) as store:
        store.save(STATE, acked_seq=0)
        assert show(store, PassShown(12, v.shown())) == GRANTED
        assert show(store, PinTyped(12, "000000")) == Reason.PIN_UNKNOWN
        state, chain, events = store.state, store.chain, store.pending(10)
    with opened(tmp_path) as store:
        assert (store.state, store.chain, store.pending(10)) == (state, chain, events)
        assert show(store, PassShown(12, v.shown())) == Reason.REPLAYED
        assert is_chained(store.pending(10), GENESIS)
        assert [event.seq for event in store.tail(2)] == [3, 2]


def test_a_pause_and_its_count_survive_a_restart(tmp_path):
    for _ in range(5):
        with opened(tmp_path) as store:
            store.save(replace(STATE, guards=store.state.guards), acked_seq=0)
            assert show(store, PinTyped(12, "000000")) == Reason.PIN_UNKNOWN
    with opened(tmp_path) as store:
        assert show(store, PinTyped(12, "482913")) == Reason.PIN_PAUSED


def test_a_state_of_the_first_version_is_read(tmp_path):
    with opened(tmp_path) as store:
        store.save(STATE, acked_seq=0)
        store._db.execute("DROP TABLE guard")
        store._db.execute("CREATE TABLE guard (door INTEGER PRIMARY KEY, wrong INTEGER, pauses INTEGER, until TEXT)")
        store._db.execute("INSERT INTO guard VALUES (12, 4, 0, '1970-01-01T00:00:00.000Z')")
        store._db.execute("PRAGMA user_version = 1")
    with opened(tmp_path) as store:
        assert (store.state.pins, store.state.guards) == (STATE.pins, {})
        assert show(store, PinTyped(12, "482913")) == GRANTED


def test_the_clock_does_not_run_backwards_over_a_restart(tmp_path):
    with opened(tmp_path) as store:
        store.save(STATE, acked_seq=0)
        store.tick(Moment(v.NOW + HOUR, v.NOW + HOUR))
        store.tick(NOW)
    with opened(tmp_path) as store:
        assert show(store, PassShown(12, v.shown())) == Reason.CLOCK
        assert show(store, PinTyped(12, "482913")) == Reason.CLOCK


def test_a_typed_pin_is_nowhere_on_disk(tmp_path):
    with opened(tmp_path) as store:
        store.save(STATE, acked_seq=0)
        show(store, PinTyped(12, "918273"))
    assert all(b"918273" not in path.read_bytes() for path in tmp_path.iterdir())


def test_only_the_owner_can_read_it(tmp_path):
    folder = tmp_path / "state"
    with opened(folder):
        modes = {stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.iterdir()]}
    assert modes <= {0o700, 0o600}


def test_one_reader_per_folder(tmp_path):
    with opened(tmp_path), pytest.raises(StoreError, match="another reader"):
        Store(tmp_path, issuer="rh", hub="bendorf")


def test_one_hub_per_folder(tmp_path):
    with opened(tmp_path):
        pass
    with pytest.raises(StoreError, match="another hub"):
        Store(tmp_path, issuer="rh", hub="mayen")


def test_a_decision_that_cannot_be_stored_changes_nothing(tmp_path):
    with opened(tmp_path) as store:
        store.save(STATE, acked_seq=0)
        store._db.execute("CREATE TRIGGER full BEFORE INSERT ON proof BEGIN SELECT raise(ABORT, 'disk full'); END")
        with pytest.raises(sqlite3.Error):
            show(store, PassShown(12, v.shown()))
        assert (store.state.last_ts, store.last_seq, store.pending_count()) == ({}, 0, 0)


class NoSync:
    def __init__(self) -> None:
        self.wake = asyncio.Event()


def test_a_reader_that_cannot_store_does_not_open(tmp_path):
    with opened(tmp_path) as store:
        store.save(STATE, acked_seq=0)
        store._db.execute("CREATE TRIGGER full BEFORE INSERT ON event BEGIN SELECT raise(ABORT, 'disk full'); END")
        reader = Reader(cast("Any", None), store, cast("Any", NoSync()), lambda: NOW)
        status, answer = reader.routes()["POST", "/present"]({"door": 12, "presentation": v.shown()})
        assert (status, answer["decision"], answer["reason"]) == (503, "denied", "reader_fault")
        store._db.execute("DROP TRIGGER full")
        status, answer = reader.routes()["POST", "/present"]({"door": 12, "presentation": v.shown() + "\n"})
        assert (status, answer["decision"], answer["reason"]) == (200, "allowed", "granted")


def test_the_ring_drops_the_oldest(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "RING", 3)
    with opened(tmp_path) as store:
        for _ in range(5):
            store.record(Decided(12, "pass", Reason.MALFORMED), NOW)
        assert [event.seq for event in store.pending(10)] == [3, 4, 5]
    with opened(tmp_path) as store:
        assert store.record(Decided(12, "pass", Reason.MALFORMED), NOW).seq == 6


def test_acknowledged_events_are_not_pending(tmp_path):
    with opened(tmp_path) as store:
        for _ in range(3):
            store.record(Decided(12, "pass", Reason.MALFORMED), NOW)
        store.save(STATE, acked_seq=2)
        store.save(STATE, acked_seq=1)
        assert [event.seq for event in store.pending(10)] == [3]
        store.save(STATE, acked_seq=99)
        assert (store.acked_seq, store.pending_count()) == (3, 0)


def test_an_access_that_begins_anew_gets_again_what_it_lost(tmp_path):
    with opened(tmp_path) as store:
        for _ in range(3):
            store.record(Decided(12, "pass", Reason.MALFORMED), NOW)
        store.save(STATE, acked_seq=3)
        store.save(STATE, acked_seq=1, goes_back=True)
        assert [event.seq for event in store.pending(10)] == [2, 3]


KILLED = """
import sys
from pathlib import Path
from regiohub_access.reader.clock import Moment
from regiohub_access.reader.decide import Decided
from regiohub_access.reader.store import Store
from regiohub_access.rh1 import Reason
from tests.unit.access.rh1_vectors import CLAIMS, NOW
store = Store(Path(sys.argv[1]), issuer="rh", hub="bendorf")
for _ in range(100000):
    event = store.record(Decided(12, "pass", "granted", pass_id=CLAIMS.pass_id, ts=store.last_seq + 1), Moment(NOW, NOW))
    print(event.seq, flush=True)
"""


def test_a_kill_loses_nothing_that_was_answered(tmp_path):
    told = 0
    for round_ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(10 + round_):
                told = int(process.stdout.readline())
            os.kill(process.pid, signal.SIGKILL)
            told = max([told, *(int(line) for line in process.stdout.read().splitlines() if line.isdigit())])
    with opened(tmp_path) as store:
        assert store.last_seq >= told >= 60
        assert store.state.last_ts[v.CLAIMS.pass_id] == store.last_seq
        assert is_chained(store.pending(100000), GENESIS)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"hub": "mayen"}, "another hub"),
        ({"epoch": 0}, "epoch went back"),
        ({"denylist": DenyList(6, full=True)}, "deny-list went back"),
        ({"pins": PinTable(2)}, "PINs went back"),
        ({"epoch": 2, "denylist": DenyList(1, full=False)}, "full deny-list"),
        ({"epoch": 2, "pins": None}, "all PINs"),
        ({"keys": (replace(wire_key(v.ISSUER_KEY), x="A" * 43),)}, "not on the curve"),
    ],
)
def test_an_answer_that_goes_back_is_refused(change, text):
    with pytest.raises(SyncRefused, match=text):
        synced(STATE, replace(RESPONSE, **change), NOW)


def test_a_higher_epoch_may_go_back():
    restored = replace(RESPONSE, epoch=2, denylist=DenyList(1, full=True), pins=PinTable(1))
    state = synced(STATE, restored, NOW)
    assert (state.epoch, state.denylist_seq, state.pins_seq, state.pins) == (2, 1, 1, ())


def test_a_revocation_that_was_heard_stays_when_access_has_lost_it():
    restored = replace(RESPONSE, epoch=2, denylist=DenyList(1, full=True), pins=PinTable(1))
    assert set(synced(STATE, restored, NOW).denied) == set(STATE.denied) == {bytes.fromhex(OTHER_ID)}


def test_a_difference_and_a_full_list_add():
    entry = DenyEntry(v.CLAIMS.pass_id.hex(), v.CLAIMS.expires_at)
    more = synced(STATE, replace(RESPONSE, denylist=DenyList(8, full=False, entries=(entry,))), NOW)
    assert set(more.denied) == {bytes.fromhex(OTHER_ID), v.CLAIMS.pass_id}
    assert decide(more, PassShown(12, v.shown()), NOW).reason == Reason.REVOKED
    full = synced(STATE, replace(RESPONSE, denylist=DenyList(9, full=True, entries=(entry,))), NOW)
    assert full.denied == more.denied


def test_what_is_unchanged_may_be_left_out():
    state = synced(STATE, replace(RESPONSE, keys=None, pins=None), NOW)
    assert (state.keys, state.pins, state.pins_seq) == (STATE.keys, STATE.pins, 3)


def test_a_withdrawn_key_no_longer_opens():
    state = synced(STATE, replace(RESPONSE, keys=()), NOW)
    assert decide(state, PassShown(12, v.shown()), NOW).reason == Reason.UNKNOWN_KEY


def test_old_entries_are_forgotten_by_the_server_time_alone():
    state = replace(STATE, last_ts={b"seen": v.TS})
    ahead = Moment(v.NOW + timedelta(days=30), v.NOW + timedelta(days=30))
    still = synced(state, replace(RESPONSE, denylist=DenyList(7, full=False)), ahead)
    assert (set(still.denied), still.last_ts) == ({bytes.fromhex(OTHER_ID)}, {b"seen": v.TS})
    late = v.NOW + timedelta(days=2)
    gone = synced(state, replace(RESPONSE, denylist=DenyList(7, full=False), server_time=late), Moment(late, late))
    assert (gone.denied, gone.last_ts) == ({}, {})


def test_a_clock_far_from_access_is_not_trusted_until_the_next_sync():
    wrong = Moment(v.NOW + timedelta(minutes=6), v.NOW + timedelta(minutes=6))
    state = synced(STATE, RESPONSE, wrong)
    assert decide(state, PassShown(12, v.shown()), NOW).reason == Reason.CLOCK
    assert decide(synced(state, RESPONSE, NOW), PassShown(12, v.shown()), NOW).reason == GRANTED


def test_only_access_takes_back_a_clock_that_ran_ahead():
    ahead = replace(STATE, latest_seen=v.NOW + timedelta(days=1000))
    assert decide(ahead, PassShown(12, v.shown()), NOW).reason == Reason.CLOCK
    assert decide(synced(ahead, RESPONSE, NOW), PassShown(12, v.shown()), NOW).reason == GRANTED


def test_commands_are_no_part_of_the_state():
    ordered = replace(RESPONSE, commands=Commands(2, (Command("0" * 36, 12, v.NOW + HOUR),)))
    assert synced(STATE, ordered, NOW) == STATE
