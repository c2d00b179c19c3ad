"""The sync messages: what is written is read back, what is not of the shape is refused."""

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiohub_access.reader import wire
from tests.unit.access import rh1_vectors as v
from tests.unit.access.fake_access import wire_key

times = st.integers(0, 10**12).map(lambda number: v.NOW + timedelta(milliseconds=number))
numbers = st.integers(0, 2**53 - 1)
hexes = st.binary(min_size=8, max_size=8).map(bytes.hex)
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
names = st.text("abcdefghij-0123456789", min_size=1, max_size=36)
events = st.builds(
    wire.Event,
    seq=numbers,
    at=times,
    door=numbers,
    kind=st.sampled_from(["pass", "pin", "command"]),
    decision=st.sampled_from(["allowed", "denied"]),
    reason=st.sampled_from(["granted", "expired"]),
    pass_id=st.none() | hexes,
    pin_id=st.none() | names,
    prev_hash=hashes,
    hash=hashes,
    command_id=st.none() | names,
)
requests = st.builds(
    wire.SyncRequest,
    chain=hexes,
    events=st.lists(events, max_size=3).map(tuple),
    acked_seq=numbers,
    have=st.builds(wire.Have, numbers, names, numbers, numbers),
    pins_stored=st.lists(names, max_size=3).map(tuple),
    wait_s=numbers,
    commands_version=numbers,
)
pins = st.builds(
    wire.Pin, names, st.from_regex(r"\A[0-9]{4,10}\Z"), st.lists(numbers, max_size=3).map(tuple), times, times
)
commands = st.builds(wire.Command, st.uuids().map(str), numbers, times)
responses = st.builds(
    wire.SyncResponse,
    hub=names,
    doors=st.lists(st.builds(wire.Door, numbers, names), max_size=3).map(tuple),
    keys=st.none() | st.just((wire_key(v.ISSUER_KEY),)),
    denylist=st.builds(
        wire.DenyList, numbers, st.booleans(), st.lists(st.builds(wire.DenyEntry, hexes, times), max_size=3).map(tuple)
    ),
    pins=st.none() | st.builds(wire.PinTable, numbers, st.lists(pins, max_size=3).map(tuple)),
    events_acked=numbers,
    server_time=times,
    epoch=numbers,
    commands=st.just(wire.Commands()) | st.builds(wire.Commands, st.just(2), st.lists(commands, max_size=2).map(tuple)),
)


@given(requests)
def test_a_request_is_read_back(request):
    assert wire.SyncRequest.from_json(json.loads(json.dumps(request.to_json()))) == request


@given(responses)
def test_a_response_is_read_back(response):
    assert wire.SyncResponse.from_json(json.loads(json.dumps(response.to_json()))) == response


EVENT = wire.Event(1, v.NOW, 12, "pass", "denied", "expired", "00" * 8, None, wire.GENESIS, "")
EVENT = replace(EVENT, hash=EVENT.computed_hash())
REQUEST = wire.SyncRequest("ab" * 8, (EVENT,), 0, wire.Have(), (), 10)


def test_the_hash_of_an_event_is_fixed():
    assert EVENT.hash == "b8b0ef5c31468df95dff17dce353e6878b639397962d53dcf7ba1be4fcbd3a4e"


def test_a_chain_shows_every_change():
    second = replace(EVENT, seq=2, prev_hash=EVENT.hash)
    second = replace(second, hash=second.computed_hash())
    assert wire.is_chained([EVENT, second], wire.GENESIS)
    assert not wire.is_chained([second], wire.GENESIS)
    assert not wire.is_chained([EVENT, replace(second, door=1)], wire.GENESIS)
    assert not wire.is_chained([replace(EVENT, at=v.NOW + timedelta(seconds=1)), second], wire.GENESIS)


def test_times_keep_their_instant_and_need_an_offset():
    summer = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert wire.format_time(summer) == "2026-07-01T10:00:00.000Z"
    with pytest.raises(ValueError, match="offset"):
        wire.format_time(v.NOW.replace(tzinfo=None))


def test_unknown_members_are_ignored():
    assert wire.SyncRequest.from_json({**REQUEST.to_json(), "later": 1}) == REQUEST


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": True},
        {"chain": "xyz"},
        {"events": {}},
        {"events": [{}]},
        {"events": [1]},
        {"events": [{**EVENT.to_json(), "at": "2026-11-26T10:00:00"}]},
        {"events": [{**EVENT.to_json(), "at": "yesterday"}]},
        {"events": [{**EVENT.to_json(), "decision": "maybe"}]},
        {"events": [{**EVENT.to_json(), "seq": -1}]},
        {"events": [{**EVENT.to_json(), "hash": "00"}]},
        {"acked_seq": 2**60},
        {"acked_seq": "1"},
        {"have": None},
        {"pins_stored": [1]},
        {"wait_s": None},
    ],
)
def test_another_shape_is_refused(change):
    with pytest.raises(wire.WireError):
        wire.SyncRequest.from_json({**REQUEST.to_json(), **change})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_nonsense_is_a_wire_error(nonsense):
    for shape in (wire.SyncRequest, wire.SyncResponse):
        with pytest.raises(wire.WireError):
            shape.from_json(nonsense)


def test_the_etag_does_not_depend_on_order():
    first, second = wire_key(v.ISSUER_KEY), replace(wire_key(v.ISSUER_KEY), kid="00000001")
    assert wire.keys_etag([first, second]) == wire.keys_etag([second, first]) != wire.keys_etag([first])
