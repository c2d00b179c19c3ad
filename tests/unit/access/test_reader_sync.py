"""The sync with access, against a fake one over real HTTP: what goes up, what comes down, what is refused."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from regiohub_access.reader.clock import make_clock
from regiohub_access.reader.decide import Decided
from regiohub_access.reader.settings import Settings
from regiohub_access.reader.state import SyncRefused
from regiohub_access.reader.store import Store
from regiohub_access.reader.sync import Syncer, SyncFailed
from regiohub_access.reader.wire import GENESIS, Command, Commands, DenyEntry, Pin, PinTable, is_chained
from regiohub_access.rh1 import Reason
from tests.unit.access import rh1_vectors as v
from tests.unit.access.fake_access import SECRET, FakeAccess, wire_key

CLOCK = make_clock({})
REAL = CLOCK().real.replace(microsecond=0)
PIN = Pin("pin-1", "482913", (12,), REAL, REAL + timedelta(hours=1))
DENIED = DenyEntry("aa" * 8, REAL + timedelta(hours=1))


@pytest.fixture
def access():
    fake = FakeAccess()
    fake.keys = (wire_key(v.ISSUER_KEY),)
    fake.pins, fake.pins_seq = (PIN,), 1
    with fake.running():
        yield fake


@asynccontextmanager
async def syncer_for(access: FakeAccess, folder, secret: str = SECRET, wait_s: int = 10):
    settings = Settings(
        hub="bendorf",
        client_id="reader-bendorf",
        client_secret=secret,
        token_url=f"{access.url}/token",
        sync_url=f"{access.url}/v1/readers/reader-bendorf/sync",
        state_dir=folder,
        port=0,
        issuer=v.CLAIMS.issuer,
        wait_s=wait_s,
    )
    store = Store(folder, issuer=settings.issuer, hub="bendorf")
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            yield Syncer(settings, store, client, CLOCK), store
    finally:
        store.close()


def note(store: Store, count: int = 1) -> None:
    for _ in range(count):
        store.record(Decided(12, "pass", Reason.MALFORMED), CLOCK())


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(8):
        while not condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(syncer: Syncer):
    stop = asyncio.Event()
    task = asyncio.ensure_future(syncer.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def test_a_new_reader_gets_everything(access, tmp_path):
    access.denied, access.denylist_seq = (DENIED,), 4
    async with syncer_for(access, tmp_path) as (syncer, store):
        await syncer.once()
        state = store.state
    assert (state.doors, state.wire_keys, state.pins) == (access.doors, access.keys, access.pins)
    assert (set(state.denied), state.denylist_seq, state.epoch) == ({b"\xaa" * 8}, 4, 1)
    assert state.last_sync_at is not None
    assert not state.is_clock_off


async def test_the_second_request_says_what_is_there(access, tmp_path):
    async with syncer_for(access, tmp_path) as (syncer, store):
        await syncer.once()
        await syncer.once()
        first, second = access.requests
        assert (first.have.epoch, first.pins_stored) == (0, ())
        assert (second.have, second.pins_stored) == (store.state.have(), ("pin-1",))
        assert store.state.pins == (PIN,)
    assert access.tokens_given == 1


async def test_events_go_up_once_and_in_order(access, tmp_path):
    async with syncer_for(access, tmp_path) as (syncer, store):
        note(store, 250)
        await syncer.once()
        assert store.pending_count() == 50
        await syncer.once()
        assert store.pending_count() == 0
        await syncer.once()
        assert [len(request.events) for request in access.requests] == [200, 50, 0]
    assert is_chained(access.events.values(), GENESIS)


async def test_an_unacknowledged_event_goes_up_again(access, tmp_path):
    access.answer = {"events_acked": 0}
    async with syncer_for(access, tmp_path) as (syncer, store):
        note(store)
        await syncer.once()
        assert store.pending_count() == 1
        access.answer = {"events_acked": 10**6}  # more than was ever sent
        await syncer.once()
        note(store)
        assert (store.acked_seq, store.pending_count()) == (1, 1)


async def test_a_restored_access_gets_the_events_again_that_it_lost(access, tmp_path):
    async with syncer_for(access, tmp_path) as (syncer, store):
        note(store, 3)
        await syncer.once()
        assert store.pending_count() == 0
        lost = [key for key in access.events if key[1] > 1]
        for key in lost:
            del access.events[key]
        await syncer.once()
        assert store.pending_count() == 0
        access.epoch, access.pins_seq = access.epoch + 1, access.pins_seq + 1
        await syncer.once()
        await syncer.once()
        assert sorted(seq for _, seq in access.events) == [1, 2, 3]


@pytest.mark.parametrize(
    "answer",
    [
        {"hub": "mayen"},
        {"epoch": 0},
        {"denylist": {"seq": 1, "full": True, "entries": []}},
        {"pins": {"seq": 0, "entries": []}},
    ],
)
async def test_an_answer_that_goes_back_changes_nothing(access, tmp_path, answer):
    access.denied, access.denylist_seq = (DENIED,), 4
    async with syncer_for(access, tmp_path) as (syncer, store):
        await syncer.once()
        before = store.state
        access.answer = answer
        with pytest.raises(SyncRefused):
            await syncer.once()
        assert store.state == before


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"\xff", b'{"version": 1}', b"<html>"])
async def test_garbage_changes_nothing(access, tmp_path, raw):
    async with syncer_for(access, tmp_path) as (syncer, store):
        note(store)
        await syncer.once()
        before = store.state
        access.raw = raw
        with pytest.raises(SyncFailed):
            await syncer.once()
        assert store.state == before


async def test_an_unknown_version_is_refused(access, tmp_path):
    access.answer = {"version": 2}
    async with syncer_for(access, tmp_path) as (syncer, _):
        with pytest.raises(SyncFailed, match="version"):
            await syncer.once()


@pytest.mark.parametrize("version", [1, 3, 9])
async def test_commands_of_another_version_are_left_unread(access, tmp_path, version):
    access.answer = {"commands": {"version": version, "items": [{"id": "1", "open": 12}]}}
    async with syncer_for(access, tmp_path) as (syncer, store):
        await syncer.once()
        assert (len(syncer.commands), store.pending_count()) == (0, 0)


async def test_a_command_that_nobody_takes_is_reported_as_expired_soon_after(access, tmp_path):
    command = Command("0192f1c4-0000-7000-8000-000000000001", 12, CLOCK().real + timedelta(seconds=2))
    access.answer = {"commands": Commands(2, (command,)).to_json()}
    async with syncer_for(access, tmp_path) as (syncer, _), running(syncer):
        await until(lambda: access.events)
        assert len(syncer.commands) == 0
    [event] = access.events.values()
    assert (event.kind, event.decision, event.reason, event.command_id) == ("command", "denied", "expired", command.id)
    assert {request.commands_version for request in access.requests} == {2}


async def test_a_revoked_token_is_fetched_anew(access, tmp_path):
    async with syncer_for(access, tmp_path) as (syncer, _):
        await syncer.once()
        access.token = "token-2"
        await syncer.once()
    assert access.tokens_given == 2


async def test_a_wrong_secret_is_said_without_the_secret(access, tmp_path):
    async with syncer_for(access, tmp_path, secret="not the one") as (syncer, _):
        with pytest.raises(SyncFailed, match="token server answered 401") as failed:
            await syncer.once()
    assert "not the one" not in str(failed.value)


async def test_the_loop_outlives_an_outage(access, tmp_path):
    access.status = 503
    async with syncer_for(access, tmp_path) as (syncer, store), running(syncer):
        await until(lambda: syncer.last_error is not None)
        assert syncer.last_error == "access answered 503"
        note(store)
        access.status = 200
        await until(lambda: store.pending_count() == 0)
        assert syncer.last_error is None


async def test_without_the_line_the_time_is_kept_too(access, tmp_path):
    access.status = 503
    async with syncer_for(access, tmp_path) as (syncer, store), running(syncer):
        await until(lambda: syncer.last_error is not None)
        kept = store.state.latest_seen
        await until(lambda: store.state.latest_seen > kept)
    assert kept >= REAL


async def test_the_loop_outlives_a_full_disk(access, tmp_path):
    async with syncer_for(access, tmp_path) as (syncer, store):
        store._db.execute("CREATE TRIGGER full BEFORE INSERT ON denied BEGIN SELECT raise(ABORT, 'full'); END")
        access.denied, access.denylist_seq = (DENIED,), 1
        async with running(syncer):
            await until(lambda: syncer.last_error == "the reader failed")
            store._db.execute("DROP TRIGGER full")
            await until(lambda: store.state.denylist_seq == 1)


async def test_news_from_access_arrive_at_once(access, tmp_path):
    async with syncer_for(access, tmp_path) as (syncer, store), running(syncer):
        await until(lambda: access.requests and access.requests[-1].wait_s == 10)
        started = asyncio.get_running_loop().time()
        access.revoke(DENIED)
        await until(lambda: store.state.denied)
        assert asyncio.get_running_loop().time() - started < 5


async def test_an_event_does_not_wait_for_the_long_poll(access, tmp_path):
    async with syncer_for(access, tmp_path) as (syncer, store), running(syncer):
        await until(lambda: access.requests and access.requests[-1].wait_s == 10)
        note(store)
        syncer.wake.set()
        await until(lambda: store.pending_count() == 0)
        assert [request.wait_s for request in access.requests if request.events] == [0]


async def test_an_access_that_does_not_wait_is_not_flooded(access, tmp_path):
    async with syncer_for(access, tmp_path, wait_s=0) as (syncer, _):
        syncer._settings = replace(syncer._settings, wait_s=1)
        access.changed.wait = lambda _: True  # answers at once
        async with running(syncer):
            await asyncio.sleep(1.5)
    assert len(access.requests) <= 5


async def test_an_access_that_never_acknowledges_is_not_flooded(access, tmp_path):
    access.answer = {"events_acked": 0}
    async with syncer_for(access, tmp_path) as (syncer, store):
        note(store)
        async with running(syncer):
            await asyncio.sleep(1.5)
    assert len(access.requests) <= 5


async def test_access_down_from_the_start(tmp_path):
    gone = FakeAccess()
    with gone.running():
        pass
    async with syncer_for(gone, tmp_path) as (syncer, _):
        with pytest.raises(SyncFailed, match="unreachable"):
            await syncer.once()


async def test_stopping_does_not_wait_for_the_long_poll(access, tmp_path):
    async with syncer_for(access, tmp_path) as (syncer, _):
        async with running(syncer):
            await until(lambda: access.requests and access.requests[-1].wait_s == 10)
            started = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - started < 2


def test_pins_may_repeat_for_several_windows():
    table = PinTable(1, (PIN, replace(PIN, starts_at=PIN.ends_at, ends_at=PIN.ends_at + timedelta(hours=1))))
    assert PinTable.from_json(table.to_json()).entries[1].pin_id == PIN.pin_id
