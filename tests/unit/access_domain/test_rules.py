"""Passes, PINs, keys, the chain and first openings: the rules without a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiohub_access.domain import keys, passes, pins
from regiohub_access.domain.chain import DoorEvent, broken_links, genesis, link
from regiohub_access.domain.openings import first_opening
from regiohub_access.domain.windows import Window
from regiohub_access.repo.sealing import SealBroken, Vault

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def window(start, end, doors=(1,)):
    return Window(NOW + start * HOUR, NOW + end * HOUR, doors)


def test_the_first_piece_that_is_not_over_is_due_and_those_that_begin_within_a_day():
    plan = [window(-3, -1), window(-1, 1), window(20, 22), window(30, 32)]

    assert passes.pieces_to_issue(plan, now=NOW) == (plan[1], plan[2])


@pytest.mark.parametrize(
    ("plan", "refusal"),
    [
        ([window(-2, 0)], passes.GrantEnded),
        ([], passes.GrantEnded),
        ([window(1, 2, ())], passes.NoDoors),
        ([window(24 * 31, 24 * 31 + 1)], passes.PassTooEarly),
    ],
)
def test_refusals_are_named(plan, refusal):
    with pytest.raises(refusal):
        passes.pieces_to_issue(plan, now=NOW)


def test_a_fourth_key_replaces_the_oldest_and_a_known_one_nobody():
    assert passes.key_to_replace([b"a", b"b"], b"c") is None
    assert passes.key_to_replace([b"a", b"b", b"c"], b"b") is None
    assert passes.key_to_replace([b"a", b"b", b"c"], b"d") == b"a"


@pytest.mark.parametrize("seconds", [-61, 61])
def test_a_proof_from_another_time_is_refused_with_ours(seconds):
    with pytest.raises(passes.ProofRejected) as refused:
        passes.check_proof_time(int(NOW.timestamp()) + seconds, real_now=NOW)
    assert refused.value.params["server_time"] == NOW.isoformat()


@pytest.mark.parametrize("pin", ["000000", "777777", "123456", "890123", "987654", "109876"])
def test_what_a_stranger_tries_first_is_weak(pin):
    assert pins.is_weak(pin)


def test_pins_are_six_digits_and_not_weak():
    drawn = [pins.draw() for _ in range(500)]

    assert all(len(pin) == 6 and pin.isdigit() and not pins.is_weak(pin) for pin in drawn)
    assert len(set(drawn)) > 490


def test_a_weak_pin_is_drawn_again():
    lot = iter([777777, 123456, 42, 0])

    assert pins.draw(lambda _below: next(lot)) == "000042"
    assert list(lot) == [0]


def spans(*days):
    return [keys.KeySpan(bytes([number]), NOW + day * DAY) for number, day in enumerate(days)]


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (spans(), NOW - keys.CLOCK_LEEWAY),  # the first one signs at once
        (spans(-10), None),
        (spans(-83), NOW + 7 * DAY),  # a week ahead
        (spans(-83, 7), None),
        (spans(-95), NOW - 5 * DAY),  # late: the old one signs until then, the new one from now
        (spans(-400), NOW - keys.CLOCK_LEEWAY),  # nothing can sign any more
    ],
)
def test_when_a_new_key_is_due(made, wanted):
    assert keys.next_active_at(made, now=NOW) == wanted


def test_the_newest_active_key_signs_and_old_ones_stay_while_their_passes_may_live():
    made = spans(-200, -95, -5, 3)

    assert keys.signer(made, now=NOW) == made[2]
    assert keys.published(made, now=NOW) == (made[1], made[2], made[3])


@given(st.integers(0, 400))
def test_what_a_key_signs_is_verifiable_to_its_end(day):
    key = spans(0)[0]
    signed_at = NOW + day * DAY
    if keys.signer([key], now=signed_at) == key:
        assert signed_at + keys.PASS_AHEAD + timedelta(hours=24) < key.not_after


def event(number, **changes):
    made = DoorEvent(
        hub="bendorf", number=number, reader_id="reader-bendorf", reader_log="0" * 16, reader_sequence=number,
        door=1, at=NOW, received_at=NOW, method="pass", decision="denied", reason="expired", credential="ab",
        late=False, is_chained=True,
    )  # fmt: skip
    return replace(made, **changes)


def chained(*events):
    hashes, head = {}, genesis("bendorf")
    for each in events:
        head = hashes[each.number] = link(head, each)
    return hashes


def broken(left, hashes, numbers=range(1, 4), kept_since=NOW):
    return broken_links("bendorf", left, hashes, numbers, kept_since=kept_since)


def test_a_changed_event_breaks_its_link_and_one_past_its_time_may_be_gone():
    stored = [event(1), event(2), event(3)]
    hashes = chained(*stored)

    assert broken(stored, hashes) == []
    assert broken(stored[2:], hashes) == []
    assert broken(stored[2:], hashes, range(3, 4)) == []
    assert broken([stored[0], event(2, door=2), stored[2]], hashes) == [2]
    assert broken([stored[0], event(2, doubt="ahead"), stored[2]], hashes) == [2]
    assert broken([], hashes) == []


def test_an_event_deleted_before_its_time_and_a_missing_hash_show():
    stored = [event(1), event(2), event(3)]
    hashes = chained(*stored)

    assert broken([stored[0]], hashes, kept_since=NOW - HOUR) == [2, 3]
    assert broken(stored[1:], hashes, kept_since=NOW - HOUR) == []
    assert broken([], {1: hashes[1], 3: hashes[3]}) == [2]


def test_events_of_the_first_version_keep_their_hashes():
    assert link(b"", event(1)).hex() == "2c844050cae0d5eb363c00cdfa14789a1d67c5a9027443177533f82a02dcae51"


def test_the_time_zone_of_a_stored_time_does_not_matter():
    other = NOW.astimezone(tz=datetime.fromisoformat("2026-11-26T10:00:00+01:00").tzinfo)

    assert link(b"", event(1)) == link(b"", event(1, at=other))


def test_the_earliest_opening_wins():
    assert first_opening(None, NOW) == NOW
    assert first_opening(NOW, NOW - HOUR) == NOW - HOUR
    assert first_opening(NOW, NOW) is None


def test_a_sealed_value_opens_in_its_own_row_only():
    vault = Vault([bytes(32)])
    sealed = vault.seal(b"123456", purpose="pin", row=b"a")

    assert vault.open(sealed, purpose="pin", row=b"a") == b"123456"
    for purpose, row, value in (
        ("pin", b"b", sealed),
        ("key", b"a", sealed),
        ("pin", b"a", sealed[:-1] + bytes([sealed[-1] ^ 1])),
    ):
        with pytest.raises(SealBroken):
            vault.open(value, purpose=purpose, row=row)


def test_after_a_change_of_key_old_values_still_open():
    old, new = bytes(32), bytes([1]) * 32
    sealed = Vault([old]).seal(b"123456", purpose="pin", row=b"a")

    assert Vault([new, old]).open(sealed, purpose="pin", row=b"a") == b"123456"
    with pytest.raises(SealBroken):
        Vault([new]).open(sealed, purpose="pin", row=b"a")
