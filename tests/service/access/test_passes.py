"""Passes: for the grant's own member, bound to the phone's key, one per day and key, never more than three keys."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from regiohub_access.rh1 import (
    Claims,
    IssuerKey,
    Proof,
    PublicKey,
    Verifier,
    decode_base64url,
    open_pass,
    present,
    verify,
)
from regiohub_shared import clock
from tests.service.access.world import BOOTH, DESK, HUB, OTHER, FakeReader, Phone, World, later, line, make_fact
from tests.support.tokens import bearer


async def active_grant(world: World, **changes: Any) -> dict[str, Any]:
    """A confirmed booking's grant in a set-up hub."""
    await world.set_up()
    fact = make_fact(**changes)
    await world.hears(fact)
    return await world.grant_of(fact)


async def issuer_keys(world: World) -> dict[bytes, IssuerKey]:
    """What a reader would hold."""
    answer = await world.syncs(FakeReader())
    assert answer is not None
    assert answer.keys is not None
    return {
        bytes.fromhex(key.kid): IssuerKey(
            bytes.fromhex(key.kid), PublicKey(decode_base64url(key.x), decode_base64url(key.y)),
            key.not_before, key.not_after,
        )
        for key in answer.keys
    }  # fmt: skip


async def test_the_pass_opens_at_a_reader_that_synchronised(world: World):
    grant = await active_grant(world)
    phone = Phone()

    answer = await world.asks_pass(grant["id"], phone)

    assert answer.status_code == 201, answer.text
    minted = decode_base64url(answer.json()["pass"])
    keys = await issuer_keys(world)
    claims, _key = open_pass(minted, keys)
    assert (claims.issuer, claims.hub, claims.doors) == ("test-installation", HUB, (1, 2))
    assert claims.pass_id.hex() == answer.json()["id"]
    assert claims.holder == phone.key.public
    assert claims.expires_at - claims.not_before <= timedelta(hours=24)
    at_door = Verifier("test-installation", HUB, 2, keys, frozenset(), {})
    shown = present(minted, phone.key, Proof(int(clock.real_now().timestamp()), 2, b"abcd"))
    assert verify(shown, at_door, now=clock.now(), real_now=clock.real_now()).claims == claims


async def test_the_same_key_gets_the_same_pass(world: World):
    grant = await active_grant(world)
    phone = Phone()

    first, second = await world.asks_pass(grant["id"], phone), await world.asks_pass(grant["id"], phone)
    other = await world.asks_pass(grant["id"], Phone())

    assert first.json() == second.json()
    assert other.json()["id"] != first.json()["id"]


async def test_two_requests_at_once_make_one_pass(world: World):
    grant = await active_grant(world)
    phone = Phone()

    answers = await asyncio.gather(*(world.asks_pass(grant["id"], phone) for _ in range(6)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_another_members_grant_and_an_unknown_one_look_the_same(world: World):
    grant = await active_grant(world)

    foreign = await world.asks_pass(grant["id"], Phone(), sub=OTHER)
    unknown = await world.asks_pass(str(uuid4()), Phone())

    assert (foreign.status_code, unknown.status_code) == (404, 404)
    hidden = {"instance"}
    assert {k: v for k, v in foreign.json().items() if k not in hidden} == {
        k: v for k, v in unknown.json().items() if k not in hidden
    }
    assert await world.rows("SELECT 1 FROM pass") == []


async def test_a_fourth_key_puts_the_oldest_out(world: World):
    grant = await active_grant(world)
    phones = [Phone() for _ in range(4)]
    ids = [(await world.asks_pass(grant["id"], phone)).json()["id"] for phone in phones]

    answer = await world.syncs(FakeReader())

    assert answer is not None
    assert [entry.id for entry in answer.denylist.entries] == [ids[0]]
    assert answer.denylist.seq == 1
    # The first phone comes back: it is the newest now, and the second one is out.
    again = (await world.asks_pass(grant["id"], phones[0])).json()["id"]
    answer = await world.syncs(FakeReader())
    assert answer is not None
    assert [entry.id for entry in answer.denylist.entries] == [ids[0], ids[1]]
    assert again not in ids


async def test_a_phone_that_asks_again_grows_no_younger(world: World):
    grant = await active_grant(world)
    phones = [Phone() for _ in range(3)]
    first, *_ = [(await world.asks_pass(grant["id"], phone)).json()["id"] for phone in phones]
    assert (await world.asks_pass(grant["id"], phones[0])).json()["id"] == first

    assert (await world.asks_pass(grant["id"], Phone())).status_code == 201

    # The oldest phone goes, not the one that was longest unused.
    answer = await world.syncs(FakeReader())
    assert answer is not None
    assert [entry.id for entry in answer.denylist.entries] == [first]


async def test_a_revoked_grant_denies_its_passes_and_gives_no_more(world: World):
    await world.set_up()
    fact = make_fact()
    await world.hears(fact)
    grant = await world.grant_of(fact)
    phone = Phone()
    issued = (await world.asks_pass(grant["id"], phone)).json()["id"]

    await world.hears(later(fact, "cancelled", 3))

    refused = await world.asks_pass(grant["id"], phone)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/grant-revoked")
    answer = await world.syncs(FakeReader())
    assert answer is not None
    assert [entry.id for entry in answer.denylist.entries] == [issued]


@pytest.mark.parametrize(
    ("start", "end", "kind"),
    [
        (-300, -11, "/problems/grant-ended"),
        (60 * 24 * 40, 60 * 24 * 40 + 60, "/problems/pass-too-early"),
    ],
)
async def test_a_pass_is_issued_only_around_its_time(world: World, start: int, end: int, kind: str):
    grant = await active_grant(world, lines=(line(DESK, start, end),))

    answer = await world.asks_pass(grant["id"], Phone())

    assert (answer.status_code, answer.json()["type"]) == (409, kind)


async def test_a_pass_is_not_issued_without_doors(world: World):
    fact = make_fact()
    await world.hears(fact)

    answer = await world.asks_pass((await world.grant_of(fact))["id"], Phone())

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/no-doors")


async def test_bad_proofs_and_keys_are_refused_and_change_nothing(world: World):
    grant = await active_grant(world)
    phone, stranger = Phone(), Phone()
    grant_id = grant["id"]
    good = phone.asks(grant_id)
    off_curve = good["jwk"] | {"x": good["jwk"]["y"], "y": good["jwk"]["x"]}

    answers = [
        await world.asks_pass(grant_id, phone, jwk=stranger.key.public.to_jwk()),
        await world.asks_pass(grant_id, phone, **phone.asks(grant_id, age_s=90)),
        await world.asks_pass(grant_id, phone, signature=phone.asks(str(uuid4()))["signature"]),
        await world.asks_pass(grant_id, phone, signature="!!"),
        await world.asks_pass(grant_id, phone, jwk=off_curve),
        await world.asks_pass(grant_id, phone, jwk=good["jwk"] | {"d": good["jwk"]["x"]}),
        await world.asks_pass(grant_id, phone, jwk={"kty": "oct"}),
        await world.asks_pass(grant_id, phone, ts=2**40),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403, 403, 422, 422, 422, 422]
    assert answers[1].json()["reason"] == "clock"
    assert await world.rows("SELECT 1 FROM pass UNION ALL SELECT 1 FROM holder_key") == []


async def test_a_day_pass_longer_than_24_hours_comes_in_pieces(world: World):
    grant = await active_grant(world, lines=(line(DESK, 60, 60 + 25 * 60),))

    body = (await world.asks_pass(grant["id"], Phone())).json()

    spans = [
        (datetime.fromisoformat(item["starts_at"]), datetime.fromisoformat(item["expires_at"]))
        for item in body["passes"]
    ]
    assert [end - start for start, end in spans] == [timedelta(hours=24)]
    assert spans[0][0] == datetime.fromisoformat(grant["starts_at"])


async def test_lines_with_other_times_get_a_pass_each_and_no_more_rights(world: World):
    grant = await active_grant(world, lines=(line(DESK, 0, 180), line(BOOTH, 60, 120)))

    body = (await world.asks_pass(grant["id"], Phone())).json()

    assert [item["doors"] for item in body["passes"]] == [[1, 2], [1, 3]]
    assert body["id"] == body["passes"][0]["id"]


async def test_changed_doors_deny_passes_that_open_more(world: World):
    grant = await active_grant(world)
    phone = Phone()
    old = (await world.asks_pass(grant["id"], phone)).json()["id"]

    await world.set_up(margin=20)

    answer = await world.syncs(FakeReader())
    assert answer is not None
    assert [entry.id for entry in answer.denylist.entries] == [old]
    new = (await world.asks_pass(grant["id"], phone)).json()
    assert new["id"] != old


async def test_too_many_new_passes_are_refused(world: World):
    grant = await active_grant(world)

    statuses = [(await world.asks_pass(grant["id"], Phone())).status_code for _ in range(25)]

    assert statuses == [201] * 24 + [429]


async def test_no_private_key_is_stored_in_clear(world: World):
    grant = await active_grant(world)
    await world.asks_pass(grant["id"], Phone())
    (row,) = await world.rows("SELECT kid, sealed, x FROM issuer_key")

    scalar = world.app.state.vault.open(bytes(row.sealed), purpose="issuer key", row=bytes(row.kid))

    assert len(scalar) == 32
    assert scalar not in bytes(row.sealed)


async def test_roles_other_than_member_fetch_no_pass(world: World):
    grant = await active_grant(world)
    body = Phone().asks(grant["id"])

    for headers, status in ((bearer("d", "lock-device"), 403), (bearer("s", "service"), 403), ({}, 401)):
        answer = await world.client.post(f"/v1/grants/{grant['id']}/passes", json=body, headers=headers)
        assert answer.status_code == status


def test_claims_know_only_whole_seconds():
    """The facts' handler cuts microseconds off because of this."""
    holder = Phone().key.public
    with pytest.raises(ValueError, match="whole seconds"):
        Claims(
            "i", "h", bytes(8), datetime(2026, 1, 1, 0, 0, 0, 5, UTC), datetime(2026, 1, 1, 1, tzinfo=UTC), holder, (1,)
        ).to_cbor()
